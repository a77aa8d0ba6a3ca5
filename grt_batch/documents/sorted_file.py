"""A range of rows of a TSV file that is sorted by its key, without reading the rest."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import TracebackType
from typing import Self

from grt_batch.schema.escapes import unescape

Key = tuple[str, ...]
"""The first columns of a row."""


class SortedFile:
    """The TSV file of a table whose first columns are its key, and which is sorted by them: in a `with` block. One that
    does not exist has no rows."""

    def __init__(self, file: Path) -> None:
        """Open nothing yet."""
        self._file = file
        self._text: mmap.mmap | bytes = b""
        self._begin = 0

    def __enter__(self) -> Self:
        """Map the file. Raises OSError."""
        if self._file.is_file():
            with self._file.open("rb") as file:
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._begin = self._text.find(b"\n") + 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self._text, mmap.mmap):
            self._text.close()

    def lines(self, low: Key, high: Key) -> bytes:
        """Return the lines of the rows that begin with `low`, `high`, or what lies between them. Both are as long."""
        return self._text[self._place(low, after=False) : self._place(high, after=True)]

    def _place(self, key: Key, *, after: bool) -> int:
        """Return where the first row stands that begins with `key`, or with more; or else the first one `after` it."""
        low, high = self._begin, len(self._text)
        while low < high:
            line = self._text.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._text.find(b"\n", line) + 1
            found = self._key(line, end, len(key))
            if found < key or (after and found == key):
                low = end
            else:
                high = line
        return low

    def _key(self, begin: int, end: int, columns: int) -> Key:
        fields = self._text[begin:end].removesuffix(b"\n").split(b"\t", columns)[:columns]
        return tuple(unescape(field.decode()) for field in fields)
