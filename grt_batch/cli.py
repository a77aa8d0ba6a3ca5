"""The command line: arguments, exit codes, and what is printed. The work is elsewhere, imported where it is done."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from grt_batch import __version__
from grt_batch.config import Config, load
from grt_batch.errors import BadArguments, GrtError, Unforeseen

if TYPE_CHECKING:
    from grt_batch.plan import Planned
    from grt_batch.ranks.coordinator import Coordinator
    from grt_batch.ranks.wire import Wire

_LAUNCHED_BY = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")
_SIGNALLED = 128
"""A process that ended by a signal has this and the signal's number for its exit code."""
_FOLDER = click.Path(file_okay=False, path_type=Path)


class Stopped(BaseException):
    """Ctrl-C, or the request of a batch system to end."""

    def __init__(self, number: int) -> None:
        self.exit_code = _SIGNALLED + number
        super().__init__(f"stopped by {signal.Signals(number).name}; nothing was published, what was computed is kept")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; under MPI, as this process's rank. Ends the process with the run's exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    wire = crew = None
    try:
        wire = _wire()
        if wire is not None and wire.rank > 0:
            _serve(wire, arguments, debug)
            sys.exit(0)
        crew = _crew(wire)
        code = _first_rank(arguments, crew)
    except Stopped as error:
        code = error.exit_code
        if wire is not None:
            # mpirun stops the ranks, for its own reasons or for those that it tells of.
            wire.abort(code)
        _say(error, code)
    except GrtError as error:
        code = _say(error, error.exit_code, debug)
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        unforeseen = Unforeseen(what=f"{type(error).__name__}: {error}")
        code = _say(unforeseen, unforeseen.exit_code)
    if crew is not None:
        crew.end(code)
    elif wire is not None:
        wire.abort(code)
    sys.stdout.flush()
    sys.exit(code)


def _wire() -> Wire | None:
    """The other ranks, where there are any. MPI is only loaded where a launcher of MPI was at work."""
    if "mpi4py.run" not in sys.modules and not any(name in os.environ for name in _LAUNCHED_BY):
        return None
    # A rank is one core's work; where a library starts a thread for each core, all ranks together start too many.
    for name in ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from grt_batch.ranks.wire import world

    return world()


def _crew(wire: Wire | None) -> Coordinator | None:
    """Who hands out the work, where there are other ranks."""
    if wire is None:
        return None
    from grt_batch.ranks.coordinator import Coordinator

    return Coordinator(wire)


def _serve(wire: Wire, arguments: Sequence[str], debug: bool) -> None:
    """Any rank but the first: no command line, only work. Its exit code is 0: the first has that of the run."""
    from grt_batch.ranks.worker import Rank

    # mpirun ends its ranks by these; a rank that keeps nothing has nothing to tidy.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    asked = " ".join(arguments).replace("=", " ")
    form = "json" if "--log-format json" in asked else "text"
    Rank(wire, form, debug=debug).serve()


def _first_rank(arguments: list[str], crew: Coordinator | None) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        result = cli.main(arguments, "grt-batch", standalone_mode=False, obj=crew)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See {context.command_path} --help." if context else ""
        return _say(error, BadArguments.exit_code, text=f"{error.format_message()}{hint}")


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise Stopped(number)


def _say(error: BaseException, code: int, debug: bool = False, text: str = "") -> int:
    """Every error is one line."""
    if debug:
        traceback.print_exception(error)
    click.echo(f"grt-batch: {' '.join((text or str(error)).split())}", err=True)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="grt-batch")
def cli() -> None:
    """Computes the tables and reports of the Galactic Radio Telescope from raw Galaxy job archives, over MPI."""


def _options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that several commands share."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = _SHARED[name](command)
        return command

    return decorate


_SHARED: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "uploads": click.option("--uploads", type=_FOLDER, help="Root of the instance folders.  [default: configured]"),
    "database": click.option("--database", metavar="URL", help="libpq URL or DSN, or `embedded`: a private server."),
    "reports": click.option("--reports", type=_FOLDER, help="Where the TSV reports appear.  [default: reports]"),
    "work": click.option("--work", type=_FOLDER, help="Partial results, lock, embedded server.  [default: work]"),
    "config": click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration; options win over the environment over the file.  [default: config/grt_batch.toml]",
    ),
    "debug": click.option("--debug", is_flag=True, help="Show where in the program an error came from."),
}


