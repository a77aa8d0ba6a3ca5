"""Rows in the order of their keys: the one way to group, to sort and to merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.columns.columns import Array, Columns, null_of
from grt_batch.schema.members import NULL

Places = npt.NDArray[np.int32]

Integers = npt.NDArray[np.int64]


_MOST_CODES = 1 << 62


_FEW = 2000
"""So few rows numpy sorts faster than passes over the digits do."""


@dataclass(frozen=True)
class Groups:
    """The rows with the same keys. Those of group g are `order`[begins[g] : begins[g + 1]], in their order before;
    `begins` has one number more than there are groups."""

    order: Places
    begins: Integers

    @classmethod
    def of(cls, columns: Columns, keys: Sequence[str]) -> Groups:
        """Group rows by some of their columns, null first, in the order of these columns."""
        code, bits = _codes([columns[key] for key in keys], columns.height)
        order = _order(code, bits)
        rising = code[order]
        begins = np.flatnonzero(np.append(True, rising[1:] != rising[:-1])[: len(rising)])
        return cls(order, np.append(begins, len(rising)))

    @classmethod
    def of_frame(cls, rows: pl.DataFrame, keys: Sequence[str]) -> Groups:
        """Group the rows of a frame, whose keys are of any type: encoded texts are in the order of their dictionary."""
        return cls.of(Columns({key: _integers(rows[key]) for key in keys}), keys)

    @property
    def count(self) -> int:
        """The number of groups."""
        return len(self.begins) - 1

    @property
    def firsts(self) -> Places:
        """The first row of each group."""
        return self.order[self.begins[:-1]]

    @property
    def sizes(self) -> Integers:
        """The number of rows of each group."""
        return np.diff(self.begins)

    def added(self, counts: Array) -> Integers:
        """Add up counts, which are never null, to int64[groups]."""
        from grt_batch.kernels import grouping

        out = np.empty(self.count, np.int64)
        grouping.add_counts(counts.astype(np.int64, copy=False), self.order, self.begins, out)
        return out

    def summed(self, values: Array) -> Integers:
        """Sum values, or sums of them, to pairs (high, low), int64[groups, 2]; null where all are null."""
        from grt_batch.kernels import grouping

        out = np.empty((self.count, 2), np.int64)
        add = grouping.sum_groups if values.ndim == 1 else grouping.add_sums
        add(wide(values), self.order, self.begins, out)
        return out

    def squares(self, values: Array) -> Integers:
        """Sum the squares of values in their three parts to pairs (high, low), int64[3, groups, 2]; null where all
        values are null."""
        from grt_batch.kernels import grouping

        out = np.empty((3, self.count, 2), np.int64)
        grouping.sum_squares(wide(values), self.order, self.begins, out)
        return out

    def extent(self, least: Array, greatest: Array) -> tuple[Array, Array]:
        """Return the least of `least` and the greatest of `greatest`, in their types; null where all are null."""
        from grt_batch.kernels import grouping

        out = np.empty((2, self.count), np.int64)
        grouping.extremes(wide(least), wide(greatest), self.order, self.begins, out)
        return narrow(out[0], least.dtype), narrow(out[1], greatest.dtype)


def wide(array: Array) -> Integers:
    """Return integers of any width in 64 bits, null as null."""
    if array.dtype == np.int64:
        return np.ascontiguousarray(array)
    found = array.astype(np.int64)
    if array.dtype != np.bool_:
        found[array == null_of(array)] = null_of(found)
    return found


def narrow(array: Integers, kind: np.dtype[Any]) -> Array:
    """Return integers in another type that holds them, null as null."""
    if kind == array.dtype:
        return array
    found = array.astype(kind)
    found[array == null_of(array)] = np.iinfo(kind).min
    return found


def _integers(values: pl.Series) -> Array:
    """Return integers in the order of the values."""
    physical = values.to_physical()
    if not physical.dtype.is_integer() or physical.dtype in (pl.Int128(), pl.UInt64()):
        physical = physical.rank("dense")
    return physical.cast(pl.Int64).fill_null(NULL).to_numpy()


def _codes(arrays: Sequence[Array], rows: int) -> tuple[Integers, int]:
    """Return a code for the rows of several columns, which is in their order, and how many bits it has."""
    code, count = np.zeros(rows, np.int64), 1
    for array in arrays if rows else ():
        ranks, different = _ranks(array)
        if count * different > _MOST_CODES:
            code, count = _dense(code)
        if count * different > _MOST_CODES:
            ranks, different = _dense(ranks)
        code = ranks if count == 1 else code * different + ranks
        count *= different
    return code, max(1, (count - 1).bit_length())


def _ranks(array: Array) -> tuple[Integers, int]:
    """Return integers as ranks from 0, null first, and a number that is greater than all."""
    null = null_of(array)
    least, greatest = int(array.min()), int(array.max())
    if least != null:
        if greatest - least + 1 > _MOST_CODES:
            return _dense(array)
        return array.astype(np.int64) - least, greatest - least + 1
    nulls = array == null
    if greatest == null:
        return np.zeros(len(array), np.int64), 1
    least = int(np.where(nulls, greatest, array).min())
    if greatest - least + 2 > _MOST_CODES:
        return _dense(array)
    ranks = array.astype(np.int64) - (least - 1)
    ranks[nulls] = 0
    return ranks, greatest - least + 2


def _dense(array: Array) -> tuple[Integers, int]:
    different, ranks = np.unique(array, return_inverse=True)
    return ranks.astype(np.int64), len(different)


def _order(code: Integers, bits: int) -> Places:
    """Return the stable order of rows by their codes."""
    if len(code) <= _FEW:
        return np.argsort(code, kind="stable").astype(np.int32)
    from grt_batch.kernels import grouping

    before, after = np.arange(len(code), dtype=np.int32), np.empty(len(code), np.int32)
    for shift in range(0, bits, grouping.RADIX_BITS):
        counts = np.zeros((1 << grouping.RADIX_BITS) + 1, np.int64)
        grouping.radix_pass(code, shift, before, counts, after)
        before, after = after, before
    return before
