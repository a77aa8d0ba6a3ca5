"""One integer for several columns: to hash and to sort the columns themselves takes many times as long."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.frames.dictionaries import in_order

Integers = npt.NDArray[np.int64]


_MOST_CODES = 1 << 62


_MOST_VALUES = 1 << 20


@dataclass(frozen=True)
class CompositeKeys:
    """An integer, not negative, for each row of some columns, int64[rows], which orders them as the columns do, null
    first. `values` are those of each column, by the digits of the code; None where they are too many to say."""

    code: Integers
    values: tuple[pl.Series, ...] | None

    @classmethod
    def of(cls, rows: pl.DataFrame, texts: Collection[str] = ()) -> CompositeKeys:
        """The codes of a frame, by all of its columns. Null is as good as the empty text in those of `texts`."""
        code, count = np.zeros(rows.height, np.int64), 1
        values: list[pl.Series] | None = []
        for column in rows.get_columns():
            ranks, different, found = _text_ranks(column) if column.name in texts else _ranks(column)
            if values is not None and found is not None and count * different <= _MOST_CODES:
                values.append(found.alias(column.name))
            else:
                values = None
            code, count = _with_digit(code, count, ranks, different)
        return cls(code, None if values is None else tuple(values))

    def values_of(self, code: Integers) -> list[pl.Series]:
        """The columns of rows with these codes, the last one first."""
        assert self.values is not None
        columns: list[pl.Series] = []
        for values in reversed(self.values):
            # Not divmod, which takes three times as long.
            rest = code // len(values)
            columns.append(values[pl.Series((code - rest * len(values)).astype(np.uint32))])
            code = rest
        return columns


def key_order(rows: pl.DataFrame, key: Sequence[str]) -> tuple[Integers, Integers]:
    """How to sort a frame by the columns of `key`, null first, encoded texts by their dictionary, rows of the same key
    as they stand: the numbers of the rows, int64[rows]; and at which places of that the rows of another key begin."""
    code, count = np.zeros(rows.height, np.int64), 1
    for name in key:
        ranks, _, different = _numbers(rows[name].to_physical())
        code, count = _with_digit(code, count, ranks, different)
    # Much is in order piece by piece, and a stable sort makes use of that.
    order = np.argsort(code, kind="stable")
    return order, begins_of(code[order])


def begins_of(code: Integers) -> Integers:
    """At which places of sorted codes another one begins."""
    return np.flatnonzero(np.append(True, code[1:] != code[:-1])[: len(code)])


def _with_digit(
    code: Integers, count: int, ranks: npt.NDArray[np.integer[Any]], different: int
) -> tuple[Integers, int]:
    """Codes with one more digit behind them, and how many there can be."""
    if count * different > _MOST_CODES:
        code, count = _dense(pl.Series(code)), len(code) + 1
    return code * different + ranks, count * different


_Ranks = tuple[npt.NDArray[np.integer[Any]], int, pl.Series | None]
"""Integers from 0 in the order of some values, a bound of them, and the value that each integer stands for."""


def _text_ranks(texts: pl.Series) -> _Ranks:
    """Of texts; null is the empty one."""
    texts, names = in_order(texts)
    ranks = texts.to_physical()
    nulls = texts.null_count()
    if nulls and (not len(names) or names[0]):
        names = pl.concat([pl.Series([""]), names])
        return (ranks.cast(pl.Int64) + 1).fill_null(0).to_numpy(), len(names), pl.Series(names, dtype=pl.Enum(names))
    # The texts by their ranks, from rows that have them: to encode all of them again would take far longer.
    numbers, places = (ranks.fill_null(0) if nulls else ranks).to_numpy(), np.zeros(len(names), np.uint32)
    places[numbers] = np.arange(len(numbers), dtype=np.uint32)
    found = texts[pl.Series(places)] if len(texts) else texts
    return numbers, len(names), found.fill_null("") if nulls else found


def _ranks(values: pl.Series) -> _Ranks:
    """Of numbers, dates and enumerations; null is the first."""
    physical = values.to_physical()
    ranks, least, different = _numbers(physical)
    found = None
    if least is None:
        return ranks, different, found
    if isinstance(values.dtype, pl.Enum):
        found = pl.Series([None, *values.dtype.categories[least : least + different - 1]], dtype=values.dtype)
        different = len(found)
    elif different <= _MOST_VALUES:
        span = pl.int_range(0, different - 1, eager=True) + least
        found = pl.concat([pl.Series([None], dtype=pl.Int64), span]).cast(physical.dtype).cast(values.dtype)
    return ranks, different, found


def _numbers(values: pl.Series) -> tuple[Integers, int | None, int]:
    """Integers from 0 in the order of some values, null first; the integer that 1 stands for, where they are integers
    that are near enough to one another; and a bound."""
    if values.dtype.is_integer() and values.dtype != pl.Int128():
        least, greatest = (bound if isinstance(bound, int) else 0 for bound in (values.min(), values.max()))
        different = greatest - least + 2
        if different <= 1 << 31 and not values.null_count():
            return values.to_numpy().astype(np.int64) - least + 1, least, different
        if different <= 1 << 31:
            return (values.cast(pl.Int64) - least + 1).fill_null(0).to_numpy(), least, different
    return _dense(values), None, len(values) + 1


def _dense(values: pl.Series) -> Integers:
    """The ranks of values from 1 on, 0 of null."""
    return values.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
