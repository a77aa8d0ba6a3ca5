"""Frames with encoded texts: columns of the type `pl.Enum`, whose codes are sorted in place of the texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.columns.columns import Columns

Integers = npt.NDArray[np.int64]


_MOST_CODES = 1 << 62


def categories(column: pl.Series) -> pl.Series:
    """Return the dictionary of an encoded column."""
    kind = column.dtype
    assert isinstance(kind, pl.Enum)
    return kind.categories


def encoded(column: pl.Series) -> pl.Series:
    """Return a column of texts encoded by just the texts that occur, in their order."""
    if isinstance(column.dtype, pl.Enum) and not categories(column).is_sorted():
        column = column.cast(pl.String)
    return Columns.of(column.to_frame()).own_texts().frame({column.name: pl.String()}).to_series()


def key_order(rows: pl.DataFrame, key: Sequence[str]) -> tuple[Integers, Integers]:
    """Return the stable order of a frame by the columns of `key`, and where in it each group begins. Null comes first,
    and encoded texts are in the order of their dictionary."""
    code: Integers = np.zeros(rows.height, np.int64)
    count = 1
    for name in key if rows.height else ():
        ranks, different = ranks_of(rows[name])
        if count * different > _MOST_CODES:
            code, count = _dense(pl.Series(code))
        code, count = code * different + ranks, count * different
    # Often the rows are in order already, or in runs that are: a stable sort merges these.
    order = np.argsort(code, kind="stable")
    code = code[order]
    return order, np.flatnonzero(np.append(True, code[1:] != code[:-1])[: len(code)])


def ranks_of(values: pl.Series) -> tuple[Integers, int]:
    """Return numbers in the order of some values, 0 for null, and a number that is greater than all."""
    values = values.to_physical()
    least, greatest = values.min(), values.max()
    wide = values.dtype in (pl.Int128(), pl.UInt64()) or not values.dtype.is_integer()
    if wide or not isinstance(least, int) or not isinstance(greatest, int) or greatest - least >= 1 << 31:
        return _dense(values)
    return (values.cast(pl.Int64) - least + 1).fill_null(0).to_numpy(), greatest - least + 2


def _dense(values: pl.Series) -> tuple[Integers, int]:
    return values.rank("dense").cast(pl.Int64).fill_null(0).to_numpy(), len(values) + 1
