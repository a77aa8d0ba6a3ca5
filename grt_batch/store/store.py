"""The content-addressed store of partial results in the work folder.

An entry is a pure function of what its key is made of: an archive's bytes, code, settings, a set of superseded jobs. So
it never changes, and one that is missing or damaged is computed again.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

from grt_batch.core.errors import CannotWrite
from grt_batch.core.files import atomic_write
from grt_batch.core.timing import Clock, Stage

_HEAD = struct.Struct("<8sIQ")


_MAGIC = b"GRTPART2"


_UNFINISHED = "unfinished"


_DAY = 86400


@dataclass(frozen=True)
class Entry:
    """A file of the store: its size in bytes, and when it was last used, in Unix seconds, within a day."""

    kind: str
    key: str
    bytes: int
    used: float


class Store:
    """Entries by kind and key: one file each, `<root>/<kind>/<first two digits>/<key>`, with a checksum."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        """Reading and writing count to `clock`."""
        self.root = root
        self.clock = clock or Clock()
        self._unfinished = root / _UNFINISHED

    def tidy(self) -> None:
        """Remove what a killed run left half written. The caller holds the run's lock."""
        shutil.rmtree(self._unfinished, ignore_errors=True)

    def path(self, kind: str, key: str) -> Path:
        """Return the path of an entry."""
        return self.root / kind / key[:2] / key

    def has(self, kind: str, key: str) -> bool:
        """Return whether there is such an entry. It may still turn out to be damaged."""
        return self.path(kind, key).is_file()

    def size(self, kind: str, key: str) -> int:
        """Return the size of an entry's file, 0 without one."""
        try:
            return self.path(kind, key).stat().st_size
        except OSError:
            return 0

    def get(self, kind: str, key: str) -> bytes | None:
        """Return an entry, None where it is missing or its checksum is wrong."""
        with self.clock.stage(Stage.LOAD):
            try:
                with self.path(kind, key).open("rb") as file:
                    magic, checksum, size = _HEAD.unpack(file.read(_HEAD.size))
                    payload = file.read()
                    _mark_as_used(file.fileno())
            except (OSError, struct.error):
                return None
            is_good = magic == _MAGIC and size == len(payload) and checksum == isal_zlib.crc32(payload)
            self.clock.count(Stage.LOAD, len(payload))
            return payload if is_good else None

    def put(self, kind: str, key: str, payload: bytes) -> None:
        """Store an entry atomically. Raises CannotWrite.

        The folder is not synced: an entry that loses its name in a power cut is missing, and computed again.
        """
        path = self.path(kind, key)
        with self.clock.stage(Stage.STORE, len(payload)):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._unfinished.mkdir(parents=True, exist_ok=True)
                head = _HEAD.pack(_MAGIC, isal_zlib.crc32(payload), len(payload))
                atomic_write(path, (head, payload), self._unfinished / uuid.uuid4().hex)
            except OSError as error:
                raise CannotWrite(folder=self.root, what=error.strerror or error) from None

    def drop(self, kind: str, key: str) -> None:
        """Remove an entry, if there is one. Raises CannotWrite."""
        try:
            self.path(kind, key).unlink(missing_ok=True)
        except OSError as error:
            raise CannotWrite(folder=self.root, what=error.strerror or error) from None

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, in any order. Raises CannotWrite where the store cannot be listed."""
        try:
            for folder in self.root.glob("*/*/"):
                if folder.parent.name != _UNFINISHED:
                    for file in folder.iterdir():
                        stat = file.stat()
                        yield Entry(folder.parent.name, file.name, stat.st_size, stat.st_mtime)
        except OSError as error:
            raise CannotWrite(folder=self.root, what=error.strerror or error) from None


def _mark_as_used(file: int) -> None:
    """Set the date of an entry to now, at most once a day. Entries never change, so the date is free for this."""
    if time.time() - os.fstat(file).st_mtime > _DAY:
        with suppress(OSError):
            os.utime(file)
