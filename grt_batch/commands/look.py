"""The commands that look: modules, check, status, rejects."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import FOLDER, cli, database_of, options, text_table
from grt_batch.config import load


@cli.command()
def modules() -> None:
    """List the modules: what each answers, and its tables."""
    from grt_batch.module import discover

    for name, module in discover().items():
        click.echo(f"{name}{' (opt-in)' if module.opt_in else ''}: {' '.join((module.__doc__ or '').split())}")
        click.echo(f"    tables: {', '.join(table.name for table in module.tables)}")


@cli.command()
@click.argument("folder", type=FOLDER)
@options("config", "debug")
def check(folder: Path, config_file: Path | None, debug: bool) -> int:
    """Validate the uploads below FOLDER, without a database: what would be published, rejected, in quarantine."""
    from grt_batch.checks import check_archive
    from grt_batch.uploads import scan

    config = load(config_file)
    uploads = scan(folder, settle_seconds=config.settle_seconds)
    bad = False
    for instance in uploads.instances:
        if instance.metadata.problem:
            click.echo(f"{instance.instance_id}: {instance.metadata.problem}")
        for archive in instance.archives:
            verdict = check_archive(archive, config)
            bad |= verdict.quarantined
            click.echo(f"{archive.instance_id}/{archive.name}: {verdict.text}")
    for line in uploads.passed_over:
        click.echo(f"passed over: {line}")
    return 1 if bad else 0


@cli.command()
@options("database", "work", "config", "debug")
def status(database: str | None, work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Show the ledger: instances, archives, those that are not published or were removed or replaced, last runs."""
    from grt_batch.checks import ledger_of, miscounted
    from grt_batch.index import Index

    config = load(config_file, {"database": database, "work": work})
    replaced = sorted(map(list, Index(config.work, config.uploads).replaced()))
    with database_of(config, borrow=True) as url:
        parts = [*ledger_of(url), ("replaced", ["instance_id", "archive", "when"], replaced)]
    parts.append(("miscounted", ["instance_id", "archive", "what"], miscounted(config)))
    for title, columns, rows in parts:
        click.echo(f"{title}: {'none' if not rows else ''}".rstrip())
        if rows:
            click.echo(text_table(columns, rows))
        click.echo()


@cli.command()
@options("reports")
@click.option("--instance", metavar="ID", help="Only this instance.")
@click.option("--archive", metavar="NAME", help="Only this archive.")
@click.option("--lines", is_flag=True, help="The rejected lines themselves.")
@options("config", "debug")
def rejects(
    reports: Path | None,
    instance: str | None,
    archive: str | None,
    lines: bool,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Show what was rejected, by archive and reason."""
    from grt_batch.checks import rejects_of

    config = load(config_file, {"reports": reports})
    columns, rows = rejects_of(config.reports, instance, archive, lines=lines)
    click.echo(text_table(columns, rows) if rows else "no line was rejected")
