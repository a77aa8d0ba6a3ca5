"""Columns that arrive in pieces, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from grt_batch.columns.columns import Array
from grt_batch.columns.texts import Codes, Texts
from grt_batch.decode.columns import Decoded, Integers


class GrowableArray:
    """A column that grows at its end.

    Appended values are copied, so that their block or message can be freed. Where the system can move the pages of a
    large column, growing never needs twice its memory.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._values = np.empty(0, dtype)
        self._size = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        """Append `values`. No view of the column may be in use."""
        self.room(len(values))[:] = values
        self.grow(len(values))

    def room(self, count: int) -> npt.NDArray[Any]:
        """Return a view of room for so many values behind the last, for `grow`. No other view may be in use."""
        size = self._size + count
        if size > len(self._values):
            self._values.resize(max(size, len(self._values) * 9 // 8), refcheck=False)
        return self._values[self._size : size]

    def grow(self, count: int) -> None:
        """Take so many values in that were put into `room`."""
        self._size += count

    def values(self) -> npt.NDArray[Any]:
        """Return the column, without room to grow. No other view may be in use."""
        self._values.resize(self._size, refcheck=False)
        return self._values


Rows = npt.NDArray[np.int32]
"""The row of the job of each record, -1 where the archive does not hold the job.

Memory that a process has not touched yet takes longer than to put an archive's records in order: so ids become rows,
and columns others, in the same memory.
"""


@dataclass
class Dictionary:
    """The texts of many blocks, each with one code."""

    codes: dict[tuple[str | None, ...], int] = field(default_factory=dict)

    def translate(self, texts: Sequence[tuple[str | None, ...]], codes: Integers) -> Codes:
        """Return the codes here for a block's codes into its `texts`."""
        numbers = [self.codes.setdefault(text, len(self.codes)) for text in texts]
        return np.array(numbers, np.int32)[codes]

    def column(self, place: int, codes: Codes) -> tuple[Codes, Texts]:
        """Return the texts of `codes`, with a dictionary in order; `place` selects one text of each tuple."""
        known, numbers = self.coded(place)
        return numbers[codes], known

    def coded(self, place: int) -> tuple[Texts, Codes]:
        """Return one text of each tuple, as a dictionary in order, and the code there of each code here."""
        return Texts.coded([texts[place] for texts in self.codes])


@dataclass
class Collected:
    """The columns of all blocks of one kind of member, in their order in the archive. Texts are kept as codes."""

    columns: dict[str, GrowableArray] = field(default_factory=dict)
    texts: dict[str, Dictionary] = field(default_factory=dict)

    def add(self, decoded: Decoded, names: Iterable[str]) -> None:
        """Keep the columns of these names from the next block."""
        for name in names:
            column = decoded.columns[name]
            if name in decoded.texts:
                column = self.texts.setdefault(name, Dictionary()).translate(decoded.texts[name], column)
            self.put(name, column)

    def put(self, name: str, column: Array) -> None:
        """Keep a column of the next block."""
        self.column(name, column.dtype).append(column)

    def column(self, name: str, kind: npt.DTypeLike) -> GrowableArray:
        """Return the column of this name, which may be new."""
        if name not in self.columns:
            self.columns[name] = GrowableArray(kind)
        return self.columns[name]

    def take(self, name: str, kind: npt.DTypeLike = np.int64) -> Array:
        """Return one column of all blocks, of this type where there are none, and forget it: an archive may have
        millions of records."""
        column = self.columns.pop(name, None)
        return np.empty(0, kind) if column is None else column.values()

    def dictionary(self, name: str) -> Dictionary:
        """Return the texts of a column of codes."""
        return self.texts.get(name, Dictionary())


@dataclass(frozen=True)
class Order:
    """Records by rising job, stable within a job, without those of no job.

    `places` are where they stood; those of job n end at `ends[n]`. Records `in_place` stood like this.
    """

    rows: Rows
    places: Rows
    ends: Rows
    in_place: bool

    @classmethod
    def of(cls, rows: Rows, jobs: int) -> Order:
        """Return the order of records of so many jobs. The first half of `rows` are the rows of theirs; all of it is
        the memory of the result."""
        from grt_batch.kernels import joins

        count, ends = len(rows) // 2, np.zeros(jobs + 1, np.int32)
        rows, places = rows[:count], rows[count:]
        count, in_place = joins.put_in_order(rows, ends, places)
        joins.fill_rows(ends, rows)
        return cls(rows[:count], places[:count], ends, in_place)

    def __call__(self, column: Array) -> Array:
        """Return a column of the records in this order."""
        return column if self.in_place else column[self.places]
