"""Files that survive a crash: synced to the disk, and replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_synced(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file and sync its content to the disk; its name is not synced. Raises OSError."""
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def atomic_write(path: Path, parts: Iterable[bytes], temporary: Path, *, aside: Path | None = None) -> None:
    """Write a file so that readers find its old content or its new one, even after a crash.

    `temporary` is a path on the same file system; it is left behind where writing fails. With `aside` the old file is
    kept under that name. The new name is not synced: see `sync_folder`. Raises OSError.
    """
    write_synced(temporary, parts)
    if aside:
        path.replace(aside)
    temporary.replace(path)


def sync_file(path: Path) -> None:
    """Sync the content of a file to the disk. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, as far as its file system can.

    On a journaling file system this also syncs every earlier rename.
    """
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
