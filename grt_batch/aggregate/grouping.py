"""Rows in groups of the same keys, in the order of the keys: the one way to group, to sort and to merge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.columns.columns import Array, Columns, least_of, null_of
from grt_batch.columns.order import ranks_of
from grt_batch.schema.members import NULL

Places = npt.NDArray[np.int32]

Integers = npt.NDArray[np.int64]


_MOST_CODES = 1 << 62


_RADIX_BITS = 11


_TABLE, _SMALL_TABLE = 4, 4096
"""Groups are numbered by a table of all codes where these are at most so many times the rows, or so many."""


@dataclass(frozen=True)
class Groups:
    """The rows with the same keys: `group` has the number of each row's group, from 0 in the order of the keys. There
    are `count` groups."""

    group: Places
    count: int

    @classmethod
    def of(cls, columns: Columns, keys: Iterable[str]) -> Groups:
        """Group rows by some of their columns, null first, in the order of these columns."""
        return cls.in_order([columns[key] for key in keys], columns.height)

    @classmethod
    def of_frame(cls, rows: pl.DataFrame, keys: Iterable[str]) -> Groups:
        """Group the rows of a frame by columns of any type; encoded texts are in the order of their dictionary."""
        return cls.in_order([ranks_of(rows[key])[0] for key in keys], rows.height)

    @classmethod
    def in_order(cls, arrays: Sequence[Array], rows: int) -> Groups:
        """Group rows by arrays of integers."""
        codes = _Codes(rows)
        for array in arrays if rows else ():
            codes.append(array)
        return cls(*codes.numbered())

    @cached_property
    def firsts(self) -> Places:
        """The first row of each group."""
        from grt_batch.kernels import grouping

        out = np.empty(self.count, np.int32)
        grouping.first_rows(self.group, out)
        return out

    @cached_property
    def sizes(self) -> Integers:
        """The number of rows of each group."""
        from grt_batch.kernels import grouping

        out = np.zeros(self.count, np.int64)
        grouping.count_rows(self.group, out)
        return out

    @cached_property
    def begins(self) -> Integers:
        """Where in `order` each group begins, and where the last one ends."""
        return np.append(0, np.cumsum(self.sizes))

    @cached_property
    def order(self) -> Places:
        """The rows, group by group, in their order before."""
        from grt_batch.kernels import grouping

        out = np.empty(len(self.group), np.int32)
        grouping.put_in_order(self.group, self.begins.copy(), out)
        return out

    def added(self, counts: Array) -> Integers:
        """Add up counts or truths, which are never null, to int64[groups]."""
        from grt_batch.kernels import grouping

        out = np.zeros(self.count, np.int64)
        counts = counts.view(np.int8) if counts.dtype == np.bool_ else counts.astype(np.int64, copy=False)
        grouping.add_counts(plain(counts), self.group, out)
        return out

    def summed(self, values: Array) -> Integers:
        """Sum values, or sums of them, to pairs (high, low), int64[groups, 2]; null where all are null."""
        from grt_batch.kernels import grouping

        out = _unknown(self.count)
        if values.ndim == 1:
            grouping.add_values(wide(values), self.group, out)
        else:
            grouping.add_sums(plain(values), self.group, out)
        grouping.carry(out)
        return out

    def squares(self, values: Array) -> Integers:
        """Sum the squares of values in their three parts to pairs (high, low), int64[3, groups, 2]; null where all
        values are null."""
        from grt_batch.kernels import grouping

        out = _unknown(3, self.count)
        grouping.add_squares(wide(values), self.group, out)
        grouping.carry(out.reshape(-1, 2))
        return out

    def extent(self, least: Array, greatest: Array) -> tuple[Array, Array]:
        """Return the least of `least` and the greatest of `greatest`, in their types; null where all are null."""
        from grt_batch.kernels import grouping

        first, last = np.full(self.count, NULL), np.full(self.count, NULL)
        low = wide(least)
        grouping.find_extremes(low, low if greatest is least else wide(greatest), self.group, first, last)
        return narrow(first, least.dtype), narrow(last, greatest.dtype)


def plain(array: Array) -> Array:
    """Return an array that the kernels take: they are compiled for those without gaps."""
    return np.ascontiguousarray(array)


def wide(array: Array) -> Integers:
    """Return integers of any width in 64 bits, null as null."""
    if array.dtype == np.int64:
        return plain(array)
    found = array.astype(np.int64)
    found[array == null_of(array)] = NULL
    return found


def narrow(array: Integers, kind: np.dtype[Any]) -> Array:
    """Return integers in another type that holds them, null as null."""
    if kind == array.dtype:
        return array
    found = array.astype(kind)
    found[array == null_of(array)] = np.iinfo(kind).min
    return found


def _unknown(*shape: int) -> Integers:
    """Return sums of nothing, in pairs."""
    sums = np.zeros((*shape, 2), np.int64)
    sums[..., 0] = NULL
    return sums


class _Codes:
    """The codes of rows, which are in the order of several columns."""

    def __init__(self, rows: int) -> None:
        self._code = np.zeros(rows, np.int64)
        self._different = 1
        self._table = max(_TABLE * rows, _SMALL_TABLE)

    def append(self, array: Array) -> None:
        """Take the next column."""
        from grt_batch.kernels import grouping

        first, different = _span(array)
        if different == 1:
            return
        if different > _MOST_CODES:
            array, first, different = _dense(array)
        if self._different <= self._table < self._different * different:
            self._renumber()
        if self._different * different > _MOST_CODES:
            self._renumber()
        if self._different * different > _MOST_CODES:
            array, first, different = _dense(array)
        digits = plain(array if array.dtype in (np.int32, np.int64) else array.astype(np.int32))
        grouping.append_digit(digits, null_of(array), first, different, self._code)
        self._different *= different

    def numbered(self) -> tuple[Places, int]:
        """Return the number of each row's group, and how many groups there are."""
        from grt_batch.kernels import grouping

        rows = len(self._code)
        group = np.zeros(rows, np.int32)
        if self._different == 1:
            return group, min(rows, 1)
        if grouping.is_rising(self._code):
            return group, grouping.number_rising(self._code, group)
        if self._different <= self._table:
            return group, grouping.number_by_table(self._code, np.zeros(self._different, np.int32), group)
        return group, grouping.number_sorted(*self._sorted(), group)

    def _sorted(self) -> tuple[Integers, Places]:
        """Return the codes in order, and their rows."""
        from grt_batch.kernels import grouping

        code, row = self._code, np.arange(len(self._code), dtype=np.int32)
        bits = (self._different - 1).bit_length()
        passes = -(-bits // _RADIX_BITS)
        width = -(-bits // passes)
        for place in range(passes):
            after = np.empty_like(code), np.empty_like(row)
            grouping.radix_pass(code, row, place * width, np.zeros((1 << width) + 1, np.int64), *after)
            code, row = after
        return code, row

    def _renumber(self) -> None:
        group, self._different = self.numbered()
        self._code = group.astype(np.int64)


def _span(array: Array) -> tuple[int, int]:
    """Return the number whose digit is 0, and how many digits there are; null is 0 too, where it occurs."""
    nulls = int(array.min()) == null_of(array)
    first = least_of(array) - nulls
    return (first, int(array.max()) - first + 1) if array.max() != null_of(array) else (0, 1)


def _dense(array: Array) -> tuple[Array, int, int]:
    different, ranks = np.unique(array, return_inverse=True)
    return ranks, 0, len(different)
