"""The command that shows the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, database_of, options, text_table
from grt_batch.core.config import load


@cli.command()
@options("database", "work", "config", "debug")
def status(database: str | None, work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Show the ledger: instances, archives, unpublished, removed, replaced and doubtful archives, and the last runs."""
    from grt_batch.queries.ledger import doubtful, ledger_of
    from grt_batch.store.archive_index import ArchiveIndex

    config = load(config_file, {"database": database, "work": work})
    replaced = sorted(map(list, ArchiveIndex(config.work, config.uploads).replaced()))
    with database_of(config, borrow=True) as url:
        parts = [*ledger_of(url), ("replaced", ["instance_id", "archive", "when"], replaced)]
    parts += [(title, ["instance_id", "archive", "what"], rows) for title, rows in doubtful(config).items()]
    for title, columns, rows in parts:
        click.echo(f"{title}: {'none' if not rows else ''}".rstrip())
        if rows:
            click.echo(text_table(columns, rows))
        click.echo()
