"""The command that cleans the store."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, options, text_table
from grt_batch.core.config_file import load


@cli.command()
@options("work", "config")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@options("debug")
def gc(work: Path | None, config_file: Path | None, dry_run: bool, debug: bool) -> None:
    """Remove partial results that no archive needs any more: none that is here, none that was removed, and none in
    cold storage."""
    from grt_batch.core.errors import Locked
    from grt_batch.core.work_folder import alone, lock, set_umask
    from grt_batch.pipeline.gc import EntryCount, collect
    from grt_batch.store.archive_index import ArchiveIndex
    from grt_batch.store.store import Store
    from grt_batch.uploads.storage import Place, stored_archives

    config = load(config_file, {"work": work})
    set_umask(config)
    store = Store(config.work / "store")
    with lock(config.work), alone(config.work) as is_alone:
        if not is_alone:
            raise Locked(holder="a backfill", work=config.work)
        store.tidy()
        stored = stored_archives(config.uploads)
        counts = collect(
            store,
            ArchiveIndex(config.work, config.uploads),
            dry_run=dry_run,
            modules_dir=config.modules_dir,
            cold={(one.instance_id, one.name) for one in stored if one.place is not Place.HOT},
        )
    kept, removed = (sum((pair[column] for pair in counts.values()), EntryCount()) for column in (0, 1))
    rows = [
        [kind, *(str(number) for count in pair for number in (count.entries, count.bytes))]
        for kind, pair in (*sorted(counts.items()), ("in all", (kept, removed)))
    ]
    gone = "to remove" if dry_run else "removed"
    click.echo(text_table(["kind", "kept", "bytes kept", gone, f"bytes {gone}"], rows))
