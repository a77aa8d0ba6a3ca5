"""Folders of a report set that are made of its tables: each as a whole or not at all, and linked while all that it was
made of stays."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from grt_batch.core.files import link_or_copy
from grt_batch.core.logs import logger
from grt_batch.sinks.report_file import load_parts

MakeFolder = Callable[[Path, Path, Path | None], None]
"""Fills an empty folder, from the folder of a set; the third folder was made of an earlier set, and may be linked."""


KEY = ".key"
"""The file of a folder with a digest of all that it was made of."""


def or_say(make: MakeFolder, what: str) -> MakeFolder:
    """Return what makes a folder of `what`; where that fails, it says so and leaves the folder empty: the tables are
    published all the same. Raises OSError all the same."""

    def attempt(reports: Path, folder: Path, before: Path | None) -> None:
        try:
            make(reports, folder, before)
        except OSError:
            raise
        except Exception as error:
            logger.warning("no %s: making them failed: %s: %s", what, type(error).__name__, error)
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    return attempt


def link_or_make(folder: Path, before: Path | None, key: str, make: Callable[[], None]) -> None:
    """Fill a folder with links to that of an earlier set, if it has the same key; else make it. Raises OSError."""
    if before is not None and key_of(before) == key:
        shutil.copytree(before, folder, dirs_exist_ok=True, copy_function=linked)
        return
    make()
    (folder / KEY).write_text(key, encoding="utf-8")


def contents(reports: Path, beside: Iterable[Path] = ()) -> list[str]:
    """Return texts that differ where the tables of a set do, or other files `beside`. A set says what is in its files,
    which need not be read. Raises OSError."""
    held = load_parts(reports)
    said = [f"{name} {held[name].extents}" for name in sorted(held) if held[name].extents]
    files = [*(file for file in sorted(reports.glob("*.tsv")) if file.stem not in held), *beside]
    return [*said, *map(_named_digest, files)]


def _named_digest(file: Path) -> str:
    with file.open("rb") as content:
        return f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}"


def key_of(folder: Path) -> str:
    """Return the key of a folder, "" where it has none. Raises OSError."""
    file = folder / KEY
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def linked(source: str, target: str) -> None:
    """Link a file of a folder, as shutil names it."""
    link_or_copy(Path(source), Path(target))
