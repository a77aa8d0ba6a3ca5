"""What a run left behind for readers, and copies of uploads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


def published(reports: Path) -> dict[str, bytes]:
    """The bytes of all that a run left for readers; run.json tells of the run itself, and differs."""
    files = [*(reports / "latest").glob("*.tsv"), *(reports / "rejects").glob("*/*.tsv")]
    return {str(file.relative_to(reports)): file.read_bytes() for file in files}


def copy_uploads(source: Path, target: Path, names: Callable[[Path], bool] = lambda _: True) -> None:
    """Copy uploads, or those files of which `names` is true, with their dates."""
    for file in sorted(source.rglob("*")):
        if file.is_file() and names(file):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)
