"""An archive's tar.gz as a stream of line-aligned blocks. Nothing is ever extracted to a path.

Every fault of the gzip or tar layer raises Quarantine: an archive is read to its last byte or not at all.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from isal import igzip, isal_zlib

from grt_batch.core.byte_order_mark import mark_size
from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock
from grt_batch.core.wording import counted
from grt_batch.schema.members import Kind, Layout, layout_of
from grt_batch.uploads.strict_tar import StrictTarInfo
from grt_batch.uploads.unpacking import PIECE, Gunzip, Limits

_SAMPLE_LINES = 1000


_BYTES_OF_A_LINE = 16
"""The least bytes of a line, on average over a block: in a block of newlines each byte would become a record."""


_MOST_ENTRIES = 10_000
"""The most entries of a tar. Exporters write five; each costs up to 1 ms, and a kilobyte of tar.gz holds thousands."""


@dataclass(frozen=True)
class Block:
    """Whole lines of one member, not to be changed. `member` numbers the archive's members of a kind, from 0."""

    layout: Layout
    member: int
    data: memoryview


@dataclass(frozen=True)
class Header:
    """The begin of a member: its layout, and whether its first line is a header."""

    layout: Layout
    member: int
    has_header: bool


class ArchiveReader:
    """Read one tar.gz once, from its first byte to its last.

    After `blocks` is exhausted, `sha256` is the hash of the file, `text_bytes` the size of its content, `found` the
    number of members of a known kind, and `passed_over` the number of other entries.
    """

    def __init__(self, path: Path, limits: Limits, clock: Clock | None = None) -> None:
        self.path = path
        self.limits = limits
        self._clock = clock or Clock()
        self.sha256 = ""
        self.found = self.passed_over = 0
        self._gunzip: Gunzip | None = None

    @property
    def bytes_read(self) -> int:
        """Return the bytes of the tar.gz read so far."""
        return self._gunzip.bytes_read if self._gunzip else 0

    @property
    def text_bytes(self) -> int:
        """Return the bytes unpacked so far."""
        return self._gunzip.text_bytes if self._gunzip else 0

    def blocks(self) -> Iterator[Header | Block]:
        """Yield a Header for each member of a known kind, then its Blocks in order. Raises Quarantine."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    raise Quarantine("its tar.gz is empty: it has 0 bytes")
                self._gunzip = Gunzip(file, self.limits, self._clock)
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

    def _members(self, gunzip: Gunzip) -> Iterator[Header | Block]:
        seen: dict[Kind, int] = {}
        # As a file, which tarfile reads by headers; as a stream it would copy all that it reads.
        with tarfile.open(fileobj=gunzip, mode="r:", tarinfo=StrictTarInfo, errors="backslashreplace") as tar:
            for number, info in enumerate(tar):
                if number == _MOST_ENTRIES:
                    raise Quarantine(f"its tar has more than {_MOST_ENTRIES} entries")
                kind = Kind.of_member(info.name) if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
                if kind is None:
                    self.passed_over += 1
                else:
                    self.found += 1
                    yield from self._member(kind, seen.get(kind, 0), info, gunzip)
                    seen[kind] = seen.get(kind, 0) + 1
                # tarfile keeps every header that it has read, and a stream never needs one again.
                tar.members.clear()  # type: ignore[attr-defined]
            while rest := gunzip.read(PIECE):
                if rest.count(0) < len(rest):
                    raise Quarantine("its tar goes on after its end mark")

    def _member(self, kind: Kind, member: int, info: tarfile.TarInfo, gunzip: Gunzip) -> Iterator[Header | Block]:
        from grt_batch.kernels.fields import line_ends

        layout: Layout | None = None
        for lines in self._lines(info, gunzip):
            text = lines
            if layout is None:
                text = lines[_mark_size(lines, info.name) :]
                sample = bytes(text[: 64 * _SAMPLE_LINES]).split(b"\n")
                try:
                    layout, has_header = layout_of(kind, sample[:-1] or sample)
                except ValueError as error:
                    raise Quarantine(str(error)) from None
                yield Header(layout, member, has_header)
                text = text[line_ends(_array(text))[1] or len(text) :] if has_header else text
            if len(text):
                yield Block(layout, member, text)

    def _lines(self, info: tarfile.TarInfo, gunzip: Gunzip) -> Iterator[memoryview]:
        """Yield the member in blocks that end with a newline, which the last one may lack."""
        from grt_batch.kernels.fields import line_ends

        left, rest, most = info.size, memoryview(b""), self.limits.max_line_bytes
        while left:
            # A read is no longer than the limit, so only its first and last line can be too long.
            size = min(left, self.limits.block_bytes, most)
            # A bytearray would be cleared first.
            block = np.empty(len(rest) + size, np.uint8).data
            block[: len(rest)] = rest
            if gunzip.readinto(block[len(rest) :]) < size:
                raise Quarantine(f"its tar ends inside {info.name:.200}")
            left -= size
            block = block.toreadonly()
            count, first, last = line_ends(_array(block))
            # What is left of earlier blocks holds no newline.
            if (first - 1 if count else len(block)) > most:
                raise Quarantine(f"{info.name:.200} has a line of more than {counted(most, 'byte')}")
            if count:
                yield from self._short(block[:last], count)
            rest = block[last:]
        if rest:
            yield rest

    def _short(self, lines: memoryview, count: int) -> Iterator[memoryview]:
        """Yield lines, `count` of them, halved until no piece has more than a block of records would."""
        from grt_batch.kernels.fields import line_ends

        if count <= max(_SAMPLE_LINES, self.limits.block_bytes // _BYTES_OF_A_LINE):
            yield lines
            return
        before, _, middle = line_ends(_array(lines[: len(lines) // 2]))
        if not before:
            before, middle = 1, line_ends(_array(lines))[1]
        yield from self._short(lines[:middle], before)
        yield from self._short(lines[middle:], count - before)


def _mark_size(text: memoryview, name: str) -> int:
    try:
        return mark_size(bytes(text[:4]))
    except ValueError as error:
        raise Quarantine(f"{name:.200} is {error}") from None


def _array(data: memoryview) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
