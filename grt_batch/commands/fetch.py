"""The command that brings raw archives into another folder."""

from __future__ import annotations

from pathlib import Path

import click

from grt_batch.commands import FOLDER, cli, named_values, options
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments, NothingToRead
from grt_batch.core.wording import counted


@cli.command()
@click.argument("words", metavar="[NAME=VALUE]...", nargs=-1)
@click.option("--to", "target", type=FOLDER, required=True, help="Folder of uploads to write to.")
@click.option("--url", help="Address of a service to fetch from, instead of the uploads here.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="File with <instance>:<key> for the service. Without it, only what everybody may have is fetched.",
)
@options("uploads", "work", "config", "debug")
def fetch(
    words: tuple[str, ...],
    target: Path,
    url: str | None,
    key_file: Path | None,
    uploads: Path | None,
    work: Path | None,
    config_file: Path | None,
    debug: bool,
) -> None:
    """Fetch raw archives into a folder that a run can read.

    NAME=VALUE chooses them: instance and archive (their names), from and to (days on which they were made, such as
    2024-01-31), state (published, quarantined, new; several with commas). What is there already stays.
    """
    from grt_batch.service.fetching import fetch_from_folder, fetch_from_service
    from grt_batch.service.filter import Filter
    from grt_batch.service.selection import Selection

    given = named_values("fetch", words)
    wanted = Filter.parse(given)
    config = load(config_file, {"uploads": uploads, "work": work})
    if url is not None:
        key = key_file.read_text(encoding="utf-8").strip() if key_file else None
        done = fetch_from_service(url, key, given, target)
    elif key_file is not None:
        raise BadArguments(command="fetch", what="--key-file is for a --url")
    else:
        done = fetch_from_folder(Selection(config).held(wanted), target)
    if not done.archives + done.before + done.cold:
        raise NothingToRead(folder=Path(url) if url else config.uploads, what="no archive passes the filter")
    before = f"; {counted(done.before, 'archive')} had been there" if done.before else ""
    cold = f"; {counted(done.cold, 'archive')} in cold storage left out: see grt-batch restore" if done.cold else ""
    click.echo(f"fetched {counted(done.archives, 'archive')} ({done.bytes} bytes) into {target}{before}{cold}")
