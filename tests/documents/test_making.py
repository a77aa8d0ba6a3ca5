"""Files of documents: their sizes, the same bytes every time, and links to what did not change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.core.errors import NoDocuments
from grt_batch.documents.making import documents_of, files_of, make_documents, write_files
from grt_batch.sample import UNTIL


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_same_bytes_every_time(report_set: Path, made: Path, tmp_path: Path) -> None:
    make_documents(report_set, tmp_path, None, Config(), UNTIL)
    assert contents(tmp_path) == contents(made)
    assert sorted(contents(made)) == [".key", "documents-0001.ndjson", "mapping.json"]


def test_what_did_not_change_is_linked(report_set: Path, made: Path, tmp_path: Path) -> None:
    for config, as_of, same in (
        (Config(), UNTIL, True),
        (Config(), UNTIL + timedelta(1), False),
        (replace(Config(), documents_private=True), UNTIL, False),
    ):
        folder = tmp_path / f"{as_of}{config.documents_private}"
        folder.mkdir()
        documents_of(config, as_of)(report_set, folder, made)
        assert (folder / "documents-0001.ndjson").samefile(made / "documents-0001.ndjson") == same


def test_no_file_is_too_large_and_no_document_is_cut(tmp_path: Path) -> None:
    pairs = [(b"a%d" % number, b"x" * size) for number, size in enumerate((10, 10, 50, 1, 1, 30))]
    write_files(tmp_path, pairs, 40)
    written = [file.read_bytes() for file in files_of(tmp_path)]
    lines = [b"%b\n%b\n" % pair for pair in pairs]
    assert written == [b"".join(lines[:2]), lines[2], b"".join(lines[3:5]), lines[5]]


def test_without_documents(tmp_path: Path) -> None:
    write_files(tmp_path, [])
    with pytest.raises(NoDocuments, match="no file of them"):
        files_of(tmp_path)
