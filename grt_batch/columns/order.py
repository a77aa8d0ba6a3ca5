"""The order of the rows of a frame by key columns, which are packed into one integer: it sorts many times faster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Integers = npt.NDArray[np.int64]


_MOST_CODES, _MOST_SPAN = 1 << 62, 1 << 31


def key_order(rows: pl.DataFrame, key: Sequence[str]) -> tuple[Integers, Integers]:
    """Return the stable order of a frame by the columns of `key`, int64[rows], and where in it each group begins.

    Null comes first, and encoded texts are in the order of their dictionary.
    """
    code, count = np.zeros(rows.height, np.int64), 1
    for name in key:
        ranks, different = ranks_of(rows[name])
        if count * different > _MOST_CODES:
            code, count = _dense(pl.Series(code)), len(code) + 1
        code, count = code * different + ranks, count * different
    # Often the rows are runs that are in order already, which a stable sort merges.
    order = np.argsort(code, kind="stable")
    rising = code[order]
    return order, np.flatnonzero(np.append(True, rising[1:] != rising[:-1])[: len(rising)])


def ranks_of(values: pl.Series) -> tuple[Integers, int]:
    """Return ranks from 0 in the order of the values, null first, and a number that is greater than all."""
    values = values.to_physical()
    if values.dtype.is_integer() and values.dtype not in (pl.Int128(), pl.UInt64()):
        least, greatest = (bound if isinstance(bound, int) else 0 for bound in (values.min(), values.max()))
        different = greatest - least + 2
        if different <= _MOST_SPAN:
            return (values.cast(pl.Int64) - least + 1).fill_null(0).to_numpy(), different
    return _dense(values), len(values) + 1


def _dense(values: pl.Series) -> Integers:
    """Return the dense ranks of values from 1; null has rank 0."""
    return values.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
