"""The command that brings raw archives back from cold storage."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import cli, named_values, options, text_table
from grt_batch.commands.archive import complain
from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments, Locked, NothingToRead
from grt_batch.core.wording import counted

if TYPE_CHECKING:
    from grt_batch.cold.policy import Marked
    from grt_batch.cold.restoring import Wish
    from grt_batch.cold.store import Tier
    from grt_batch.service.filter import Filter


@cli.command()
@click.argument("words", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All archives that are in cold storage.")
@click.option(
    "--tier",
    type=click.Choice(["expedited", "standard", "bulk"]),
    help="How fast an archive class is to give them back; standard, where it has nothing expedited now."
    "  [default: as before, else expedited]",
)
@click.option("--status", is_flag=True, help="Only show what is under way. The store is not asked.")
@click.option("--then-run", is_flag=True, help="Compute their instances again when all of them are there.")
@click.option("--dry-run", is_flag=True, help="Only ask the store what would be done.")
@options("uploads", "database", "reports", "work", "config", "debug")
def restore(
    words: tuple[str, ...],
    everything: bool,
    tier: Tier | None,
    status: bool,
    then_run: bool,
    dry_run: bool,
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> int:
    """Bring raw archives back from cold storage, to their old places.

    NAME=VALUE chooses them, as for grt-batch fetch. All are asked for; those that can be read are fetched at once, the
    others by a later call. Without NAME=VALUE and --all it goes on with what is under way.
    """
    from grt_batch.cold.policy import lock_folder
    from grt_batch.cold.restoring import Wish, finish
    from grt_batch.core.work_folder import lock, set_umask
    from grt_batch.service.filter import Filter

    if words and everything:
        raise BadArguments(command="restore", what="--all leaves nothing to choose by NAME=VALUE")
    wanted = Filter.parse(named_values("restore", words))
    places = {"uploads": uploads, "database": database, "reports": reports, "work": work}
    config = load(config_file, places)
    chosen = _chosen(config, wanted, under_way=status or not (words or everything))
    if words and not chosen:
        raise NothingToRead(folder=config.uploads, what="no archive in cold storage passes the filter")
    if status:
        return _show_status(chosen)
    wish = Wish(tier, config.cold_thawed_days, then_run)
    if dry_run:
        return _show_what_would_be_done(chosen, wish)
    set_umask(config)
    with lock(lock_folder(config)):
        finish(config)
        # Another call may have changed them until it released the lock.
        code = _restore(_chosen(config, wanted, under_way=not (words or everything)), wish)
    return max(code, _run_if_all_are_there(config, {**places, "config": config_file}))


def _chosen(config: Config, wanted: Filter, *, under_way: bool) -> list[Marked]:
    """Return the archives in cold storage that pass, or of these only what is under way."""
    from grt_batch.cold.policy import away, is_wanted

    return [one for one in away(config, wanted) if not under_way or is_wanted(one)]


def _restore(chosen: Sequence[Marked], wish: Wish) -> int:
    from grt_batch.cold.restoring import Restoring
    from grt_batch.cold.stores import ColdStores
    from grt_batch.cold.tally import Tally

    tally = Tally(click.echo, complain)
    restoring = Restoring(ColdStores(), tally, wish)
    try:
        restoring.restore(chosen)
    finally:
        waiting = f"; {counted(restoring.waiting, 'archive')} under way" if restoring.waiting else ""
        done = f"{counted(tally.done, 'archive')} ({counted(tally.bytes, 'byte')})"
        click.echo(f"restored {done}{waiting}{tally.failures}")
    return tally.code(restoring.waiting)


def _show_what_would_be_done(chosen: Sequence[Marked], wish: Wish) -> int:
    from grt_batch.cold.restoring import Restoring
    from grt_batch.cold.stores import ColdStores
    from grt_batch.cold.tally import Tally

    tally, archives, size = Tally(click.echo, complain), 0, 0
    for one, copy, what in Restoring(ColdStores(), tally, wish).would(chosen):
        click.echo(f"{one.label}: {what} ({counted(copy.bytes, 'byte')})")
        archives, size = archives + 1, size + copy.bytes
    click.echo(f"would restore {counted(archives, 'archive')} ({counted(size, 'byte')}){tally.failures}")
    return tally.code(archives)


def _show_status(chosen: Sequence[Marked]) -> int:
    """Print the requests that the markers remember."""
    from grt_batch.cold.restoring import TIER
    from grt_batch.uploads.cold import ColdCopy

    copies = [(one, one.copy) for one in chosen if isinstance(one.copy, ColdCopy)]
    titles = ["instance", "archive", "bytes", "class", "tier", "asked for", "copy"]
    rows = [
        [
            one.instance_id,
            one.name,
            str(copy.bytes),
            copy.storage_class,
            str(copy.request.get(TIER, "")),
            copy.thawing,
            copy.url,
        ]
        for one, copy in copies
    ]
    if rows:
        click.echo(text_table(titles, rows))
    click.echo(f"{counted(len(rows), 'archive')} under way ({counted(sum(copy.bytes for _, copy in copies), 'byte')})")
    return 0


def _run_if_all_are_there(config: Config, places: dict[str, Path | str | None]) -> int:
    """Start the run that was asked for, once nothing that it needs is away, and return its exit code."""
    from grt_batch.cold.policy import RUN, asked_for_a_run
    from grt_batch.core.work_folder import lock
    from grt_batch.service.on_upload import DONE, start
    from grt_batch.uploads.cold import write_cold

    asked = asked_for_a_run(config)
    if not asked or not all(one.tar.exists() for one, _ in asked):
        return 0
    try:
        with lock(config.work):
            pass
    except Locked:
        click.echo("the run that was asked for waits, since another run is under way: call grt-batch restore again")
        return 0
    instances = sorted({one.instance_id for one, _ in asked})
    given = [f"--{name}={value}" for name, value in places.items() if value is not None]
    chosen = [f"--instance={instance_id}" for instance_id in instances]
    code = start(shlex.join([sys.executable, "-m", "grt_batch.cli", "run", "--recalculate", *chosen, *given]))
    if code in DONE:
        for one, copy in asked:
            rest = {name: value for name, value in copy.request.items() if name != RUN}
            write_cold(one.marker, replace(copy, request=rest))
    return code
