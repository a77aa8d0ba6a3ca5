"""The command that moves raw archives to cold storage."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import cli, named_values, options
from grt_batch.core.config_file import load
from grt_batch.core.errors import printable
from grt_batch.core.logs import without_passwords
from grt_batch.core.wording import counted


@cli.command()
@click.argument("words", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--to", "cold_to", metavar="URL", help="s3://bucket/prefix, file:///tape, …  [default: cold_to]")
@click.option(
    "--after-days",
    type=click.IntRange(min=0),
    help="Only archives that were made so long ago.  [default: cold_after_days]",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be moved. The store is not asked.")
@options("uploads", "work", "config", "debug")
def archive(
    words: tuple[str, ...],
    cold_to: str | None,
    after_days: int | None,
    dry_run: bool,
    uploads: Path | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> int:
    """Move raw archives that are published and old to cold storage; their N.json stays.

    NAME=VALUE chooses among them, as for grt-batch fetch. An archive is copied, compared with the copy by the store's
    checksum, marked by N.cold, and only then removed here. docs/cold.md explains the rules.
    """
    from grt_batch.cold.archiving import move, object_url
    from grt_batch.cold.policy import leaving, lock_folder
    from grt_batch.cold.restoring import finish
    from grt_batch.cold.stores import ColdStores, check_url
    from grt_batch.cold.tally import Tally
    from grt_batch.core.work_folder import lock, set_umask
    from grt_batch.service.filter import Filter

    wanted = Filter.parse(named_values("archive", words))
    given = {"uploads": uploads, "work": work, "cold_to": cold_to, "cold_after_days": after_days}
    config = load(config_file, given)
    target, stores = config.cold_to, ColdStores(config.cold_storage_class)
    check_url(target)
    store = stores.of(target)
    if dry_run:
        archives = list(leaving(config, wanted))
        for one in archives:
            click.echo(f"{one.label}: would be moved to {object_url(target, one)} ({counted(one.bytes, 'byte')})")
        requests = sum(store.requests(one.bytes) for one in archives)
        by = f" by about {counted(requests, 'request')}" if requests else ""
        click.echo(f"would move {_sum(len(archives), sum(one.bytes for one in archives))} to {target}{by}")
        return 0
    set_umask(config)
    tally = Tally(click.echo, complain)
    with lock(lock_folder(config)):
        finish(config)
        archives = list(leaving(config, wanted))
        try:
            move(config, archives, target, stores, tally)
        finally:
            click.echo(f"moved {_sum(tally.done, tally.bytes)} to {target}{tally.failures}")
    return tally.code()


def complain(text: str) -> None:
    """Print what failed, on one line of standard error."""
    click.echo(f"grt-batch: {printable(without_passwords(' '.join(text.split())))}", err=True)


def _sum(archives: int, size: int) -> str:
    return f"{counted(archives, 'archive')} ({counted(size, 'byte')})"
