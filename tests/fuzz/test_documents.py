"""N.json and metadata.json may hold anything: a database takes what is kept of them, and a reader never waits."""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpus import good
from documents import METADATA, damaged
from properties import check_metadata, check_report

import grt_batch.uploads.scan
from grt_batch.uploads import metadata
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Uploads, scan

NAME = good().name
REPORT: dict[str, Any] = json.loads(good().report)
COUNT = 1500


@pytest.mark.parametrize(("check", "document"), [(check_metadata, METADATA), (check_report, REPORT)])
def test_a_database_takes_what_is_kept_of_any_document(
    check: Callable[[bytes], bool], document: dict[str, Any]
) -> None:
    fates = Counter(check(raw) for raw in damaged(document, COUNT, random.Random(2)))
    assert min(fates[True], fates[False]) > COUNT / 10


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (metadata, grt_batch.uploads.scan):
        monkeypatch.setattr(module, "MOST_BYTES", 2000)
    folder = tmp_path / "uni" / "archives"
    tar = good().write(folder)
    document = folder / f"{NAME}.json"
    document.write_bytes(good().report.ljust(2000))
    (tmp_path / "uni" / "metadata.json").write_bytes(json.dumps(METADATA).encode().ljust(2000))
    [instance] = scan(tmp_path).instances
    assert instance.metadata.title == "Galaxy"
    assert instance.archives[0].quarantine is None
    for file in (document, folder.parent / "metadata.json"):
        with file.open("ab") as end:
            # Nobody has room for this: it is a hole.
            end.truncate(1 << 40)
    [instance] = scan(tmp_path).instances
    assert instance.archives[0].quarantine == f"{NAME}.json has more than 2000 bytes"
    assert instance.archives[0].tar == tar
    assert instance.metadata == InstanceMetadata(problem="metadata.json has more than 2000 bytes")


def test_documents_of_the_years_are_far_below_the_limit() -> None:
    tools = [["toolshed.g2.bx.psu.edu/repos/lab/star/rna_star/2.7"] * 6] * 20_000
    assert len(json.dumps({**REPORT, "tools": tools})) < metadata.MOST_BYTES


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_nobody_waits_for_metadata_that_is_no_file(tmp_path: Path, kind: str) -> None:
    good().write(tmp_path / "uni" / "archives")
    place = tmp_path / "uni" / "metadata.json"
    match kind:
        case "pipe":
            os.mkfifo(place)
        case "device":
            place.symlink_to("/dev/tty")
        case "folder":
            place.mkdir()
    found: list[Uploads] = []
    reader = threading.Thread(target=lambda: found.append(scan(tmp_path)), daemon=True)
    reader.start()
    reader.join(timeout=20)
    waits = reader.is_alive()
    if waits and kind == "pipe":
        # So that the reader ends, and the test can say what is wrong.
        place.write_bytes(b"{}")
        reader.join()
    assert not waits
    assert found[0].instances[0].metadata.problem == "metadata.json cannot be read"
    assert found[0].instances[0].archives[0].quarantine is None
