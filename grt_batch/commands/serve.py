"""The command that starts the service."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options
from grt_batch.core.config_file import load


@cli.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="TCP port, 0 for a free one.  [default: 8080]")
@options("uploads", "database", "reports", "work", "config")
@click.option(
    "--log-format", default="text", show_default=True, type=click.Choice(["text", "json"]), help="Form of the log."
)
@options("debug")
def serve(
    host: str | None,
    port: int | None,
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    config_file: Path | None,
    log_format: str,
    debug: bool,
) -> None:
    """Take archives from Galaxy servers, and answer questions, over HTTP, until a signal ends it.

    The address it listens on is in its log. docs/service.md explains how to set it up.
    """
    from grt_batch.core.errors import NoService
    from grt_batch.core.logs import logger, set_up
    from grt_batch.core.wording import counted
    from grt_batch.core.work_folder import set_umask
    from grt_batch.queries.definitions import queries_folder, read
    from grt_batch.service.keys import KeyStore

    given = {
        "host": host,
        "port": port,
        "uploads": uploads,
        "database": database,
        "reports": reports,
        "work": work,
    }
    config = load(config_file, given)
    queries = read(queries_folder(config_file))
    try:
        from grt_batch.service.application import application
        from grt_batch.service.receiving import sweep
        from grt_batch.service.server import listen, serve_on
    except ModuleNotFoundError as error:
        raise NoService(package=error.name) from None
    set_up(log_format, "", "", "service")
    set_umask(config)
    with listen(config.host, config.port) as listening:
        left = sweep(config.uploads)
        if left:
            logger.info("%s of a service that was killed removed", counted(left, "hidden file"))
        # Keys that cannot be read are an error here; later, the service goes on with those that it knows.
        if not KeyStore(config.keys_path, config.uploads).instances():
            logger.warning("no instance has a key yet: see grt-batch instance add --help")
        serve_on(application(config, queries), listening, config)
