"""A range of rows of a TSV file that is sorted by its key, without reading the rest."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from grt_batch.schema.escapes import unescape

Key = tuple[str, ...]
"""The first columns of a row."""


class SortedFile:
    """The TSV file of a table whose first columns are its key, and which is sorted by them: in a `with` block. One that
    does not exist has no rows."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Open the file. Raises OSError."""
        if self._path.is_file():
            self._file = self._path.open("rb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def lines(self, low: Key, high: Key) -> bytes:
        """Return the lines of the rows that begin with `low`, `high`, or what lies between them. Both are as long."""
        if self._file is None:
            return b""
        # Mapped anew each time: what was looked at does not stay in the memory of this process.
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text[_place(text, low, after=False) : _place(text, high, after=True)]


def _place(text: mmap.mmap, key: Key, *, after: bool) -> int:
    """Return where the first row stands that begins with `key`, or with more; or else the first one `after` it."""
    low, high = text.find(b"\n") + 1, len(text)
    while low < high:
        line = text.rfind(b"\n", low, (low + high) // 2) + 1 or low
        end = text.find(b"\n", line) + 1
        fields = text[line : end - 1].split(b"\t", len(key))[: len(key)]
        found = tuple(unescape(field.decode()) for field in fields)
        if found < key or (after and found == key):
            low = end
        else:
            high = line
    return low
