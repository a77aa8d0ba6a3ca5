"""Numbers as people read them: with some significant digits, without an exponent, and exact where they are exact."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

_Doubles = npt.NDArray[np.float64]


ALL_DIGITS = 17
"""The significant digits that tell any two doubles apart."""


DERIVED_DIGITS = 9
"""The significant digits of numbers that are derived from others."""


def significant(values: pl.Series, digits: int) -> pl.Series:
    """Round doubles or 64-bit integers to so many significant digits.

    The exact number is rounded, half to even, as in Python's `format(value, ".9g")`; the result is the double next to
    the rounded decimal. What is not finite, or would no longer be, stays as it is.
    """
    if digits >= ALL_DIGITS:
        return values
    known = values.fill_null(0).to_numpy()
    rounded = pl.Series(values.name, (_double if values.dtype.is_float() else _integer)(known, digits))
    return rounded.set(values.is_null(), None) if values.null_count() else rounded


_EXACT_POWER = 22
"""The last power of ten that a double holds exactly."""


_TENS = np.array([float(10**power) for power in range(_EXACT_POWER + 1)])


def _double(values: _Doubles, digits: int) -> _Doubles:
    size = np.abs(values)
    # Where the logarithm is rounded to a whole number, both powers give the same.
    power = np.floor(np.log10(np.where(size > 0, size, 1.0))) - (digits - 1)
    usual = np.abs(power) <= _EXACT_POWER
    size, power = np.where(usual, size, 0.0), np.where(usual, power, 0.0).astype(np.int64)
    tens, small = _TENS[np.abs(power)], power < 0
    near = np.where(small, size * tens, size / tens)
    whole = np.rint(near)
    # Both operands are exact, so that one operation gives the double next to the decimal.
    rounded: _Doubles = np.copysign(np.where(small, whole / tens, whole * tens), values)
    # The exact quotient is on the same side of a half as `near`, unless `near` is that half.
    odd = ~usual | (near - np.floor(near) == 0.5)
    rounded[odd] = [_rounded(value, digits) for value in values[odd].tolist()]
    return rounded


def _rounded(value: float, digits: int) -> float:
    rounded = float(format(value, f".{digits}g"))
    return rounded if math.isfinite(rounded) else value


_WHOLE_TENS = np.array([10**power for power in range(20)], np.uint64)


def _integer(values: npt.NDArray[Any], digits: int) -> npt.NDArray[Any]:
    size = np.abs(values).astype(np.uint64)
    unit = _WHOLE_TENS[np.maximum(np.searchsorted(_WHOLE_TENS, size, side="right") - digits, 0)]
    whole = size // unit
    twice_rest = (size - whole * unit) * np.uint64(2)
    rounded = (whole + ((twice_rest > unit) | ((twice_rest == unit) & (whole % np.uint64(2) == 1)))) * unit
    fitting: npt.NDArray[Any] = np.where(rounded > np.iinfo(values.dtype).max, size, rounded).astype(values.dtype)
    fitting[values < 0] *= -1
    return fitting


_PLAIN = Decimal("1e-6"), Decimal("1e21")


def plain_text(values: pl.Series) -> pl.Series:
    """Return the shortest texts that give these numbers again: a whole number without a point, and none of 1e-6 or
    more and less than 1e21 with an exponent. Zero has no sign. What is not finite is `NaN`, `inf` or `-inf`, which
    PostgreSQL reads."""
    if not values.dtype.is_float():
        return values.cast(pl.String)
    text = values.set(values == 0, 0.0).cast(pl.String).str.strip_suffix(".0")
    scientific = text.str.contains("e", literal=True)
    if not scientific.any():
        return text
    found = text.filter(scientific).unique()
    return text.replace(found, pl.Series([without_exponent(one) for one in found], dtype=pl.String))


def without_exponent(text: str) -> str:
    """Return the text of a number with its exponent written out, unless that makes it much longer."""
    if "e" not in text:
        return text
    value = Decimal(text)
    return f"{value:f}" if _PLAIN[0] <= abs(value) < _PLAIN[1] else text


def exact_text(value: pl.Expr, scale: int) -> pl.Expr:
    """Return the decimal text of integers of 10 ** -`scale`, without trailing zeros."""
    if scale == 0:
        return value.cast(pl.String)
    unit = pl.lit(Decimal(1).scaleb(-scale), pl.Decimal(38, scale))
    text = (value.cast(pl.Decimal(38, 0)) * unit).cast(pl.String)
    return text.str.strip_chars_end("0").str.strip_chars_end(".")
