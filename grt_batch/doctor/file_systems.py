"""Probes of what the file system of a folder can do."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from grt_batch.core.errors import CannotWrite, NoLocks
from grt_batch.core.files import try_lock
from grt_batch.doctor.findings import Finding, problem, warning

SECONDS = 2.0
"""Clocks that differ by less are taken for the same."""


def lacking(subject: str, folder: Path) -> Iterator[Finding]:
    """Report what the file system of a folder cannot do that a run needs there, or does without. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=".grt_batch-", dir=folder) as made:
        file, other = Path(made, "file"), Path(made, "other", "file")
        other.parent.mkdir()
        file.touch()
        yield from _clock(subject, file)
        if subject == "work":
            yield from _locks(folder, file)
        else:
            yield from _links(subject, folder, file, other)


def _clock(subject: str, file: Path) -> Iterator[Finding]:
    ahead = file.stat().st_mtime - time.time()
    if abs(ahead) > SECONDS:
        found = f"its clock is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} that of this host"
        yield warning(subject, found, "Synchronize both clocks: the age of archives is reckoned from them.")


def _locks(folder: Path, file: Path) -> Iterator[Finding]:
    try:
        with file.open("r+b") as opened:
            try_lock(opened)
    except OSError as error:
        yield problem("work", NoLocks(folder=folder, what=error.strerror or error))


def _links(subject: str, folder: Path, file: Path, other: Path) -> Iterator[Finding]:
    try:
        file.with_name("link").symlink_to(file.name)
    except OSError as error:
        what = f"no symbolic link can be made there ({error.strerror})"
        yield problem(subject, CannotWrite(folder=folder, what=what))
    try:
        os.link(file, other)
    except OSError as error:
        found = f"its file system has no hard links ({error.strerror}), so files that did not change are copied"
        yield warning(subject, found, "Nothing has to be done if there is room for two copies.")
