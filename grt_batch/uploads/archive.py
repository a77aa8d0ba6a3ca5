"""An archive's tar.gz as a stream of line-aligned blocks. Nothing is ever extracted to a path.

Every fault of the gzip or tar layer raises Quarantine: an archive is read to its last byte or not at all.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import IO, Any

import numpy as np
from isal import igzip, isal_zlib

from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock, Stage
from grt_batch.schema.members import Kind, Layout, layout_of

_TAR_BUFFER = 1 << 20


_HEADER_LIMIT = 8 << 10
"""Long names and pax records beyond this are an attack: tarfile would read them into memory."""


_READ_INTO_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


_SAMPLE_LINES = 1000


_BYTES_OF_A_LINE = 16
"""Hardly a record is shorter. Of blocks of mere newlines each byte would be a line, and take some hundred bytes."""


_MOST_ENTRIES = 10_000
"""An exporter writes five. Each takes up to a millisecond, and there is room for thousands in a kilobyte of tar.gz."""


_FREE_BYTES = 64 << 20
"""Small archives may have any ratio: a run of zeros hurts nobody up to here."""


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to before it is taken for a bomb; 0 is no limit."""

    block_bytes: int = 4 << 20
    max_archive_bytes: int = 0
    max_ratio: int = 0
    max_line_bytes: int = 64 << 20


@dataclass(frozen=True)
class Block:
    """Whole lines of one member. `member` numbers the members of a kind that this archive holds, from 0."""

    layout: Layout
    member: int
    data: bytes


@dataclass(frozen=True)
class Header:
    """A member begins: its layout, and whether its first line was a header."""

    layout: Layout
    member: int
    has_header: bool


