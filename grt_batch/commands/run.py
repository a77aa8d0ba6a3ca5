"""The command that computes the tables and publishes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import Session, cli, database_of, options
from grt_batch.commands.ending import Ending
from grt_batch.commands.launching import launch_ranks
from grt_batch.commands.plan import show_plan
from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.config_values import MAIN
from grt_batch.core.errors import BadArguments
from grt_batch.core.wording import counted
from grt_batch.ranks.word import FOLDER_VARIABLE

if TYPE_CHECKING:
    from grt_batch.pipeline.gate import Gate
    from grt_batch.pipeline.request import RunRequest
    from grt_batch.ranks.coordinator import Coordinator

FIRST_YEAR = 1970
"""The first year that an as-of day may lie in."""


@cli.command()
@options("uploads", "database", "targets", "reports", "work", "modules-dir")
@click.option("--instance", "instances", multiple=True, metavar="ID", help="Read only this instance; may be repeated.")
@click.option("--recalculate", is_flag=True, help="Forget partial results: everything again from the raw logs.")
@click.option("--forget", is_flag=True, help="Drop the numbers of archives that were removed.")
@options("without-cold")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="End of the 7- and 30-day windows.  [default: today]")
@options("ranks", "hosts", "retries")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--profile", is_flag=True, help="Write a profile of each rank, for Perfetto or chrome://tracing.")
@options("config", "progress", "log-format")
@click.option(
    "--html/--no-html",
    default=None,
    help="Make the report pages.  [default: where their packages are installed]",
)
@options("debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.pass_context
def run(
    context: click.Context,
    uploads: Path | None,
    database: str | None,
    targets: tuple[str, ...],
    reports: Path | None,
    work: Path | None,
    modules_dir: str | None,
    instances: tuple[str, ...],
    recalculate: bool,
    forget: bool,
    without_cold: bool,
    as_of: datetime | None,
    ranks: int | None,
    hosts: str | None,
    retries: int,
    dry_run: bool,
    profile: bool,
    config_file: Path | None,
    progress: bool | None,
    log_format: str,
    html: bool | None,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Compute the tables of the MODULEs (all but the opt-in ones) from the archives, and publish them."""
    places = {"uploads": uploads, "database": database, "reports": reports, "work": work, "modules_dir": modules_dir}
    config = load(config_file, {**places, "hosts": hosts, "html": html})
    named, modules = words_of(config, targets, modules)
    if as_of is not None and as_of.year < FIRST_YEAR:
        raise BadArguments(command="run", what=f"--as-of {as_of:%Y-%m-%d} lies before {FIRST_YEAR}")
    if dry_run:
        day = as_of.date() if as_of else date.max
        again = (instances or None) if recalculate else ()
        return show_plan(config, instances, modules, "table", forget=forget, again=again, as_of=day)
    session = context.ensure_object(Session)
    session.ending = Ending(config, is_rank_of_launch=FOLDER_VARIABLE in os.environ)
    coordinator = session.coordinator
    shown = sys.stderr.isatty() if progress is None else progress
    if ranks is not None and coordinator is None:
        # The ranks do not see the terminal.
        return launch_ranks(context, config, ranks, retries, {"progress": shown})
    from grt_batch.commands.made import names_of_modules
    from grt_batch.pipeline.request import RunRequest, new_run_id
    from grt_batch.sinks.report_set import DOCUMENTS, PAGES

    started = datetime.now(UTC).replace(tzinfo=None)
    request = RunRequest(
        config=config,
        as_of=as_of.date() if as_of else started.date(),
        modules=names_of_modules(modules),
        instances=instances,
        targets=named,
        recalculate=recalculate,
        forget=forget,
        without_cold=without_cold,
        ranks=coordinator.transport.size if coordinator else 1,
        run_id=new_run_id(started),
        started=started,
    )
    asked_for = html or (html is None and PAGES in modules)
    return publish_run(
        request,
        coordinator,
        with_pages=asked_for,
        with_documents=DOCUMENTS in modules,
        shown=shown,
        log_format=log_format,
        profile=profile,
        debug=debug,
    )


def publish_run(
    request: RunRequest,
    coordinator: Coordinator | None,
    gate: Gate | None = None,
    *,
    with_pages: bool = False,
    with_documents: bool = False,
    shown: bool = False,
    log_format: str = "text",
    profile: bool = False,
    debug: bool = False,
) -> int:
    """Carry out a run, say what was published, and return its exit code. `shown` is whether there is a progress bar.
    `with_pages` asks for report pages; without it they are made where they can be. `with_documents` asks for documents,
    which are not made otherwise."""
    from socket import gethostname

    from grt_batch.commands.made import made_of_tables
    from grt_batch.core.logs import logger, set_up
    from grt_batch.core.trace import trace_folder, write
    from grt_batch.core.work_folder import keep_kernels_in, lock, set_umask
    from grt_batch.directory.people import people_of
    from grt_batch.pipeline.executor import Executor, SerialExecutor
    from grt_batch.pipeline.run import execute
    from grt_batch.ranks.messages import RunSettings
    from grt_batch.ranks.word import note_committed

    config = request.config
    set_umask(config)
    keep_kernels_in(config.work)
    set_up(log_format, request.run_id, 0, "coordinator" if coordinator else "serial")
    made = made_of_tables(config, request.as_of, pages=with_pages, documents=with_documents)
    people = people_of(config)
    profiles = trace_folder(config.work, request.run_id) if profile else None
    if coordinator is not None:
        coordinator.settings = RunSettings(request.run_id, log_format, debug, profiles)
    executor: Executor = coordinator or SerialExecutor()
    executor.clock.recording = profile
    with lock(config.work):
        summary = execute(
            request,
            executor,
            lambda: database_of(config),
            bar if shown else no_bar,
            gate=gate,
            made=made,
            people=people,
            committed=note_committed,
        )
    if profiles:
        write(profiles, 0, gethostname(), executor.clock)
        click.echo(f"profile: {profiles}/rank-*.json, for https://ui.perfetto.dev or chrome://tracing")
    for instance_id, archive, reason in summary.quarantined:
        logger.warning("%s is in quarantine: %s", archive, reason, extra={"instance": instance_id})
    numbers = summary.numbers
    archives = numbers["archives"]
    removed = f", {archives['removed']} removed" if archives["removed"] else ""
    click.echo(
        f"{counted(numbers['jobs'], 'job')} of {counted(archives['published'], 'archive')} published in"
        f" {summary.folder} ({counted(archives['quarantined'], 'archive')} in quarantine,"
        f" {archives['incomplete']} incomplete, {counted(numbers['rejected'], 'line')} rejected{removed})"
        + (f", but not to the target {', '.join(summary.failed)}" if summary.failed else "")
    )
    return 0 if summary.is_whole else 1


def words_of(config: Config, targets: Sequence[str], words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of targets and those of modules. After --targets, words may be of either kind, and no name is of
    both."""
    named = [name for each in targets for name in each.split(",") if name]
    if not named:
        return (), tuple(words)
    known = {MAIN, *config.targets}
    named += [word for word in words if word in known]
    return tuple(named), tuple(word for word in words if word not in known)


@contextmanager
def bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar for so many bytes, and yield what is called with those just done."""
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, desc="archives") as shown:

        def tell(done: int) -> None:
            shown.update(done)

        yield tell


def no_bar(total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Show nothing."""
    return nullcontext(lambda done: None)
