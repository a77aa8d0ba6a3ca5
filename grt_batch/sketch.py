"""Quantiles from counts in logarithmic bins: mergeable, exact to a known error, and the same on every machine.

The idea is that of DDSketch (C. Masson, J. E. Rim, H. K. Lee, "DDSketch: a fast and fully-mergeable quantile sketch
with relative-error guarantees", VLDB 2019), with the bins of an HDR histogram: each power of two is cut into `STEPS`
bins of the same width. So the bin of an integer is its highest bits, found without a logarithm. A value below 2 * STEPS has a
bin of its own; any other lies within 1 / (2 * STEPS) of the middle of its bin, which is less than 0.8 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from grt_batch.joined import Field

STEP_BITS = 6
STEPS = 1 << STEP_BITS
"""Bins of a power of two."""

BIN = Field("bin", pl.Int16(), "", "the logarithmic bin of the value")


def bin_of(value: pl.Expr) -> pl.Expr:
    """The bin of integers from 0 to 2^63 - 1, null of null; bins rise with their values."""
    octave = pl.max_horizontal(63 - value.bitwise_leading_zeros().cast(pl.Int64), pl.lit(STEP_BITS, pl.Int64))
    shift = octave - STEP_BITS
    step = value // _power(shift)
    return pl.when(value.is_not_null()).then(shift * STEPS + step).cast(pl.Int16).alias(BIN.name)


def low(bins: pl.Expr) -> pl.Expr:
    """The least integer of a bin."""
    step, shift = _parts(bins)
    return step * _power(shift)


def high(bins: pl.Expr) -> pl.Expr:
    """The greatest integer of a bin."""
    step, shift = _parts(bins)
    # The product for the next bin would leave 64 bits at the very last one.
    return step * _power(shift) + (_power(shift) - 1)


def middle(bins: pl.Expr) -> pl.Expr:
    """The integer that stands for a bin."""
    step, shift = _parts(bins)
    return step * _power(shift) + (_power(shift) - 1) // 2


def coarse(bins: pl.Expr, step_bits: int) -> pl.Expr:
    """The first of the bins that are one where each power of two is cut into 2^`step_bits` only (at most STEP_BITS)."""
    step, shift = _parts(bins)
    drop = STEP_BITS - step_bits
    # Below STEPS the bins are those of ever smaller powers of two.
    octave = pl.max_horizontal(63 - step.bitwise_leading_zeros().cast(pl.Int64), pl.lit(step_bits, pl.Int64))
    width = pl.when(shift > 0).then(pl.lit(1 << drop, pl.Int64)).otherwise(_power(octave - step_bits))
    return (shift * STEPS + step // width * width).cast(pl.Int16)


def quantiles(bins: pl.DataFrame, keys: Sequence[str], percents: Sequence[int], count: str = "jobs") -> pl.DataFrame:
    """For each group of `keys` the value that stands for the order statistic of each percentage, as p50 and so on.

    `bins` has the columns `keys`, `bin` and `count`. The order statistic is that of rank ceil(percent · n / 100), from
    1, as in PostgreSQL's percentile_disc.
    """
    ordered = bins.group_by(*keys, BIN.name).agg(pl.col(count).sum()).sort(*keys, BIN.name)
    reached = pl.col(count).cum_sum()
    total = pl.col(count).sum()
    return ordered.group_by(keys, maintain_order=True).agg(
        middle(pl.col(BIN.name))
        .filter(reached >= pl.max_horizontal((percent * total + 99) // 100, pl.lit(1, pl.Int64)))
        .first()
        .alias(f"p{percent}")
        for percent in percents
    )


def _parts(bins: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Which multiple of which power of two a bin begins at: the multiple and the power's exponent."""
    bins = bins.cast(pl.Int64)
    shift = pl.max_horizontal(bins // STEPS - 1, pl.lit(0, pl.Int64))
    return bins - shift * STEPS, shift


def _power(exponent: pl.Expr) -> pl.Expr:
    """2 to the exponent, in integers."""
    powers = pl.lit(pl.Series([1 << i for i in range(63)], dtype=pl.Int64))
    return powers.gather(exponent.cast(pl.UInt32))
