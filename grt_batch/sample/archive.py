"""The two files of an archive: N.tar.gz with its members, and N.json, which describes it."""

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
"""The modification time of every file in Unix seconds, long enough ago for any settle_seconds."""


def write_tar(file: Path, members: Mapping[str, Path], modified: int) -> None:
    """Write the members to the tar.gz `file` under the exporter's full paths; equal contents give equal bytes.

    `members` maps the ends of their names (`jobs`) to texts; `modified` is their time in Unix seconds.
    """
    archive = file.name.removesuffix(".tar.gz")
    # igzip.open takes no mtime and would write the current time.
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
    """Return the value of report_hash in N.json for a tar.gz."""
    with file.open("rb") as packed:
        return f"sha256:{hashlib.file_digest(packed, 'sha256').hexdigest()}"


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Write `document` as the exporter does, on one line."""
    file.write_text(json.dumps(document), encoding="utf-8")
    settle(file)


def settle(file: Path) -> None:
    """Set the modification time of `file` far enough back to count as settled."""
    os.utime(file, (SETTLED, SETTLED))
