"""The commands that compute: run, plan, demo, sample, warm."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grt_batch.commands import FOLDER, cli, database_of, options, text_table
from grt_batch.config import Config, load
from grt_batch.errors import SIGNALLED, BadArguments, RankLost, Stopped

if TYPE_CHECKING:
    from grt_batch.plan import Planned
    from grt_batch.ranks.coordinator import Coordinator


_FIRST_YEAR = 1970


@cli.command()
@options("uploads", "database", "reports", "work")
@click.option("--instance", "instances", multiple=True, metavar="ID", help="Read only this instance; may be repeated.")
@click.option("--recalculate", is_flag=True, help="Forget partial results: everything again from the raw logs.")
@click.option("--forget", is_flag=True, help="Let the numbers of archives go that are gone.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="End of the 7- and 30-day windows.  [default: today]")
@click.option("--ranks", type=click.IntRange(min=1), help="Start that many ranks under mpirun.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="With --ranks: how often to start again, from what was computed, when a rank was lost.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--profile", is_flag=True, help="Write what each rank did when, for Perfetto or chrome://tracing.")
@options("config")
@click.option("--progress/--no-progress", default=None, help="A progress bar, by bytes.  [default: on a terminal]")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the log lines.",
)
@options("debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@click.pass_obj
def run(
    coordinator: Coordinator | None,
    uploads: Path | None,
    database: str | None,
    reports: Path | None,
    work: Path | None,
    instances: tuple[str, ...],
    recalculate: bool,
    forget: bool,
    as_of: datetime | None,
    ranks: int | None,
    retries: int,
    dry_run: bool,
    profile: bool,
    config_file: Path | None,
    progress: bool | None,
    log_format: str,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Compute the tables of the MODULEs (all but the opt-in ones) from the archives, and publish them."""
    config = load(config_file, {"uploads": uploads, "database": database, "reports": reports, "work": work})
    if as_of is not None and as_of.year < _FIRST_YEAR:
        raise BadArguments(command="run", what=f"--as-of {as_of:%Y-%m-%d} lies before {_FIRST_YEAR}")
    if dry_run:
        return show_plan(config, instances, modules, "table", forget=forget)
    if ranks is not None and coordinator is None:
        shown = sys.stderr.isatty() if progress is None else progress
        bar = "--progress" if shown else "--no-progress"
        code = _launch(ranks, [bar, *without_ranks(sys.argv[1:])], config, retries)
        if code > SIGNALLED:
            raise Stopped(code - SIGNALLED)
        return code
    from socket import gethostname

    from grt_batch.logs import logger, set_up
    from grt_batch.modes import set_umask
    from grt_batch.profiles import folder_of, write
    from grt_batch.ranks.heartbeat import note_published
    from grt_batch.reduction import Alone, Crew
    from grt_batch.run import Request, execute, lock, new_run_id

    started = datetime.now(UTC).replace(tzinfo=None)
    request = Request(
        config=config,
        as_of=as_of.date() if as_of else started.date(),
        modules=modules,
        instances=instances,
        recalculate=recalculate,
        forget=forget,
        ranks=coordinator.wire.size if coordinator else 1,
        run_id=new_run_id(started),
        started=started,
    )
    set_umask(config)
    set_up(log_format, request.run_id, 0, "coordinator" if coordinator else "serial")
    profiles = folder_of(config.work, request.run_id) if profile else None
    if coordinator is not None:
        coordinator.run_id = request.run_id
        coordinator.profiles = profiles
    crew: Crew = coordinator or Alone()
    crew.clock.recording = profile
    shown = sys.stderr.isatty() if progress is None else progress
    with lock(config.work):
        summary = execute(request, crew, lambda: database_of(config), _bar if shown else _no_bar)
    note_published()
    if profiles:
        write(profiles, 0, gethostname(), crew.clock)
        click.echo(f"profile: {profiles}/rank-*.json, for https://ui.perfetto.dev or chrome://tracing")
    for instance_id, archive, reason in summary.quarantined:
        logger.warning("%s is in quarantine: %s", archive, reason, extra={"instance": instance_id})
    numbers = summary.numbers
    removed = f", {numbers['archives']['removed']} removed" if numbers["archives"]["removed"] else ""
    click.echo(
        f"{numbers['jobs']} jobs of {numbers['archives']['published']} archives published in {summary.folder}"
        f" ({numbers['archives']['quarantined']} archives in quarantine,"
        f" {numbers['archives']['incomplete']} incomplete, {numbers['rejected']} lines rejected{removed})"
    )
    return 1 if summary.quarantined else 0


def _launch(ranks: int, arguments: Sequence[str], config: Config, retries: int) -> int:
    """Run with so many ranks, and again where one was lost; the exit code of the last run."""
    from grt_batch.modes import set_umask
    from grt_batch.ranks.launcher import launch

    set_umask(config)
    start = partial(
        launch, ranks, arguments, config.work, config.heartbeat_seconds, fault_tolerant=config.fault_tolerant
    )
    for again in range(1, retries + 1):
        code = start()
        if code != RankLost.exit_code:
            return code
        click.echo(f"grt-batch: starting again ({again} of {retries} retries)", err=True)
    return start()


def without_ranks(arguments: Sequence[str]) -> list[str]:
    """The arguments of `run` for the ranks themselves."""
    rest = list(arguments[1:] if arguments[:1] == ["run"] else arguments)
    for option in ("--ranks", "--retries"):
        while option in rest:
            at = rest.index(option)
            del rest[at : at + 2]
        rest = [argument for argument in rest if not argument.startswith(f"{option}=")]
    return rest


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, desc="archives") as bar:

        def tell(done: int) -> None:
            bar.update(done)

        yield tell


def _no_bar(total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda done: None)


