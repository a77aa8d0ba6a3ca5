"""The options and output formats that the commands share. Each command imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.core.config_values import MAIN
from grt_batch.core.errors import BadArguments, NoLedger, NoReports, NoTable, NothingPublished, printable

if TYPE_CHECKING:
    from grt_batch.commands.ending import Ending
    from grt_batch.ranks.coordinator import Coordinator


FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass
class Session:
    """This process, as commands see it: its coordinator, where there are other ranks, whether errors show their place
    in the program, and the end of the run that it carries out, if it does."""

    coordinator: Coordinator | None = None
    debug: bool = False
    ending: Ending | None = None

    def end(self, code: int, said: str = "") -> list[str]:
        """Tell how a run ended, once, and return what could not be told. Other commands have nothing to tell."""
        ending, self.ending = self.ending, None
        return ending.tell(code, said) if ending else []


def _note_debug(context: click.Context, _: click.Parameter, debug: bool) -> bool:
    context.ensure_object(Session).debug = debug
    return debug


_MODULES = {
    name: name
    for name in (
        "run",
        "plan",
        "demo",
        "doctor",
        "sample",
        "warm",
        "modules",
        "check",
        "status",
        "advise",
        "rejects",
        "query",
        "db",
        "files",
        "gc",
        "verify",
        "serve",
        "instance",
        "watch",
        "fetch",
        "archive",
        "restore",
        "diff",
        "publish",
        "metrics",
        "top",
        "documents",
        "backfill",
    )
} | {"try": "try_report"}
"""The modules of the commands; importing one registers its command."""  # fmt: skip


class _Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, None if there is none."""
        if cmd_name in _MODULES:
            import_module(f"{__name__}.{_MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="grt-batch")
def cli() -> None:
    """Computes the tables and reports of the Galactic Radio Telescope from raw Galaxy job archives, over MPI."""


def options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add options that several commands share to a command."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = _SHARED[name](command)
        return command

    return decorate


_SHARED: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "uploads": click.option("--uploads", type=FOLDER, help="Root of the instance folders.  [default: configured]"),
    "database": click.option("--database", metavar="URL", help="libpq URL or DSN, or `embedded`: a private server."),
    "without-cold": click.option(
        "--without-cold",
        is_flag=True,
        help="Go on where archives in cold storage would have to be read, with what is known of them.",
    ),
    "targets": click.option(
        "--targets",
        multiple=True,
        metavar="NAME…",
        help="Publish to these targets only: main, which is --database, and those in [targets], also one that is not"
        " active.  [default: all active ones]",
    ),
    "ranks": click.option("--ranks", type=click.IntRange(min=1), help="Start this many ranks under mpirun."),
    "retries": click.option(
        "--retries",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="With --ranks: how often to start again after a lost rank, from the partial results.",
    ),
    "progress": click.option(
        "--progress/--no-progress", default=None, help="A progress bar, by bytes.  [default: on a terminal]"
    ),
    "log-format": click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Form of the log lines.",
    ),
    "reports": click.option("--reports", type=FOLDER, help="Where the TSV reports appear.  [default: reports]"),
    "work": click.option("--work", type=FOLDER, help="Partial results, lock, embedded server.  [default: work]"),
    "modules-dir": click.option(
        "--modules-dir", metavar="DIRECTORY", help="Folder of reports of your own, one .py file each."
    ),
    "hosts": click.option(
        "--hosts",
        metavar="HOST[:RANKS],…",
        help="With --ranks: where to start them.  [default: the hosts of the batch job, or this one]",
    ),
    "config": click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration; options win over the environment over the file.  [default: GRT_BATCH_CONFIG, else"
        " config/grt_batch.toml]",
    ),
    "debug": click.option(
        "--debug", is_flag=True, callback=_note_debug, help="Show where in the program an error came from."
    ),
}


def database_of(config: Config, *, borrow: bool = False) -> AbstractContextManager[str]:
    """Return the URL of the configured database, with its server running. `borrow` takes the server of a running run,
    if there is one, which is enough for a few queries."""
    if config.database != "embedded":
        return nullcontext(config.database)
    from grt_batch.embedded_postgres.server import serve

    return serve(config.work, borrow=borrow)


@contextmanager
def or_what_is_held(config: Config) -> Iterator[None]:
    """Say that the first report set is held back, where a command shows what is published and misses it for that."""
    try:
        yield
    except (NoLedger, NoReports, NoTable, NothingPublished) as error:
        from grt_batch.differences.held import only_held

        raise only_held(config.reports) or error from None


def at_target(command: str, config: Config, name: str | None) -> Config:
    """Return the configuration with this target as its database. Raises BadArguments where there is no such target."""
    if name is None or name == MAIN:
        return config
    if name not in config.targets:
        known = ", ".join((MAIN, *config.targets))
        raise BadArguments(command=command, what=f"there is no target {name!r}, only {known}")
    return replace(config, database=config.targets[name].url)


def named_values(command: str, words: Sequence[str], option: str = "") -> dict[str, str]:
    """Return the values in words like NAME=VALUE, which follow an `option`, by name. Raises BadArguments."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name in given:
            what = f"{name} is given twice" if equals else f"{word!r} is not NAME=VALUE"
            raise BadArguments(command=command, what=f"{option}{what}")
        given[name] = value
    return given


def text_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with aligned columns."""
    lines = [titles, *(list(map(printable, row)) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