@cli.command()
@_options("uploads", "database", "reports", "work")
@click.option("--instance", "instances", multiple=True, metavar="ID", help="Read only this instance; may be repeated.")
@click.option("--recalculate", is_flag=True, help="Forget partial results: everything again from the raw logs.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="End of the 7- and 30-day windows.  [default: today]")
@click.option("--ranks", type=click.IntRange(min=1), help="Start that many ranks under mpirun.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@_options("config")
@click.option("--progress/--no-progress", default=None, help="A progress bar, by bytes.  [default: on a terminal]")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@_options("debug")
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
    as_of: datetime | None,
    ranks: int | None,
    dry_run: bool,
    config_file: Path | None,
    progress: bool | None,
    log_format: str,
    debug: bool,
    modules: tuple[str, ...],
) -> int:
    """Compute the tables of the MODULEs (all but the opt-in ones) from the archives, and publish them."""
    config = load(config_file, {"uploads": uploads, "database": database, "reports": reports, "work": work})
    if dry_run:
        return _show_plan(config, instances, "table")
    if ranks is not None and coordinator is None:
        from grt_batch.ranks.launcher import launch

        shown = sys.stderr.isatty() if progress is None else progress
        bar = "--progress" if shown else "--no-progress"
        code = launch(ranks, [bar, *_without_ranks(sys.argv[1:])])
        if code > _SIGNALLED:
            raise Stopped(code - _SIGNALLED)
        return code
    from grt_batch.logs import logger, set_up
    from grt_batch.reduction import Alone, Crew
    from grt_batch.run import Request, execute, lock, new_run_id

    started = datetime.now(UTC).replace(tzinfo=None)
    request = Request(
        config=config,
        as_of=as_of.date() if as_of else started.date(),
        modules=modules,
        instances=instances,
        recalculate=recalculate,
        ranks=coordinator.wire.size if coordinator else 1,
        run_id=new_run_id(started),
        started=started,
    )
    set_up(log_format, request.run_id, 0, "coordinator" if coordinator else "serial")
    if coordinator is not None:
        coordinator.run_id = request.run_id
    crew: Crew = coordinator or Alone()
    shown = sys.stderr.isatty() if progress is None else progress
    with lock(config.work):
        summary = execute(request, crew, lambda: _database(config), _bar if shown else _no_bar)
    for instance_id, archive, reason in summary.quarantined:
        logger.warning("%s is in quarantine: %s", archive, reason, extra={"instance": instance_id})
    numbers = summary.numbers
    click.echo(
        f"{numbers['jobs']} jobs of {numbers['archives']['published']} archives published in {summary.folder}"
        f" ({numbers['archives']['quarantined']} archives in quarantine,"
        f" {numbers['archives']['incomplete']} incomplete, {numbers['rejected']} lines rejected)"
    )
    return 1 if summary.quarantined else 0


def _without_ranks(arguments: Sequence[str]) -> list[str]:
    """The arguments of `run` for the ranks themselves."""
    rest = list(arguments[1:] if arguments[:1] == ["run"] else arguments)
    while "--ranks" in rest:
        at = rest.index("--ranks")
        del rest[at : at + 2]
    return [argument for argument in rest if not argument.startswith("--ranks=")]


def _database(config: Config, *, borrow: bool = False) -> AbstractContextManager[str]:
    """The URL of the configured database, while its server runs; for a few queries that of a run will do."""
    if config.database != "embedded":
        return nullcontext(config.database)
    from grt_batch.embedded import serve

    return serve(config.work, borrow=borrow)


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
def modules() -> None:
    """List the modules: what each answers, and its tables."""
    from grt_batch.module import discover

    for name, module in discover().items():
        click.echo(f"{name}{' (opt-in)' if module.opt_in else ''}: {' '.join((module.__doc__ or '').split())}")
        click.echo(f"    tables: {', '.join(table.name for table in module.tables)}")


@cli.command()
@_options("uploads", "work")
@click.option("--instance", "instances", multiple=True, metavar="ID", help="Only this instance; may be repeated.")
@_options("config")
@click.option("--print", "form", type=click.Choice(["table", "json", "ranks", "minutes"]), default="table")
@_options("debug")
def plan(
    uploads: Path | None,
    work: Path | None,
    instances: tuple[str, ...],
    config_file: Path | None,
    form: str,
    debug: bool,
) -> int:
    """Say what a run would do and why, how many bytes it would read, and the ranks and time that this suggests."""
    return _show_plan(load(config_file, {"uploads": uploads, "work": work}), instances, form)


def _show_plan(config: Config, instances: tuple[str, ...], form: str) -> int:
    from grt_batch.partials import Store
    from grt_batch.plan import Index, advise, survey
    from grt_batch.uploads import scan

    uploads = scan(config.uploads, settle_seconds=config.settle_seconds, only=instances)
    planned = survey(uploads, Store(config.work / "store"), Index(config.work / "index.json"), config)
    advice = advise(planned, config)
    if form in ("ranks", "minutes"):
        click.echo(getattr(advice, form))
        return 0
    rows = [_plan_row(item) for item in planned]
    if form == "json":
        import orjson

        document = {"archives": rows, "advice": advice, "passed_over": uploads.passed_over}
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 0
    click.echo(_text_table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]))
    for line in uploads.passed_over:
        click.echo(f"passed over: {line}")
    click.echo(
        f"{advice.bytes_to_read} bytes to read; advised: --ranks {advice.ranks},"
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


def _text_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, as wide as they must be."""
    lines = [titles, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


@cli.command()
@click.argument("folder", type=_FOLDER)
@_options("config", "debug")
def check(folder: Path, config_file: Path | None, debug: bool) -> int:
    """Validate the uploads below FOLDER, without a database: what would be published, rejected, in quarantine."""
    from grt_batch.checks import check_archive
    from grt_batch.uploads import scan

    config = load(config_file)
    uploads = scan(folder, settle_seconds=config.settle_seconds)
    bad = False
    for instance in uploads.instances:
        if instance.metadata.problem:
            click.echo(f"{instance.instance_id}: {instance.metadata.problem}")
        for archive in instance.archives:
            verdict = check_archive(archive, config)
            bad |= verdict.quarantined
            click.echo(f"{archive.instance_id}/{archive.name}: {verdict.text}")
    for line in uploads.passed_over:
        click.echo(f"passed over: {line}")
    return 1 if bad else 0


@cli.command()
@_options("database", "work", "config", "debug")
def status(database: str | None, work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Show the ledger: instances, archives, quarantine, last runs."""
    from grt_batch.checks import ledger_of

    config = load(config_file, {"database": database, "work": work})
    with _database(config, borrow=True) as url:
        for title, columns, rows in ledger_of(url):
            click.echo(f"{title}: {'none' if not rows else ''}".rstrip())
            if rows:
                click.echo(_text_table(columns, rows))
            click.echo()


@cli.command()
@_options("reports")
@click.option("--instance", metavar="ID", help="Only this instance.")
@click.option("--archive", metavar="NAME", help="Only this archive.")
@click.option("--lines", is_flag=True, help="The rejected lines themselves.")
@_options("config", "debug")
def rejects(
    reports: Path | None,
    instance: str | None,
    archive: str | None,
    lines: bool,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Show what was rejected, by archive and reason."""
    from grt_batch.checks import rejects_of

    config = load(config_file, {"reports": reports})
    columns, rows = rejects_of(config.reports, instance, archive, lines=lines)
    click.echo(_text_table(columns, rows) if rows else "no line was rejected")


@cli.command()
@click.argument("folder", type=_FOLDER)
@click.option("--instances", default=4, show_default=True, type=click.IntRange(min=1), help="Galaxy servers.")
@click.option("--archives", default=3, show_default=True, type=click.IntRange(min=1), help="Archives of each.")
@click.option("--jobs", default=100_000, show_default=True, type=click.IntRange(min=1), help="Job lines, in all.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="The same seed, the same bytes.")
@_options("debug")
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


@cli.command()
@click.option("--folder", type=_FOLDER, default=Path("demo"), show_default=True, help="Where everything goes.")
@click.option("--jobs", default=50_000, show_default=True, type=click.IntRange(min=12), help="Job lines, in all.")
@click.option("--ranks", default=3, show_default=True, type=click.IntRange(min=1), help="MPI ranks.")
@_options("debug")
def demo(folder: Path, jobs: int, ranks: int, debug: bool) -> int:
    """Write sample uploads, run all modules on them with several ranks, and show where the results are."""
    import shutil

    from grt_batch.ranks.launcher import launch

    uploads = folder / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)
    until = _sample(uploads, 4, 3, jobs, 1)
    places = ["--uploads", str(uploads), "--reports", str(folder / "reports"), "--work", str(folder / "work")]
    code = launch(ranks, [*places, "--database", "embedded", "--as-of", until.isoformat()])
    if code:
        return code
    latest = folder / "reports" / "latest"
    click.echo(f"\nThe reports are in {latest}/:")
    for file in sorted(latest.iterdir()):
        click.echo(f"  {file.name}")
    for name in ("tool_usage.tsv", "instance_status.tsv"):
        click.echo(f"\nThe first lines of {name}:")
        with (latest / name).open(encoding="utf-8") as lines:
            for _, line in zip(range(6), lines, strict=False):
                click.echo(f"  {line.rstrip()[:150]}")
    click.echo(f"\nThe tables are in the embedded database: grt-batch db psql --work {folder / 'work'}")
    return 0


@cli.command()
def warm() -> None:
    """Compile the decoder and keep it on disk, so that the first run need not."""
    from grt_batch.decode import warm as compile_kernels

    compile_kernels()


@cli.group()
def db() -> None:
    """The embedded server, and the schema of any database."""


@db.command("start")
@_options("work", "config", "debug")
def db_start(work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Start the embedded server, and leave it running."""
    from grt_batch.embedded import start_persistent

    click.echo(start_persistent(load(config_file, {"work": work}).work))


@db.command("stop")
@_options("work", "config", "debug")
def db_stop(work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Stop the embedded server."""
    from grt_batch.embedded import stop

    click.echo("stopped" if stop(load(config_file, {"work": work}).work) else "it was not running")


@db.command("url")
@_options("database", "work", "config", "debug")
def db_url(database: str | None, work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Print the URL of the database."""
    config = load(config_file, {"database": database, "work": work})
    if config.database != "embedded":
        click.echo(config.database)
        return
    from grt_batch.embedded import EmbeddedServer

    click.echo(EmbeddedServer(config.work).url)


@db.command("psql", context_settings={"ignore_unknown_options": True})
@_options("database", "work", "config", "debug")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def db_psql(
    database: str | None, work: Path | None, config_file: Path | None, debug: bool, arguments: tuple[str, ...]
) -> int:
    """Open psql on the database; ARGUMENTS are psql's own."""
    import shutil
    import subprocess

    config = load(config_file, {"database": database, "work": work})
    program = shutil.which("psql")
    if config.database == "embedded":
        from grt_batch.embedded import binaries

        program = str(binaries() / "psql")
    if program is None:
        raise BadArguments(command="db psql", what="there is no psql on the PATH")
    with _database(config, borrow=True) as url:
        return subprocess.run([program, url, *arguments], check=False).returncode


@db.command("upgrade")
@_options("database", "work", "config", "debug")
def db_upgrade(database: str | None, work: Path | None, config_file: Path | None, debug: bool) -> None:
    """Bring the schema of the database to this program's version. A run does so by itself."""
    from grt_batch.ledger import ARCHIVE
    from grt_batch.module import discover
    from grt_batch.sinks.postgres import upgrade

    tables = [ARCHIVE, *(table for module in discover().values() if not module.opt_in for table in module.tables)]
    with _database(load(config_file, {"database": database, "work": work})) as url:
        before, now = upgrade(url, tables)
    click.echo(f"schema version {now}" + (" already" if before == now else f", from {before or 'nothing'}"))


if __name__ == "__main__":
    main()
