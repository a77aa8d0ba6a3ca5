"""The lines of a report that pages are made of, chosen as bytes: a report has many times the rows that pages show.

Each line has the same number of columns, and no tab or newline but those that end one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

Where = Mapping[str, Collection[str]]
"""The texts that some columns may have, without characters that are escaped."""

Range = tuple[int, int]
"""The offsets of the first byte and of the end of some lines in a file."""

_READ_BYTES = 1 << 20

_PART_BYTES = 1 << 22

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """The lines of a report with these `columns` that match any of `where`, or all lines where that is empty, without
    the columns after the first `kept`."""

    columns: Sequence[str]
    where: Sequence[Where]
    kept: int

    def parts(self, file: Path, ranges: Iterable[Range]) -> Iterator[bytes]:
        """Yield the lines of some ranges of a file, some MiB at a time. Raises OSError, and ValueError for lines with
        other columns."""
        found: list[bytes] = []
        size = 0
        with file.open("rb") as opened:
            for block in (block for place in ranges for block in _blocks(opened, *place)):
                chosen = self._chosen(block)
                found.append(chosen)
                size += len(chosen)
                if size >= _PART_BYTES:
                    yield b"".join(found)
                    found, size = [], 0
        if size:
            yield b"".join(found)

    def _chosen(self, block: bytes) -> bytes:
        if not self.where and self.kept == len(self.columns):
            return block
        data = np.frombuffer(block, np.uint8)
        # A tab is 9, a newline 10; anything less becomes large.
        ends = np.flatnonzero(data - np.uint8(9) < 2).reshape(-1, len(self.columns))
        begins = np.concatenate([[0], ends[:-1, -1] + 1])
        rows = np.flatnonzero(self._matches(data, begins, ends))
        begins, ends = begins[rows], ends[rows, self.kept - 1]
        lines = [block[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        return b"\n".join([*lines, b""])

    def _matches(self, data: _Bytes, begins: _Places, ends: _Places) -> npt.NDArray[np.bool_]:
        """Return which lines match."""
        found = np.full(len(ends), not self.where)
        for where in self.where:
            rows = np.flatnonzero(~found)
            for name, texts in where.items():
                at = self.columns.index(name)
                begin = ends[rows, at - 1] + 1 if at else begins[rows]
                rows = rows[_any_of(data, begin, ends[rows, at], texts)]
            found[rows] = True
        return found


def _any_of(data: _Bytes, begins: _Places, ends: _Places, texts: Collection[str]) -> npt.NDArray[np.bool_]:
    """Return which fields are one of some texts."""
    found = np.zeros(len(begins), np.bool_)
    for text in texts:
        written = text.encode()
        rows = np.flatnonzero(ends - begins == len(written))
        for at, byte in enumerate(written):
            rows = rows[data[begins[rows] + at] == byte]
        found[rows] = True
    return found


def _blocks(file: IO[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Yield the whole lines of a range of a file."""
    file.seek(begin)
    left = b""
    while begin < end and (block := file.read(min(_READ_BYTES, end - begin))):
        begin += len(block)
        cut = block.rfind(b"\n") + 1
        if cut:
            yield left + block[:cut]
            left = block[cut:]
        else:
            left += block
    if left:
        yield left + b"\n"