class ArchiveReader:
    """Reads one tar.gz once, from its first byte to its last.

    After `blocks` is exhausted, `sha256` is the hash of the file, `text_bytes` what it unpacked to, and
    `passed_over` the number of members that hold no records.
    """

    def __init__(self, path: Path, limits: Limits, clock: Clock | None = None) -> None:
        self.path = path
        self.limits = limits
        self._clock = clock or Clock()
        self.sha256 = ""
        self.passed_over = 0
        self._gunzip: _Gunzip | None = None

    @property
    def bytes_read(self) -> int:
        """How many bytes of the tar.gz were read so far."""
        return self._gunzip.bytes_read if self._gunzip else 0

    @property
    def text_bytes(self) -> int:
        """How many bytes came out of it so far."""
        return self._gunzip.text_bytes if self._gunzip else 0

    def blocks(self) -> Iterator[Header | Block]:
        """For each member of a known kind a Header, then its Blocks in order. Raises Quarantine."""
        try:
            with self.path.open("rb") as file:
                self._gunzip = _Gunzip(file, self.limits, self._clock)
                yield from self._members(self._gunzip)
                self.sha256 = self._gunzip.drain()
        except Quarantine:
            raise
        except (EOFError, zlib.error, isal_zlib.error, igzip.BadGzipFile) as error:  # type: ignore[misc]
            raise Quarantine(f"its gzip is broken: {error}") from None
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise Quarantine(f"its tar is broken: {error}") from None
        except OSError as error:
            raise Quarantine(f"its tar.gz cannot be read: {error}") from None

    def _members(self, gunzip: _Gunzip) -> Iterator[Header | Block]:
        seen: dict[Kind, int] = {}
        with tarfile.open(
            fileobj=gunzip, mode="r|", bufsize=_TAR_BUFFER, tarinfo=_StrictTarInfo, errors="backslashreplace"
        ) as tar:
            for number, info in enumerate(tar):
                if number == _MOST_ENTRIES:
                    raise Quarantine(f"its tar has more than {_MOST_ENTRIES} entries")
                kind = Kind.of_member(info.name) if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
                stream = tar.extractfile(info) if kind else None
                if kind is None or stream is None:
                    self.passed_over += 1
                else:
                    yield from self._member(kind, seen.get(kind, 0), info, stream)
                    seen[kind] = seen.get(kind, 0) + 1
                # tarfile keeps every header that it has read; a stream never needs one again.
                tar.members.clear()  # type: ignore[attr-defined]
            while rest := tar.fileobj.read(_TAR_BUFFER):
                if rest.count(0) < len(rest):
                    raise Quarantine("its tar goes on behind its end mark")

    def _member(self, kind: Kind, member: int, info: tarfile.TarInfo, stream: IO[bytes]) -> Iterator[Header | Block]:
        layout: Layout | None = None
        for data in self._lines(info, stream):
            text = data
            if layout is None:
                sample = text[: 64 * _SAMPLE_LINES].split(b"\n")
                try:
                    layout, has_header = layout_of(kind, sample[:-1] or sample)
                except ValueError as error:
                    raise Quarantine(str(error)) from None
                yield Header(layout, member, has_header)
                if has_header:
                    text = text[(text.find(b"\n") + 1) or len(text) :]
            if text:
                yield Block(layout, member, text)

    def _lines(self, info: tarfile.TarInfo, stream: IO[bytes]) -> Iterator[bytes]:
        """The member in blocks that end with a newline; the last may lack it."""
        left, rest, most = info.size, b"", self.limits.max_line_bytes
        while left:
            # No read holds a line of more than the limit between two newlines, so that only its ends need a look.
            data = stream.read(min(left, self.limits.block_bytes, most))
            if not data:
                raise Quarantine(f"its tar ends inside {info.name:.200}")
            left -= len(data)
            end = data.rfind(b"\n") + 1
            longest = len(rest) + (data.find(b"\n") if end else len(data))
            if longest > most:
                raise Quarantine(f"{info.name:.200} has a line of more than {most} bytes")
            if end:
                yield from self._short(rest + data[:end])
                rest = data[end:]
            else:
                rest += data
        if rest:
            yield rest

    def _short(self, lines: bytes) -> Iterator[bytes]:
        """The lines cut in half, and these in half, until none has more lines than fill a block in earnest."""
        from grt_batch.kernels.fields import newlines

        most = max(_SAMPLE_LINES, self.limits.block_bytes // _BYTES_OF_A_LINE)
        if newlines(np.frombuffer(lines, np.uint8)) <= most:
            yield lines
        else:
            middle = (lines.rfind(b"\n", 0, len(lines) // 2) + 1) or lines.find(b"\n") + 1
            yield from self._short(lines[:middle])
            yield from self._short(lines[middle:])


class _Gunzip(RawIOBase):
    """The unpacked stream of a gzip file, which hashes what it reads and stops at the limits."""

    def __init__(self, file: BufferedReader | FileIO, limits: Limits, clock: Clock) -> None:
        self._packed = _Packed(file, clock)
        self._limits = limits
        self._clock = clock
        self._ends = 0
        self.text_bytes = 0
        self._unpacked = igzip.GzipFile(fileobj=self._packed, mode="rb")  # type: ignore[no-untyped-call]

    @property
    def bytes_read(self) -> int:
        return self._packed.bytes_read

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._unpacked.read(size)
        self.text_bytes += len(data)
        self._clock.count(Stage.GUNZIP, len(data))
        self._ends += not data
        if self._ends > 8:
            # tarfile skips an entry by reading on, however often there is nothing more.
            raise Quarantine("its tar ends inside an entry")
        most = self._limits.max_archive_bytes
        if most and self.text_bytes > most:
            raise Quarantine(f"it unpacks to more than {most} bytes")
        most = self._limits.max_ratio * self.bytes_read
        if most and self.text_bytes > max(most, _FREE_BYTES):
            raise Quarantine(f"it unpacks to more than {self._limits.max_ratio} times its size")
        return data

    def drain(self) -> str:
        """Read what is left behind the tar's end, so that gzip's checksum is tested, and return the file's sha256."""
        while self.read(_TAR_BUFFER):
            pass
        while self._packed.readinto(bytearray(_TAR_BUFFER)):
            pass
        return self._packed.hash.hexdigest()


class _Packed(RawIOBase):
    """The file as the gzip reader reads it, hashed on the way. It must not know `_Gunzip`: isal's reader takes no part
    in garbage collection, so that a cycle through it would keep its buffers for ever."""

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


class _StrictTarInfo(tarfile.TarInfo):
    """A header that is broken ends the archive; tarfile alone would take it for the end of the tar."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictTarInfo:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise Quarantine("its tar has no end mark: it was cut off") from None
        except tarfile.HeaderError as error:
            raise Quarantine(f"its tar has a broken header: {error}") from None

    def _proc_member(self, tarfile_: tarfile.TarFile) -> Any:
        if self.size < 0:
            raise Quarantine(f"its tar has an entry of {self.size} bytes")
        if self.type in _READ_INTO_MEMORY and self.size > _HEADER_LIMIT:
            raise Quarantine(f"its tar has a header of {self.size} bytes")
        return super()._proc_member(tarfile_)  # type: ignore[misc]

    def _apply_pax_info(self, pax_headers: dict[str, str], encoding: str, errors: str) -> None:
        # They may say any other size, even where nothing is sparse.
        if any(keyword.startswith("GNU.sparse.") for keyword in pax_headers):
            self._refuse_sparse()
        super()._apply_pax_info(pax_headers, encoding, errors)  # type: ignore[misc]

    def _refuse_sparse(self, *_: Any) -> Any:
        raise Quarantine("its tar has a sparse file")

    # The holes of a sparse file are bytes that no limit counts, and tarfile reads the map of them into memory.
    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse
