"""The command that finds the files that come with the program."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from grt_batch.commands import FOLDER, cli, options, text_table
from grt_batch.core.errors import BadArguments, CannotWrite
from grt_batch.core.share import SHARE, shared_files

CRON = Path("cron.sh")


@cli.command()
@click.option("--to", "target", type=FOLDER, help="Copy them into this folder; files that are there already stay.")
@options("debug")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def files(target: Path | None, debug: bool, names: tuple[str, ...]) -> None:
    """Say where the files are that come with the program: cron.sh, manager.py, the configuration, the ready queries,
    the schemas of uploads, and the documentation.

    NAME is a file or a folder, such as config/sql. The path of each NAME is printed, or of all files.
    """
    known = shared_files()
    folders = {parent for file in known for parent in file.parents}
    if unknown := [name for name in names if Path(name) not in {*known, *folders}]:
        what = f"no {unknown[0]!r} comes with the program"
        raise BadArguments(command="files", what=what)
    chosen = [Path(name) for name in names]
    if target is not None:
        wanted = [file for file in known if not names or any(file.is_relative_to(name) for name in chosen)]
        _copy(wanted, target)
    elif names:
        for name in chosen:
            click.echo(SHARE / name)
    else:
        click.echo(text_table(("file", "path"), [(str(file), str(SHARE / file)) for file in known]))


def _copy(wanted: Sequence[Path], target: Path) -> None:
    try:
        for file in wanted:
            copy = target / file
            if copy.exists():
                click.echo(f"{copy} is there already, and stays")
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SHARE / file, copy)
            click.echo(copy)
            if file == CRON:
                click.echo(
                    f"    in a crontab, with GRT_BATCH_PYTHON={sys.executable} above: 15 3 * * * {copy.absolute()}"
                )
    except OSError as error:
        raise CannotWrite(folder=target, what=error) from None
