"""The command that brings documents into OpenSearch or Elasticsearch."""

from __future__ import annotations

import re
from pathlib import Path

import click

from grt_batch.commands import cli, options
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadArguments, NoDocuments, NothingPublished
from grt_batch.core.wording import counted

_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")


@cli.command()
@click.option(
    "--load", "url", metavar="URL", help="Address of the server to load them into, such as https://host:9200."
)
@click.option("--index", default="grt-tools", show_default=True, metavar="NAME", help="Alias that readers ask.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="File with <user>:<password> for the server.",
)
@options("reports", "config", "debug")
def documents(
    url: str | None, index: str, key_file: Path | None, reports: Path | None, config_file: Path | None, debug: bool
) -> int:
    """Say which documents the newest report set has, or load them: into a new index, which the alias stands for once
    all of them are there. Indices of earlier loads are deleted."""
    from grt_batch.documents.loading import load as load_documents
    from grt_batch.documents.making import files_of
    from grt_batch.documents.server import Server
    from grt_batch.monitoring.published import Published
    from grt_batch.sinks.report_set import DOCUMENTS, LATEST

    config = load(config_file, {"reports": reports})
    if not _INDEX.fullmatch(index):
        raise BadArguments(command="documents", what=f"--index {index!r} is not like grt-tools")
    if key_file and url is None:
        raise BadArguments(command="documents", what="--key-file is for --load")
    newest = Published(config.reports)
    if not newest.summary:
        raise NothingPublished(reports=config.reports)
    folder, as_of = newest.folder / DOCUMENTS, newest.summary["as_of"]
    shown = config.reports / LATEST / DOCUMENTS
    if not folder.is_dir():
        raise NoDocuments(folder=shown, what="the run that published this set was not asked for them")
    if url is None:
        files = files_of(folder)
        count = sum(file.read_bytes().count(b"\n") for file in files) // 2
        size = sum(file.stat().st_size for file in files)
        click.echo(
            f"{counted(count, 'document')} of {as_of} in {counted(len(files), 'file')} ({size} bytes) of {shown}"
        )
        return 0
    key = key_file.read_text(encoding="utf-8").strip() if key_file else None
    with Server(url, key) as server:
        done = load_documents(folder, as_of, server, index)
    click.echo(f"{counted(done.documents, 'document')} of {as_of} loaded into {done.index}, which {index} stands for")
    if done.first:
        were = counted(done.refused, "document was", "documents were")
        click.echo(f"grt-batch: {were} refused, the first, {done.first.document_id}: {done.first.reason}", err=True)
    for name, reason in done.left.items():
        click.echo(f"grt-batch: the index {name} of an earlier load could not be deleted: {reason}", err=True)
    return 1 if done.first or done.left else 0
