"""The command that shows the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, database_of, options, text_table
from grt_batch.core.config import load


@cli.command()
@options("database", "reports", "work", "config", "debug")
def status(
    database: str | None, reports: Path | None, work: Path | None, config_file: Path | None, debug: bool
) -> None:
    """Show the ledger: instances, archives, unpublished, removed, replaced and doubtful archives, the last runs, and
    what the gate holds back."""
    from grt_batch.differences.findings import told
    from grt_batch.differences.held import held_sets
    from grt_batch.queries.ledger import doubtful, ledger_of
    from grt_batch.store.archive_index import ArchiveIndex

    config = load(config_file, {"database": database, "reports": reports, "work": work})
    replaced = sorted(map(list, ArchiveIndex(config.work, config.uploads).replaced()))
    with database_of(config, borrow=True) as url:
        parts = [*ledger_of(url), ("replaced", ["instance_id", "archive", "when"], replaced)]
    parts += [(title, ["instance_id", "archive", "what"], rows) for title, rows in doubtful(config).items()]
    held = [
        [str(held.as_of), held.run_id, "a later run has published" if held.settled else "waits", told(held.findings)]
        for held in held_sets(config.reports)
    ]
    parts.append(("held", ["as_of", "run_id", "state", "why"], held))
    for title, columns, rows in parts:
        click.echo(f"{title}: {'none' if not rows else ''}".rstrip())
        if rows:
            click.echo(text_table(columns, rows))
        click.echo()
