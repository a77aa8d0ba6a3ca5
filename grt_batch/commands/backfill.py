"""The command that makes report sets of past days."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import Session, cli, options, text_table
from grt_batch.commands.launching import launch_ranks
from grt_batch.commands.run import FIRST_YEAR, bar, no_bar
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments
from grt_batch.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grt_batch.core.config import Config
    from grt_batch.modules.base import Module
    from grt_batch.pipeline.backfill import Backfill, PastDays

_DAY = click.DateTime(["%Y-%m-%d"])


@cli.command()
@options("uploads", "reports", "work", "modules-dir")
@click.option("--from", "first", type=_DAY, required=True, help="The first day.")
@click.option("--to", "last", type=_DAY, required=True, help="The last day, before today.")
@click.option(
    "--every",
    type=click.Choice(["day", "week", "month"]),
    default="day",
    show_default=True,
    help="The step from one day to the next, from the first one on.",
)
@click.option("--again", is_flag=True, help="Make also the sets that are there, but for the newest one.")
@click.option("--part", metavar="K/N", default="1/1", help="Only the K-th of N parts, as an element of an array job.")
@options("ranks", "hosts", "without-cold", "retries")
@click.option("--dry-run", is_flag=True, help="Only show which sets would be made, and what would be read for them.")
@options("config", "progress", "log-format")
@click.option("--html/--no-html", default=False, show_default=True, help="Make the report pages.")
@options("debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.pass_context
def backfill(
    context: click.Context,
    uploads: Path | None,
    reports: Path | None,
    work: Path | None,
    modules_dir: str | None,
    first: datetime,
    last: datetime,
    every: str,
    again: bool,
    part: str,
    ranks: int | None,
    hosts: str | None,
    without_cold: bool,
    retries: int,
    dry_run: bool,
    config_file: Path | None,
    progress: bool | None,
    log_format: str,
    html: bool,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Make the report sets of past days that are not there, of the MODULEs (all but the opt-in ones), from the archives
    of today. The database and `latest` stay as they are, and a run may go on meanwhile."""
    places = {"uploads": uploads, "reports": reports, "work": work, "modules_dir": modules_dir}
    config = load(config_file, {**places, "hosts": hosts})
    days = _days(first, last, every, part)
    wanted = _modules(config, modules)
    coordinator = context.ensure_object(Session).coordinator
    shown = sys.stderr.isatty() if progress is None else progress
    if ranks is not None and coordinator is None and not dry_run:
        # The ranks do not see the terminal.
        return launch_ranks(context, config, ranks, retries, {"progress": shown})
    from grt_batch.commands.made import made_of_tables
    from grt_batch.core.logs import set_up
    from grt_batch.core.work_folder import beside, keep_kernels_in, set_umask
    from grt_batch.directory.people import remembered_people
    from grt_batch.pipeline.backfill import Backfill
    from grt_batch.pipeline.executor import SerialExecutor
    from grt_batch.pipeline.notices import log_uploads
    from grt_batch.pipeline.plan import find_uploads
    from grt_batch.pipeline.request import new_run_id
    from grt_batch.ranks.messages import RunSettings
    from grt_batch.store.archive_index import UnsavedIndex

    index = UnsavedIndex(config.work, config.uploads)
    it = Backfill(
        config=config,
        days=days,
        modules=wanted,
        uploads=find_uploads(config, index),
        index=index,
        executor=coordinator or SerialExecutor(),
        again=again,
        ranks=coordinator.transport.size if coordinator else 1,
        without_cold=without_cold,
        people=remembered_people(config),
        made=lambda day: made_of_tables(config, day, pages=True, documents=False) if html else {},
    )
    if dry_run:
        _show_plan(it)
        return 0
    set_umask(config)
    keep_kernels_in(config.work)
    run_id = new_run_id(datetime.now(UTC))
    set_up(log_format, run_id, 0, "coordinator" if coordinator else "serial")
    if coordinator is not None:
        coordinator.settings = RunSettings(run_id, log_format, debug)
    log_uploads(it.uploads, index)
    with beside(config.work):
        return _make_sets(it, shown=shown)


def _days(first: datetime, last: datetime, every: str, part: str) -> PastDays:
    from grt_batch.pipeline.backfill import Every, PastDays

    def bad(what: str) -> BadArguments:
        return BadArguments(command="backfill", what=what)

    number, _, parts = part.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise bad(f"--part {part} is none like 1/4, the first of four")
    if first.year < FIRST_YEAR:
        raise bad(f"--from {first:%Y-%m-%d} lies before {FIRST_YEAR}")
    if last < first:
        raise bad(f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}")
    if last.date() > datetime.now(UTC).date() - timedelta(1):
        raise bad(f"--to {last:%Y-%m-%d} is not over (UTC): that day is for grt-batch run")
    return PastDays(first.date(), last.date(), Every(every), int(number) - 1, int(parts))


def _modules(config: Config, names: tuple[str, ...]) -> Sequence[Module]:
    from grt_batch.modules.export import Export
    from grt_batch.modules.registry import chosen

    modules = chosen(names, config.modules_dir)
    exports = [module.name for module in modules if isinstance(module, Export)]
    if exports:
        raise BadArguments(command="backfill", what=f"{', '.join(exports)}: an export has no past days")
    return modules


def _show_plan(it: Backfill) -> None:
    from grt_batch.pipeline.backfill import place_of

    rows = []
    shared = False
    for day in it.days:
        place = place_of(it.config.reports, day)
        # All sets share what is read for the first one.
        sizes = [] if shared or not it.makes(place) else it.to_read(day)
        shared = shared or it.makes(place)
        what = "to make" if it.makes(place) else place.value
        rows.append([day.isoformat(), what, str(len(sizes)), str(sum(sizes))])
    click.echo(text_table(["day", "set", "archives to read", "bytes to read"], rows))


def _make_sets(it: Backfill, *, shown: bool) -> int:
    made, is_whole = 0, True
    days = list(it.days)
    for day, summary in it.sets(bar if shown else no_bar):
        if summary is None:
            click.echo(f"{day}: stays as it is")
            continue
        made += 1
        is_whole = is_whole and summary.is_whole
        numbers = summary.numbers
        archives = counted(numbers["archives"]["published"], "archive")
        click.echo(f"{day}: {counted(numbers['jobs'], 'job')} of {archives} in {summary.folder}")
    click.echo(f"{made} of {counted(len(days), 'set')} made in {it.config.reports}")
    return 0 if is_whole else 1
