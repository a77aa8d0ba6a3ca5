"""A tar of files as a stream: its size and each of its bytes are known before the first is sent, and none is stored."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from grt_batch.core.digest import digest
from grt_batch.uploads.scan import stamp_of

BLOCK_BYTES = 1 << 20


_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class _Part:
    """Bytes of the tar: some that are known, or a file, as it was when the tar was planned."""

    size: int
    content: bytes = b""
    path: Path | None = None
    stamp: tuple[int, int, int] = (0, 0, 0)


class Changed(Exception):
    """A file is another than when the tar was planned, so that the rest of the stream would be wrong."""


class TarStream:
    """A tar of these files. The same files, unchanged, give the same bytes."""

    def __init__(self, files: Iterable[tuple[str, Path]]) -> None:
        """`files` are names in the tar, and paths. Raises OSError for one that is missing."""
        self._parts: list[_Part] = []
        for name, path in files:
            stat = path.stat()
            self._parts.append(_header(name, stat))
            self._parts.append(_Part(stat.st_size, path=path, stamp=stamp_of(stat)))
            self._parts.append(_known(bytes(-stat.st_size % tarfile.BLOCKSIZE)))
        self._parts.append(_known(_END))
        self._begins = [0, *accumulate(part.size for part in self._parts)]
        self.size = self._begins.pop()
        texts = (f"{part.content.hex()} {part.path or ''} {part.stamp}" for part in self._parts)
        self.etag = f'"{digest(*texts)[:32]}"'

    def read(self, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `begin` to before `end`. Raises Changed and OSError."""
        end = self.size if end is None else end
        for at, part in zip(self._begins, self._parts, strict=True):
            first, last = max(begin - at, 0), min(end - at, part.size)
            if first < last:
                yield from _of_file(part, part.path, first, last) if part.path else [part.content[first:last]]


def _of_file(part: _Part, path: Path, first: int, last: int) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        if stamp_of(os.fstat(file.fileno())) != part.stamp:
            raise Changed(path)
        file.seek(first)
        while first < last:
            block = file.read(min(BLOCK_BYTES, last - first))
            if not block:
                raise Changed(path)
            first += len(block)
            yield block


def _header(name: str, stat: os.stat_result) -> _Part:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = stat.st_size, int(stat.st_mtime), 0o644
    return _known(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))


def _known(content: bytes) -> _Part:
    return _Part(len(content), content)
