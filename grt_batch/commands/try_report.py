"""The command that tries a report on one archive."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grt_batch.commands import cli, options, text_table
from grt_batch.core.config_file import load

if TYPE_CHECKING:
    from grt_batch.pipeline.trial import Trial


@cli.command("try")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="End of the windows.  [default: the last job's day]")
@click.option("--table", metavar="NAME", help="Show only this table.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of each table; 0 shows all."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "tsv"]),
    default="table",
    show_default=True,
    help="How to show them.",
)
@options("config", "debug")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def try_report(
    file: Path,
    archive: Path,
    as_of: datetime | None,
    table: str | None,
    limit: int,
    form: str,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Run the report in FILE over one ARCHIVE, and show the rows of its tables.

    FILE is a Python file, wherever it lies. ARCHIVE is N.tar.gz or N.json; the other one is read too where it is
    beside it. No database is needed, and nothing is written.
    """
    from grt_batch.core.errors import BadArguments
    from grt_batch.modules.registry import load as load_report
    from grt_batch.pipeline.trial import try_modules

    config = load(config_file)
    modules = load_report(file)
    names = [known.name for module in modules for known in module.tables]
    if table is not None and table not in names:
        raise BadArguments(command="try", what=f"there is no table {table}, there are {', '.join(names)}")
    for trial in try_modules(file, modules, archive, config, as_of.date() if as_of else None):
        if table in (None, trial.table.name):
            text = _shown(trial, limit, form)
            click.echo(text.encode() if form == "tsv" else text)


def _shown(trial: Trial, limit: int, form: str) -> str:
    from grt_batch.schema.tables import as_report, render

    rows = trial.rows.head(limit) if limit else trial.rows
    text = b"".join(as_report(trial.table, render(trial.table, rows))).decode()
    if form == "tsv":
        return text.removesuffix("\n")
    titles, *lines = [line.split("\t") for line in text.splitlines()]
    hidden = trial.rows.height - rows.height
    return "\n".join(
        [
            f"{trial.table.name}: {trial.rows.height} rows, as of {trial.as_of}",
            text_table(titles, lines),
            *([f"({hidden} more; --limit 0 shows all)"] if hidden else []),
            "",
        ]
    )
