"""How many bytes of archives lie here, and how many in cold storage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from grt_batch.core.errors import Quarantine
from grt_batch.uploads.cold import ColdCopy, read_cold
from grt_batch.uploads.scan import COLD, files_below


class Place(Enum):
    """Where the tar.gz of an archive lies. What is thawing is in cold storage, and on its way back."""

    HOT = "hot"
    COLD = "cold"
    THAWING = "thawing"


@dataclass(frozen=True)
class Stored:
    """An archive that has a tar.gz, and where that lies; `copy` is what its marker says, None without one."""

    instance_id: str
    name: str
    bytes: int
    place: Place
    copy: ColdCopy | None = None


def stored_archives(root: Path) -> Iterator[Stored]:
    """Yield the archives below `root`, by instance and name. What cannot be read is left out."""
    for instance_id, name, files in files_below(root):
        with suppress(OSError):
            copy = copy_among(files)
            if "tar.gz" in files:
                yield Stored(instance_id, name, files["tar.gz"].stat().st_size, Place.HOT, copy)
            elif copy:
                yield Stored(instance_id, name, copy.bytes, Place.THAWING if copy.thawing else Place.COLD, copy)


def copy_among(files: Mapping[str, os.DirEntry[str]]) -> ColdCopy | None:
    """Return what the marker among the files of an archive says, None for none or a damaged one."""
    with suppress(Quarantine):
        return read_cold(Path(files[COLD].path)) if COLD in files else None
    return None


def packed_bytes(files: Mapping[str, os.DirEntry[str]]) -> int:
    """Return the size of the tar.gz of an archive, here or in cold storage; 0 for none. Raises OSError."""
    if "tar.gz" in files:
        return files["tar.gz"].stat().st_size
    copy = copy_among(files)
    return copy.bytes if copy else 0


@dataclass
class Amount:
    """So many archives of so many bytes."""

    archives: int = 0
    bytes: int = 0


def amounts(archives: Iterable[Stored]) -> dict[tuple[str, Place], Amount]:
    """Return what lies where, by instance; `*` is all instances together."""
    found: dict[tuple[str, Place], Amount] = {}
    for one in archives:
        for instance_id in ("*", one.instance_id):
            amount = found.setdefault((instance_id, one.place), Amount())
            amount.archives += 1
            amount.bytes += one.bytes
    places = list(Place)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], places.index(item[0][1]))))
