"""A folder of machine code. It is run, so nothing is taken from a folder or file that another user can write."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from grt_batch.core.files import write_synced
from grt_batch.core.logs import logger

SUFFIX = ".kernel"


_ALL_FOLDER, _ALL_FILE = 0o755, 0o644
"""Rights of folders and files that all may read: nobody but the owner ever writes."""


@dataclass(frozen=True)
class Place:
    """A folder for the kernels of these sources, which may not exist yet, and the one above it, which is made with it.

    `sources` is the folder of the sources where the place belongs to an installation: who can write those runs code as
    every user anyway. `is_fallback` is true for what only serves where neither the installation nor a home can be
    written.
    """

    folder: Path
    sources: Path | None = None
    is_fallback: bool = False

    @property
    def is_trusted(self) -> bool:
        """Return whether the folder is there, and nobody else can have put a file there."""
        return all(self._is_safe(folder, stat.S_IFDIR) for folder in (self.folder, self.folder.parent))

    @property
    def can_be_written(self) -> bool:
        """Return whether this user can write there, or make the folder."""
        there = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK) and (there != self.folder or self.is_trusted)

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises OSError, also where another user can have written it."""
        if not self.is_trusted:
            raise PermissionError(name)
        with (self.folder / name).open("rb") as file:
            if not self._is_safe(file.fileno(), stat.S_IFREG):
                raise PermissionError(name)
            return file.read()

    def write(self, name: str, content: Iterable[bytes]) -> None:
        """Write a file. Raises OSError."""
        if not self.is_trusted:
            self._make()
        temporary = (self.folder / name).with_suffix(f".{uuid4().hex}")
        try:
            write_synced(temporary, content)
            self._share(temporary, _ALL_FILE)
            temporary.replace(self.folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise

    def files(self) -> set[str]:
        """Return the names of the files, if they can be trusted."""
        return {file.name for file in self.folder.glob(f"*{SUFFIX}")} if self.is_trusted else set()

    def share(self) -> None:
        """Let all users of the installation read what this user has written there, whatever the umask was."""
        for entry in (self.folder.parent, self.folder, *self.folder.glob(f"*{SUFFIX}")):
            with suppress(OSError):
                self._share(entry, _ALL_FOLDER if entry.is_dir() else _ALL_FILE)

    def _make(self) -> None:
        self.folder.parent.parent.mkdir(parents=True, exist_ok=True)
        made = False
        for folder in (self.folder.parent, self.folder):
            try:
                folder.mkdir()
                made = folder is self.folder
            except FileExistsError:
                made = False
            self._share(folder, _ALL_FOLDER)
        if not self.is_trusted:
            raise PermissionError(f"another user can write to {self.folder}")
        if made and self.is_fallback:
            logger.warning(
                "compiled kernels are kept in %s, since neither the installation nor a home can be written; grt-batch"
                " warm by the owner of the installation serves all users",
                self.folder,
            )

    def _share(self, entry: Path, mode: int) -> None:
        """Set the rights of a folder or file: those of the umask, or of an installation's sources, but no right to
        write for others."""
        there = entry.lstat()
        if there.st_uid != os.geteuid() or stat.S_ISLNK(there.st_mode):
            return
        like = stat.S_IMODE(self.sources.stat().st_mode) | 0o700 if self.sources else stat.S_IMODE(there.st_mode)
        if stat.S_IMODE(there.st_mode) != like & mode:
            entry.chmod(like & mode)

    def _is_safe(self, entry: Path | int, kind: int) -> bool:
        """Return whether a folder or an open file is of this kind, and only a trusted user can write to it."""
        owners, loose = {0, os.geteuid()}, 0
        try:
            there = os.lstat(entry) if isinstance(entry, Path) else os.fstat(entry)
            if self.sources:
                like = self.sources.stat()
                owners.add(like.st_uid)
                loose = like.st_mode & (0o022 if like.st_gid == there.st_gid else 0o002)
        except OSError:
            return False
        return stat.S_IFMT(there.st_mode) == kind and there.st_uid in owners and not there.st_mode & 0o022 & ~loose
