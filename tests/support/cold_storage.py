"""Archives that are moved to cold storage, here a folder beside the uploads, and back."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from grt_batch.uploads.cold import ColdCopy, marker_of, read_cold, write_cold
from grt_batch.uploads.scan import stamp_of

MOVED = "2024-06-30T12:00:00Z"


def freeze(tar: Path, *, storage_class: str = "", thawing: str = "") -> Path:
    """Move a tar.gz to cold storage, and return its marker."""
    copy = tar.with_name(f"{tar.name}.copy")
    shutil.copy2(tar, copy)
    raw = tar.read_bytes()
    stamp = stamp_of(tar.stat())
    sha256 = hashlib.sha256(raw).hexdigest()
    marker = marker_of(tar)
    write_cold(marker, ColdCopy(copy.as_uri(), sha256, len(raw), stamp, MOVED, storage_class, thawing))
    tar.unlink()
    # Beside the uploads, so that it is not in the way of a scan.
    cold = tar.parents[3] / "cold"
    cold.mkdir(exist_ok=True)
    copy.rename(cold / f"{tar.parents[1].name}-{tar.name}")
    return marker


def thaw(tar: Path, *, told: bool = True) -> None:
    """Bring a tar.gz back, as another file; its marker is `told`."""
    cold = tar.parents[3] / "cold" / f"{tar.parents[1].name}-{tar.name}"
    # Another inode and another date.
    shutil.copyfile(cold, tar)
    os.utime(tar, (1_700_000_000, 1_700_000_000))
    if told:
        marker = marker_of(tar)
        write_cold(marker, replace(read_cold(marker), stamp=stamp_of(tar.stat())))


def freeze_all(uploads: Path, **options: str) -> list[Path]:
    """Move every tar.gz that has its N.json, and return their paths."""
    tars = [tar for tar in sorted(uploads.rglob("*.tar.gz")) if marker_of(tar).with_suffix(".json").exists()]
    for tar in tars:
        freeze(tar, **options)
    return tars