@cli.command()
@options("uploads", "reports", "work")
@click.option("--instance", "instances", multiple=True, metavar="ID", help="Only this instance; may be repeated.")
@options("config")
@click.option(
    "--print",
    "form",
    type=click.Choice(["table", "json", "ranks", "minutes"]),
    default="table",
    show_default=True,
    help="All of it, or only the ranks or minutes that are advised.",
)
@options("debug")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
def plan(
    uploads: Path | None,
    reports: Path | None,
    work: Path | None,
    instances: tuple[str, ...],
    config_file: Path | None,
    form: str,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Say what a run would do and why, how many bytes it would read, and the ranks and time that this suggests."""
    config = load(config_file, {"uploads": uploads, "reports": reports, "work": work})
    return show_plan(config, instances, modules, form)


def show_plan(
    config: Config, instances: tuple[str, ...], modules: tuple[str, ...], form: str, *, forget: bool = False
) -> int:
    """Print what a run would do: as a table, as JSON, or only the advised ranks or minutes."""
    from grt_batch.index import Index
    from grt_batch.model import model_of
    from grt_batch.module import chosen
    from grt_batch.partials import Store
    from grt_batch.plan import advise, find, survey

    index = Index(config.work, config.uploads)
    uploads = find(config, index, instances, forget=forget)
    planned = survey(uploads, Store(config.work / "store"), index, config, chosen(modules))
    planned = [item for item in planned if not instances or item.archive.instance_id in instances]
    advice = advise(planned, config, model_of(config.reports))
    if form in ("ranks", "minutes"):
        click.echo(getattr(advice, form))
        return 0
    rows = [_plan_row(item) for item in planned]
    if form == "json":
        import orjson

        document = {"archives": rows, "advice": advice, "passed_over": uploads.passed_over}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 0
    click.echo(text_table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]))
    for line in uploads.passed_over:
        click.echo(f"passed over: {line}")
    if index.damaged:
        click.echo(f"damaged: {index.file}; which archives are gone is not known any more")
    click.echo(
        f"about {advice.seconds} seconds for {advice.bytes_to_read} bytes to read; advised: --ranks {advice.ranks},"
        f" {advice.minutes} minutes of a batch system"
    )
    return 0


def _plan_row(item: Planned) -> dict[str, Any]:
    archive = item.archive
    return {
        "instance": archive.instance_id,
        "archive": archive.name,
        "state": item.step.value,
        "bytes": archive.bytes,
        "why": item.why,
    }


@cli.command()
@click.argument("folder", type=FOLDER)
@click.option("--instances", default=4, show_default=True, type=click.IntRange(min=1), help="Galaxy servers.")
@click.option("--archives", default=3, show_default=True, type=click.IntRange(min=1), help="Archives of each.")
@click.option("--jobs", default=100_000, show_default=True, type=click.IntRange(min=1), help="Job lines, in all.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="The same seed, the same bytes.")
@options("debug")
def sample(folder: Path, instances: int, archives: int, jobs: int, seed: int, debug: bool) -> None:
    """Write sample uploads into FOLDER."""
    _sample(folder, instances, archives, jobs, seed)


def _sample(folder: Path, instances: int, archives: int, jobs: int, seed: int) -> date:
    from grt_batch.sample import UNTIL, write_sample

    summary = write_sample(folder, instances=instances, archives=archives, jobs=jobs, seed=seed)
    click.echo(
        f"{summary.jobs} jobs in {summary.archives} archives of {summary.instances} instances written to {folder}"
        f" ({summary.bytes} bytes of tar.gz, {summary.text_bytes} of text)"
    )
    return UNTIL


def _called() -> str:
    """This program, as it was called."""
    program = Path(sys.argv[0])
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


@cli.command()
@click.option("--folder", type=FOLDER, default=Path("demo"), show_default=True, help="Where everything goes.")
@click.option("--jobs", default=50_000, show_default=True, type=click.IntRange(min=12), help="Job lines, in all.")
@click.option("--ranks", default=3, show_default=True, type=click.IntRange(min=1), help="MPI ranks.")
@options("debug")
def demo(folder: Path, jobs: int, ranks: int, debug: bool) -> int:
    """Write sample uploads, run all modules on them with several ranks, and show where the results are."""
    import shutil
    from importlib.util import find_spec

    from grt_batch.module import discover
    from grt_batch.ranks.launcher import launch

    uploads = folder / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)
    until = _sample(uploads, 4, 3, jobs, 1)
    places = ["--uploads", str(uploads), "--reports", str(folder / "reports"), "--work", str(folder / "work")]
    modules = [name for name, module in discover().items() if all(map(find_spec, module.packages))]
    arguments = [*places, "--database", "embedded", "--as-of", until.isoformat(), *modules]
    code = launch(ranks, arguments, folder / "work")
    if code:
        return code
    latest = folder / "reports" / "latest"
    click.echo(f"\nThe reports are in {latest}/:")
    for file in sorted(latest.iterdir()):
        click.echo(f"  {file.name}{'/' if file.is_dir() else ''}")
    for name in ("tool_usage.tsv", "instance_status.tsv"):
        click.echo(f"\nThe first lines of {name}:")
        with (latest / name).open(encoding="utf-8") as lines:
            for _, line in zip(range(6), lines, strict=False):
                click.echo(f"  {line.rstrip()[:150]}")
    work = folder / "work"
    click.echo(f"\nThe tables are in the embedded database: {_called()} db psql --work {work}")
    click.echo(f"Ask it: {_called()} query --list; {_called()} query tool-memory-efficiency --work {work}")
    return 0


@cli.command()
def warm() -> None:
    """Compile the decoder and keep it on disk, so that the first run need not."""
    from grt_batch.decode import warm as compile_kernels

    compile_kernels()
