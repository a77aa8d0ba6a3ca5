"""The pair of files of an archive: N.tar.gz from its members, and N.json that describes it."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isal import igzip

EXPORTER_FOLDER = "home/galaxy/galaxy/reports"


SETTLED = 1_600_000_000
"""Modification time of every file, Unix seconds: long enough ago that nobody waits for more."""


def write_tar(file: Path, members: Mapping[str, Path], modified: int) -> None:
    """Write `file` with the members under the exporter's full paths; the same contents give the same bytes.

    `members` holds the texts by the end of their names (`jobs`), `modified` is their time in Unix seconds.
    """
    archive = file.name.removesuffix(".tar.gz")
    # igzip.open takes no mtime, and without one the bytes hold the time of day.
    packer: Any = igzip.IGzipFile
    with (
        file.open("wb") as raw,
        packer(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        for member, text in members.items():
            info = tarfile.TarInfo(f"{EXPORTER_FOLDER}/{archive}.{member}.tsv")
            info.size, info.mtime = text.stat().st_size, modified
            info.uname = info.gname = "galaxy"
            with text.open("rb") as source:
                tar.addfile(info, source)
    settle(file)


def report_hash(file: Path) -> str:
    """The key report_hash of N.json for a tar.gz."""
    with file.open("rb") as packed:
        return f"sha256:{hashlib.file_digest(packed, 'sha256').hexdigest()}"


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Write `document` as the exporter does, on one line."""
    file.write_text(json.dumps(document), encoding="utf-8")
    settle(file)


def settle(file: Path) -> None:
    """Make `file` look as if nobody had written to it for long."""
    os.utime(file, (SETTLED, SETTLED))
