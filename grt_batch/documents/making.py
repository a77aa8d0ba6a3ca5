"""When a run makes documents, and where they stand: in files of a size that a person can handle, beside the mapping."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial
from pathlib import Path

import orjson

from grt_batch.core.config import Config
from grt_batch.core.digest import digest, source_digest
from grt_batch.core.errors import NoDocuments
from grt_batch.core.files import write_synced
from grt_batch.documents.documents import documents
from grt_batch.documents.mapping import mapping
from grt_batch.documents.portions import portions
from grt_batch.documents.set_rows import SetRows
from grt_batch.pipeline.gate import known_tables
from grt_batch.sinks.made_folder import MakeFolder, contents, link_or_make, or_say
from grt_batch.sinks.public_views import Threshold

QUESTION = "What do the tables say of each tool, as documents for OpenSearch and Elasticsearch?"

MAPPING = "mapping.json"
"""The settings of the index, and the types of the fields."""

_FILES = "documents-*.ndjson"

FILE_BYTES = 50_000_000
"""The size of a file, if no document is larger."""


def documents_of(config: Config, as_of: date) -> MakeFolder:
    """Return what makes the documents of a run."""
    return or_say(partial(make_documents, config=config, as_of=as_of), "documents")


def make_documents(reports: Path, folder: Path, before: Path | None, config: Config, as_of: date) -> None:
    """Fill `folder` with the documents of the report set in `reports`. What was made of the same is linked.

    Raises OSError.
    """

    def make() -> None:
        tables = known_tables(config)
        threshold = Threshold(config.public_value_jobs, config.public_value_instances)
        with SetRows(reports, tables, threshold, private=config.documents_private) as rows:
            write_files(folder, documents(rows, as_of))
        made = mapping({table.name: table for table in tables})
        (folder / MAPPING).write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    link_or_make(folder, before, _key(reports, config, as_of), make)


def files_of(folder: Path) -> list[Path]:
    """Return the files with documents in a folder, in order. Raises NoDocuments where there is none."""
    files = sorted(folder.glob(_FILES))
    if not files:
        raise NoDocuments(folder=folder, what="it has no file of them")
    return files


def write_files(folder: Path, made: Iterable[tuple[bytes, bytes]], most: int = FILE_BYTES) -> None:
    """Write actions and documents to files of `most` bytes. Raises OSError."""
    lines = (b"%b\n%b\n" % pair for pair in made)
    for number, portion in enumerate(portions(lines, len, most), 1):
        write_synced(folder / _FILES.replace("*", f"{number:04}"), portion)


def _key(reports: Path, config: Config, as_of: date) -> str:
    """Return a digest of all that the documents depend on."""
    settings = (config.documents_private, config.public_value_jobs, config.public_value_instances)
    program = source_digest("grt_batch.documents", "grt_batch.pages", "grt_batch.modules.reports.metrics")
    return digest(as_of, *settings, program, *contents(reports))
