"""The commands, and the options and forms that they share. What a command does is elsewhere, and imported there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.core.errors import printable

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="grt-batch")
def cli() -> None:
    """Computes the tables and reports of the Galactic Radio Telescope from raw Galaxy job archives, over MPI."""


def options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that several commands share."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = _SHARED[name](command)
        return command

    return decorate


_SHARED: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "uploads": click.option("--uploads", type=FOLDER, help="Root of the instance folders.  [default: configured]"),
    "database": click.option("--database", metavar="URL", help="libpq URL or DSN, or `embedded`: a private server."),
    "reports": click.option("--reports", type=FOLDER, help="Where the TSV reports appear.  [default: reports]"),
    "work": click.option("--work", type=FOLDER, help="Partial results, lock, embedded server.  [default: work]"),
    "config": click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration; options win over the environment over the file.  [default: config/grt_batch.toml]",
    ),
    "debug": click.option("--debug", is_flag=True, help="Show where in the program an error came from."),
}


def database_of(config: Config, *, borrow: bool = False) -> AbstractContextManager[str]:
    """The URL of the configured database, while its server runs; for a few queries that of a run will do."""
    if config.database != "embedded":
        return nullcontext(config.database)
    from grt_batch.embedded_postgres.server import serve

    return serve(config.work, borrow=borrow)


def text_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, as wide as they must be."""
    lines = [titles, *(list(map(printable, row)) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
