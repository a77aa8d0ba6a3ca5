"""The lines of a report, chosen as bytes: a report has many times the rows that pages show, and to parse them all would
take long. Each line has the same number of columns, and no tab or newline but those that end one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from grt_batch.schema.escapes import escape

Where = Mapping[str, Collection[str]]
"""The texts that some columns may have."""

Range = tuple[int, int]
"""The offsets of the first byte and of the end of some lines in a file."""

_READ_BYTES = 1 << 20

_Rows = npt.NDArray[np.int64]


class Block:
    """Whole lines of a report with these columns."""

    def __init__(self, lines: bytes, columns: Sequence[str]) -> None:
        """Find the fields. Raises ValueError for lines with another number of them."""
        self._lines, self._columns = lines, columns
        self._data = np.frombuffer(lines, np.uint8)
        # A tab is 9, a newline 10; anything less becomes large.
        self._ends = np.flatnonzero(self._data - np.uint8(9) < 2).reshape(-1, len(columns))
        self._begins = np.concatenate([[0], self._ends[:-1, -1] + 1])

    def matching(self, wheres: Sequence[Where]) -> _Rows:
        """Return the numbers of the lines that match any of these conditions, of all lines where there are none."""
        found = np.full(len(self._ends), not wheres)
        for where in wheres:
            rows = np.flatnonzero(~found)
            for name, texts in where.items():
                rows = self._among(rows, self._columns.index(name), texts)
            found[rows] = True
        return np.flatnonzero(found)

    def texts(self, rows: _Rows, first: int, end: int) -> list[bytes]:
        """Return the text of some lines from the column `first` to the one before `end`."""
        places = zip(self._begin(rows, first).tolist(), self._ends[rows, end - 1].tolist(), strict=True)
        return [self._lines[start:stop] for start, stop in places]

    def fields(self, rows: _Rows, names: Sequence[str]) -> list[bytes]:
        """Return some columns of some lines."""
        places = [self._columns.index(name) for name in names]
        if places == list(range(places[0], places[-1] + 1)):
            return self.texts(rows, places[0], places[-1] + 1)
        return [b"\t".join(found) for found in zip(*(self.texts(rows, at, at + 1) for at in places), strict=True)]

    def _begin(self, rows: _Rows, column: int) -> _Rows:
        return self._ends[rows, column - 1] + 1 if column else self._begins[rows]

    def _among(self, rows: _Rows, column: int, texts: Collection[str]) -> _Rows:
        """Return the rows with one of some texts in a column."""
        begins = self._begin(rows, column)
        lengths = self._ends[rows, column] - begins
        found = np.zeros(len(rows), np.bool_)
        for text in texts:
            written = escape(text).encode()
            like = np.flatnonzero(lengths == len(written))
            for at, byte in enumerate(written):
                like = like[self._data[begins[like] + at] == byte]
            found[like] = True
        return rows[found]


def blocks(file: Path, ranges: Iterable[Range], columns: Sequence[str]) -> Iterator[Block]:
    """Yield the lines of some ranges of a file, about a MiB at a time. Raises OSError, and ValueError for other columns
    than these."""
    with file.open("rb") as opened:
        for begin, end in ranges:
            for lines in _whole_lines(opened, begin, end):
                yield Block(lines, columns)


def _whole_lines(file: IO[bytes], begin: int, end: int) -> Iterator[bytes]:
    file.seek(begin)
    left = b""
    while begin < end and (read := file.read(min(_READ_BYTES, end - begin))):
        begin += len(read)
        lines, newline, rest = read.rpartition(b"\n")
        if newline:
            yield left + lines + newline
            left = rest
        else:
            left += read
    if left:
        yield left + b"\n"
