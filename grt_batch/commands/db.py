"""The commands for the embedded server and the schema of any database."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import at_target, cli, database_of, options
from grt_batch.core.config_file import load
from grt_batch.core.config_values import MAIN
from grt_batch.core.errors import BadArguments
from grt_batch.core.logs import without_passwords

_TARGET = click.argument("target", required=False)


@cli.group()
def db() -> None:
    """Manage the embedded server and the schema of any database."""


@db.command("start")
@options("work", "config", "debug")
def db_start(work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Start the embedded server and leave it running."""
    from grt_batch.embedded_postgres.server import start_persistent

    click.echo(start_persistent(load(config_file, {"work": work}).work))


@db.command("stop")
@options("work", "config", "debug")
def db_stop(work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Stop the embedded server."""
    from grt_batch.embedded_postgres.server import stop

    click.echo("stopped" if stop(load(config_file, {"work": work}).work) else "it was not running")


@db.command("url")
@options("database", "work", "config", "debug")
@_TARGET
def db_url(database: str | None, work: Path | None, config_file: Path | None, debug: bool, target: str | None) -> None:
    """Print the URL of the database, or of the TARGET, without its password."""
    config = at_target("db url", load(config_file, {"database": database, "work": work}), target)
    if config.database != "embedded":
        from grt_batch.sinks.database_url import parameters

        parameters(config.database)
        click.echo(without_passwords(config.database))
        return
    from grt_batch.embedded_postgres.server import EmbeddedServer

    click.echo(EmbeddedServer(config.work).url)


@db.command("psql", context_settings={"ignore_unknown_options": True})
@options("database", "work", "config", "debug")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def db_psql(
    database: str | None, work: Path | None, config_file: Path | None, debug: bool, arguments: tuple[str, ...]
) -> int:
    """Open psql on the database, or on the TARGET that the first of the ARGUMENTS names; the others are psql's own."""
    import os
    import shutil
    import subprocess

    target = None if not arguments or arguments[0].startswith("-") else arguments[0]
    config = at_target("db psql", load(config_file, {"database": database, "work": work}), target)
    arguments = arguments[1:] if target else arguments
    program = shutil.which("psql")
    if config.database == "embedded":
        from grt_batch.embedded_postgres.programs import binaries

        program = str(binaries() / "psql")
        # Its start-up file may lead to another server, as libpq's variables may.
        arguments = ("--no-psqlrc", *arguments)
    if program is None:
        raise BadArguments(command="db psql", what="psql is not on PATH")
    from psycopg2.extensions import make_dsn

    from grt_batch.sinks.database_url import parameters

    with database_of(config, borrow=True) as url:
        # Other users can see the arguments of a process.
        rest, environment = parameters(url), dict(os.environ)
        if "password" in rest:
            environment["PGPASSWORD"] = rest.pop("password")
        target = url if rest == parameters(url) else make_dsn(**rest)
        return subprocess.run([program, target, *arguments], check=False, env=environment).returncode


@db.command("upgrade")
@options("database", "work", "config", "debug")
@_TARGET
def db_upgrade(
    database: str | None, work: Path | None, config_file: Path | None, debug: bool, target: str | None
) -> None:
    """Upgrade the schema of the database, or of the TARGET, to this program's version. A run does this itself."""
    from grt_batch.ledger.ledger import ARCHIVE
    from grt_batch.modules.registry import discover
    from grt_batch.pipeline.targets import table_limits
    from grt_batch.sinks.postgres import upgrade
    from grt_batch.sinks.public_views import Threshold

    config = load(config_file, {"database": database, "work": work})
    at_its_database = at_target("db upgrade", config, target)
    only = table_limits(config)[target or MAIN]
    modules = discover(config.modules_dir).values()
    tables = [ARCHIVE, *(table for module in modules if not module.opt_in for table in module.tables)]
    tables = [table for table in tables if only is None or table.name in only]
    with database_of(at_its_database) as url:
        before, now = upgrade(
            url,
            tables,
            Threshold(config.public_value_jobs, config.public_value_instances),
            known=[table for module in modules for table in module.tables],
            lock_timeout_ms=config.lock_timeout_ms,
            lock_tries=config.lock_tries,
        )
    click.echo(f"schema version {now}" + (" already" if before == now else f", from {before or 'nothing'}"))
