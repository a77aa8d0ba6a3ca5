"""The command that looks after the store."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options, text_table
from grt_batch.config import load


@cli.command()
@options("work", "config")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@options("debug")
def gc(work: Path | None, config_file: Path | None, dry_run: bool, debug: bool) -> None:
    """Remove from the store what no archive needs that is there, or is gone and still remembered."""
    from grt_batch.index import Index
    from grt_batch.modes import set_umask
    from grt_batch.partials import Store
    from grt_batch.run import lock
    from grt_batch.upkeep import Count, collect

    config = load(config_file, {"work": work})
    set_umask(config)
    store = Store(config.work / "store")
    with lock(config.work):
        store.tidy()
        counts = collect(store, Index(config.work, config.uploads), dry_run=dry_run)
    kept, removed = (sum((pair[column] for pair in counts.values()), Count()) for column in (0, 1))
    rows = [
        [kind, *(str(number) for count in pair for number in (count.entries, count.bytes))]
        for kind, pair in (*sorted(counts.items()), ("in all", (kept, removed)))
    ]
    gone = "to remove" if dry_run else "removed"
    click.echo(text_table(["kind", "kept", "bytes kept", gone, f"bytes {gone}"], rows))
