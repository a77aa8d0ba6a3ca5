"""Writes the members of all archives as files, for programs that cannot read a tar.gz; two archives at a time."""

from __future__ import annotations

import re
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isal import igzip

from bench.contest import THREADS
from grt_batch.uploads.scan import Archive, Uploads

_MEMBER = re.compile(r"\.(jobs|metric_num|params|datasets)\.tsv$")
_PIECE = 4 << 20


@dataclass(frozen=True)
class Member:
    """One unpacked TSV. `place` is the number of its archive; older archives of an instance come first."""

    archive: Archive
    place: int
    kind: str
    path: Path
    columns: int
    """of its first line; 0 for an empty file"""


def unpack(uploads: Uploads, folder: Path) -> list[Member]:
    """Write the members below `folder`, except metric_txt, which no table needs."""

    def unpack_one(place: int, archive: Archive) -> list[Member]:
        home = folder / str(place)
        home.mkdir(parents=True)
        return [_written(archive, place, kind, path) for kind, path in _extract(archive.tar, home)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(unpack_one, *zip(*enumerate(uploads.archives), strict=True))
    return [member for members in found for member in members]


def _extract(tar: Path, home: Path) -> list[tuple[str, Path]]:
    written = []
    unpacker: Any = igzip
    with unpacker.open(tar, "rb") as text, tarfile.open(fileobj=text, mode="r|", bufsize=_PIECE) as opened:
        for entry in opened:
            kind = _MEMBER.search(entry.name)
            source = opened.extractfile(entry)
            if kind and source:
                path = home / f"{kind[1]}.tsv"
                with path.open("wb") as target:
                    shutil.copyfileobj(source, target, _PIECE)
                written.append((kind[1], path))
    return written


def _written(archive: Archive, place: int, kind: str, path: Path) -> Member:
    with path.open("rb") as file:
        first = file.readline()
    return Member(archive, place, kind, path, first.count(b"\t") + 1 if first else 0)
