"""A gzip file unpacked as a stream, hashed on the way, and within limits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import SEEK_SET, BufferedReader, FileIO, RawIOBase
from typing import Any

from isal import igzip

from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock, Stage
from grt_batch.core.wording import counted

PIECE = 1 << 20
"""Bytes that are read at a time."""


_FREE_BYTES = 64 << 20
"""The size up to which any compression ratio is harmless."""


@dataclass(frozen=True)
class Limits:
    """The limits beyond which an archive is taken for a decompression bomb; 0 is no limit."""

    block_bytes: int = 4 << 20
    max_archive_bytes: int = 0
    max_ratio: int = 0
    max_line_bytes: int = 64 << 20

    def check(self, packed: int, text: int) -> None:
        """Raise Quarantine where so many bytes of a gzip file unpack to so many of text."""
        most = self.max_archive_bytes
        if most and text > most:
            raise Quarantine(f"it unpacks to more than {counted(most, 'byte')}")
        most = self.max_ratio * packed
        if most and text > max(most, _FREE_BYTES):
            raise Quarantine(f"it unpacks to more than {counted(self.max_ratio, 'time')} its size")


class Gunzip(RawIOBase):
    """The unpacked stream of a gzip file. It hashes the file and stops at the limits."""

    def __init__(self, file: BufferedReader | FileIO, limits: Limits, clock: Clock) -> None:
        self._packed = _Packed(file, clock)
        self._limits = limits
        self._clock = clock
        self.text_bytes = 0
        self._unpacked = igzip.GzipFile(fileobj=self._packed, mode="rb")  # type: ignore[no-untyped-call]

    @property
    def bytes_read(self) -> int:
        """Return the bytes of the gzip file read so far."""
        return self._packed.bytes_read

    def read(self, size: int = -1) -> bytes:
        """Read unpacked bytes. Raises Quarantine beyond a limit."""
        data: bytes = self._unpacked.read(size)
        self._unpack(len(data))
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or what the stream has left of it. Return the bytes. Raises Quarantine beyond a limit."""
        view, size = memoryview(buffer), 0
        while size < len(view) and (count := self._unpacked.readinto(view[size:])):
            size += count
            self._unpack(count)
        return size

    def tell(self) -> int:
        """Return the place in the unpacked stream."""
        return self.text_bytes

    def seek(self, position: int, whence: int = SEEK_SET) -> int:
        """Go on to a later place. Raises Quarantine where the stream ends before."""
        while self.text_bytes < position:
            if not self.read(min(position - self.text_bytes, PIECE)):
                raise Quarantine("its tar ends inside an entry")
        return self.text_bytes

    def _unpack(self, count: int) -> None:
        self.text_bytes += count
        self._clock.count(Stage.GUNZIP, count)
        self._limits.check(self.bytes_read, self.text_bytes)

    def drain(self) -> str:
        """Read the rest after the tar's end, so that gzip checks its checksum, and return the file's sha256."""
        while self.read(PIECE):
            pass
        while self._packed.readinto(bytearray(PIECE)):
            pass
        return self._packed.hash.hexdigest()


class _Packed(RawIOBase):
    """The packed file, hashed as the gzip reader reads it.

    It must not refer to `Gunzip`: isal's reader takes no part in garbage collection, so a cycle would never be freed.
    """

    def __init__(self, file: BufferedReader | FileIO, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.hash = hashlib.sha256()
        self.bytes_read = 0

    def readinto(self, buffer: Any) -> int:
        with self._clock.stage(Stage.READ):
            count = self._file.readinto(buffer)
            self.hash.update(memoryview(buffer)[:count])
        self._clock.count(Stage.READ, count)
        self.bytes_read += count
        return count

    def readable(self) -> bool:
        return True
