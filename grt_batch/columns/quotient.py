"""Division that gives a row the same number whatever other rows there are."""

from __future__ import annotations

import polars as pl


def quotient(dividend: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """Divide numbers as doubles: one division of IEEE 754 in each row.

    By a constant, and by a column whose rows happen to be all alike, polars multiplies with the reciprocal, which may
    differ in the last digit.
    """
    number = dividend.cast(pl.Float64)
    # This depends on the dividend, and is no constant where it is none.
    return number / (divisor + number * 0)
