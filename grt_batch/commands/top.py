"""The command that shows the tools that matter most on one screen."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from grt_batch.commands import cli, database_of, options, or_what_is_held
from grt_batch.core.config_file import DEFAULT_FILE, load
from grt_batch.core.share import SHARE

_STYLES: dict[str, dict[str, bool | str]] = {
    "title": {"bold": True},
    "head": {"underline": True},
    "bad": {"fg": "yellow"},
    "grave": {"fg": "red"},
}


_MOST = 10
"""The tools of a block, where more would fit, or nobody knows how many do."""


@cli.command()
@click.option("--instance", default="*", metavar="ID", help="The tools of this instance.  [default: all together]")
@click.option(
    "--period",
    type=click.Choice(["all", "30d", "7d"]),
    default="30d",
    show_default=True,
    help="All jobs, or those of the last 30 or 7 days before the as-of day.",
)
@click.option("--rows", type=click.IntRange(1, 1000), help="Tools of each kind.  [default: what fits, 10 at most]")
@options("database", "work", "config", "debug")
def top(
    instance: str,
    period: str,
    rows: int | None,
    database: str | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Show the most used, the slowest, the most failing and the most wasteful tools."""
    from grt_batch.queries.definitions import find_query, read
    from grt_batch.queries.results import ask
    from grt_batch.queries.top import BLOCKS, lines_of

    config = load(config_file, {"database": database, "work": work})
    # Those that came with the program, whatever queries somebody has beside a configuration.
    queries = read(SHARE / DEFAULT_FILE.parent / "sql")
    screen = shutil.get_terminal_size() if sys.stdout.isatty() else None
    if rows is None:
        # Beside the tools, a block has a title and an empty line, and the shell needs a line.
        rows = _MOST if screen is None else max(1, min(_MOST, (screen.lines - 2) // len(BLOCKS) - 2))
    where = "all instances" if instance == "*" else f"instance {instance}"
    when = "all jobs" if period == "all" else f"the last {period.removesuffix('d')} days"
    parts = [[f"Tools of {where}, {when}"]]
    with or_what_is_held(config), database_of(config, borrow=True) as url:
        for block in BLOCKS:
            query = find_query(queries, block.query)
            given = {"instance": instance, "period": period, "limit": str(rows), **block.parameters}
            answer = ask(url, query, query.values(given))
            parts.append(lines_of(block, answer, screen and screen.columns, _painted))
    # Without a terminal, click leaves the colours out by itself.
    colour = False if os.environ.get("NO_COLOR") else None
    click.echo("\n\n".join("\n".join(lines) for lines in parts), color=colour)


def _painted(text: str, style: str) -> str:
    return click.style(text, **_STYLES[style]) if style in _STYLES else text  # type: ignore[arg-type]
