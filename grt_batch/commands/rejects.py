"""The command that shows rejected lines."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options, or_what_is_held, text_table
from grt_batch.core.config_file import load


@cli.command()
@options("reports")
@click.option("--instance", metavar="ID", help="Only this instance.")
@click.option("--archive", metavar="NAME", help="Only this archive.")
@click.option("--lines", is_flag=True, help="Show the rejected lines themselves.")
@options("config", "debug")
def rejects(
    reports: Path | None,
    instance: str | None,
    archive: str | None,
    lines: bool,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Show the rejected lines by archive and reason."""
    from grt_batch.queries.ledger import rejects_of

    config = load(config_file, {"reports": reports})
    with or_what_is_held(config):
        columns, rows = rejects_of(config.reports, instance, archive, lines=lines)
    click.echo(text_table(columns, rows) if rows else "no line was rejected")
