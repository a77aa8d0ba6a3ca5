"""Reads an archive to its end, for the tests of how it is read."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import build
import pytest
from build import entry, header, line, member, pax

from grt_batch.core.errors import Quarantine
from grt_batch.schema.members import Kind
from grt_batch.uploads.archive import ArchiveReader, Header
from grt_batch.uploads.unpacking import Limits

JOBS = build.HEADERS[Kind.JOBS] + b"".join(line(i, "Cut1", "1.0", "ok", "2017-06-02 19:18:30") for i in range(1, 40))


METRICS = build.HEADERS[Kind.METRIC_NUM] + b"".join(line(i, "core", "galaxy_slots", "1.0000000") for i in range(1, 40))


GOOD = member(Kind.JOBS, JOBS)


MIB = 1 << 20


@dataclass
class Read:
    """What was read of an archive: by kind and number, the text behind the header, and whether there was one."""

    reader: ArchiveReader
    texts: dict[tuple[Kind, int], bytes] = field(default_factory=dict)
    headers: dict[tuple[Kind, int], bool] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)


def read(path: Path, content: bytes | None = None, **limits: Any) -> Read:
    """Read an archive to its end, and test what holds for every one."""
    if content is not None:
        path.write_bytes(content)
    result = Read(ArchiveReader(path, Limits(**limits)))
    for item in result.reader.blocks():
        place = item.layout.kind, item.member
        if isinstance(item, Header):
            assert place not in result.headers
            result.headers[place] = item.has_header
            result.texts[place] = b""
        else:
            assert item.data
            assert result.texts[place].endswith(b"\n") or not result.texts[place]
            result.texts[place] += item.data
            result.blocks.append(bytes(item.data))
    assert result.reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.reader.bytes_read == path.stat().st_size
    return result


def reason(path: Path, content: bytes, **limits: Any) -> str:
    """Why an archive goes into quarantine."""
    with pytest.raises(Quarantine) as caught:
        read(path, content, **limits)
    assert caught.value.reason
    assert "\n" not in caught.value.reason
    return caught.value.reason


SPARSE = {
    "old GNU": header("0.jobs.tsv", flag=tarfile.GNUTYPE_SPARSE),
    "old GNU that goes on behind the end": header("0.jobs.tsv", flag=tarfile.GNUTYPE_SPARSE, sparse_follows=True),
    "pax 0.1": pax(GNU__sparse__map="100,1", GNU__sparse__size="100000") + entry("0.jobs.tsv", b"\n"),
    "pax 1.0": pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize="100000")
    + entry("0.jobs.tsv", b"1\n100\n1\n".ljust(512, b"\0") + b"\n"),
    "pax 1.0 without a map": pax(GNU__sparse__major="1", GNU__sparse__minor="0") + header("0.jobs.tsv", 512),
}


def outcome(path: Path, content: bytes) -> dict[tuple[Kind, int], bytes] | None:
    """The texts of an archive, None in quarantine; any other error is one of the test's."""
    try:
        return read(path, content, max_archive_bytes=64 * MIB, block_bytes=1000).texts
    except Quarantine as error:
        assert error.reason
        return None
