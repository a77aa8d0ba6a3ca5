"""Statistics of distributions: mean, variance, percentiles, histograms.

Sums are exact; mean and variance are exact but for the last digit of a double: variance = (n · Σx² - (Σx)²) /
(n · (n - 1)), as PostgreSQL's var_samp. A percentile p is the value of rank ceil(p · n / 100), within 0.8 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from grt_batch.aggregate.binned import Binned
from grt_batch.aggregate.distributions import ATTO, SQUARES, Distributions, Measurement, Ratio
from grt_batch.aggregate.grouping import Groups
from grt_batch.aggregate.sketch import BIN, coarse_bins, coarse_last, end, low, middle
from grt_batch.columns.columns import Columns
from grt_batch.columns.quotient import quotient
from grt_batch.schema.figures import DERIVED_DIGITS, exact_text, plain_text, significant

_ONES = 10**-ATTO
"""The number of the smallest units in 1."""


_EXACT = pl.Schema(
    {
        "n": pl.Int64(),
        "total": pl.String(),
        "mean": pl.Float64(),
        "minimum": pl.String(),
        "maximum": pl.String(),
        "least": pl.Float64(),
        "greatest": pl.Float64(),
        "variance": pl.Float64(),
        "stddev": pl.Float64(),
    }
)


@dataclass(frozen=True)
class Measured:
    """What distributions have counted: rows of `totals`, and the runs of `counts`. Those with the same keys need not be
    merged."""

    distributions: Distributions
    totals: Columns
    counts: Binned

    @classmethod
    def of(cls, distributions: Distributions, columns: Mapping[str, Columns]) -> Measured:
        """Take both cubes, as they were counted or merged, by their names."""
        totals, counts = distributions.cubes
        runs = Binned.of(columns[counts.name], totals.key_names)
        return cls(distributions, columns[totals.name], runs)

    @classmethod
    def concat(cls, parts: Sequence[Measured]) -> Measured:
        """Return the rows of all parts, which are of the same distributions."""
        totals = Columns.concat([part.totals for part in parts])
        return cls(parts[0].distributions, totals, Binned.concat([part.counts for part in parts]))

    def each(self, change: Callable[[Columns], Columns]) -> Measured:
        """Return the rows that `change` makes of these: it may take some, name their keys anew, and repeat them."""
        return Measured(self.distributions, change(self.totals), self.counts.each(change))


def statistics(measured: Measured, percents: Sequence[int]) -> pl.DataFrame:
    """Return a row for each group and metric, in units: n, total, minimum and maximum (decimal texts, for columns with
    the scale None; exact, but for the extremes of a ratio), mean, variance and stddev (of a sample, null for one
    value), and the percentiles, as p50 and so on.

    Reports have `measured` by `measured_everywhere`.
    """
    distributions = measured.distributions
    key = distributions.metric.name, *distributions.key_names
    cube = distributions.totals
    totals = cube.rolled_up(measured.totals)
    # Both have the same groups, in the same order.
    row = pl.Series("row", Groups.of(totals, key).group)
    exponent = Measurement.exponent.name
    bins = measured.counts.percentiles(key, percents, exponent)
    rows = _exact(cube.frame(totals).with_columns(row), key, distributions)
    found = []
    for name in (f"p{percent}" for percent in percents):
        places = Columns({BIN.name: bins[name], exponent: bins[f"{name}_of"]})
        frame = places.frame({BIN.name: BIN.type, exponent: Measurement.exponent.type})
        found.append(frame.select(quotient(middle(pl.col(BIN.name)), _ones(distributions)).alias(name)))
    rows = pl.concat([rows, *found], how="horizontal")
    # The value that stands for a bin may lie beyond all values in it.
    inside = [pl.col(f"p{percent}").clip("least", "greatest") for percent in percents]
    rows = rows.with_columns(*inside, *_extremes(rows, distributions))
    return rows.drop("row", "least", "greatest")


BOUNDS_SCALE = -ATTO
"""The bounds of a histogram's bins are integers of 10 ** -BOUNDS_SCALE of the unit."""


def histogram(measured: Measured, metrics: Sequence[str], step_bits: int) -> pl.DataFrame:
    """Return the bins of some metrics that hold values: for each group and metric `low`, `high` and `jobs`. The bounds
    are exact, for columns of the type NUMERIC with the scale BOUNDS_SCALE.

    Each power of two is cut into 2^`step_bits` bins. The metrics are fields, not ratios.
    """
    distributions = measured.distributions

    def drawn(runs: Columns) -> Columns:
        named = runs.frame({distributions.metric.name: distributions.metric.type}).to_series()
        return runs.rows(named.is_in(metrics).to_numpy())

    counts = measured.counts.each(drawn).coarse(distributions.totals.key_names, coarse_bins(step_bits))
    rows = distributions.counts.frame(counts)
    units = {exponent: 10 ** (exponent + BOUNDS_SCALE) for exponent in distributions.exponents}
    unit = Measurement.exponent.expr.replace_strict(units, return_dtype=pl.Int128)
    first = pl.col(BIN.name)
    return rows.select(
        *_key(distributions),
        (low(first) * unit).alias("low"),
        (end(coarse_last(first, step_bits)) * unit).alias("high"),
        "jobs",
    )


def _extremes(rows: pl.DataFrame, distributions: Distributions) -> list[pl.Series]:
    """Return minimum and maximum: those of fields exactly, those of ratios as other derived numbers are written."""
    of_ratios = rows[distributions.metric.name].is_in(_ratios(distributions)).arg_true()
    return [
        rows[exact].scatter(of_ratios, plain_text(significant(rows[derived].gather(of_ratios), DERIVED_DIGITS)))
        for exact, derived in (("minimum", "least"), ("maximum", "greatest"))
    ]


def _ratios(distributions: Distributions) -> list[str]:
    return [one.name for one in distributions.of if isinstance(one.of, Ratio)]


def _key(distributions: Distributions) -> tuple[str, ...]:
    return *distributions.key_names, distributions.metric.name


def _ones(distributions: Distributions) -> pl.Expr:
    """Return the number of units of `exponent` in 1."""
    ones = {exponent: float(10**-exponent) for exponent in distributions.exponents}
    return Measurement.exponent.expr.replace_strict(ones, return_dtype=pl.Float64)


def _exact(totals: pl.DataFrame, key: Sequence[str], distributions: Distributions) -> pl.DataFrame:
    """Return for each `row` its key, and all that follows from sums and extremes; all products are exact."""
    squares = sum(pl.col(name).cast(pl.Float64) * 2.0**bits for name, bits in zip(_SQUARES, (64, 33, 0), strict=True))
    alone = pl.col("row").is_unique()
    fits = totals.select(alone & (squares * pl.col("n") < 2.0**124)).to_series()
    of_exponent = totals.filter(fits).partition_by(Measurement.exponent.name)
    exact = [_exact_128(rows, key, _ones(distributions)) for rows in of_exponent]
    others = totals.filter(~fits)
    # Their extremes are written in another way.
    of_ratios = others[distributions.metric.name].is_in(_ratios(distributions))
    return pl.concat([*exact, _exact_any(others, key, of_ratios)]).sort("row")


_SQUARES = tuple(SQUARES.schema())


def _exact_128(totals: pl.DataFrame, key: Sequence[str], ones: pl.Expr) -> pl.DataFrame:
    """Return the rows of one exponent whose products fit in 128 bits: nearly all."""
    n, total = pl.col("n"), pl.col("total")
    high, mixed, low = (pl.col(name) for name in _SQUARES)
    scale = -totals[Measurement.exponent.name][0]
    # A factor and not a shift: these are 128 bits.
    square = high * (1 << 64) + mixed * (1 << 33) + low
    spread = (n.cast(pl.Int128) * square - total * total).cast(pl.Float64)
    exact = totals.with_columns(
        quotient(quotient(total, n), ones).alias("mean"),
        quotient(pl.col("first_value"), ones).alias("least"),
        quotient(pl.col("last_value"), ones).alias("greatest"),
        pl.when(n > 1)
        .then(quotient(quotient(quotient(spread, n.cast(pl.Float64) * (n - 1)), ones), ones))
        .alias("variance"),
    )
    return exact.select(
        "row",
        *key,
        "n",
        exact_text(total, scale).alias("total"),
        pl.col("mean").clip("least", "greatest"),
        exact_text(pl.col("first_value"), scale).alias("minimum"),
        exact_text(pl.col("last_value"), scale).alias("maximum"),
        "least",
        "greatest",
        "variance",
        pl.col("variance").sqrt().alias("stddev"),
    )


def _exact_any(totals: pl.DataFrame, key: Sequence[str], inexact: pl.Series) -> pl.DataFrame:
    """Return any rows, computed with Python's integers; of some, minimum and maximum stay empty."""
    begins = np.flatnonzero(np.diff(totals["row"].cast(pl.Int64), prepend=-1))
    units = np.array([10 ** (exponent - ATTO) for exponent in totals[Measurement.exponent.name]], object)

    def each(combine: np.ufunc, values: Sequence[int | None], unit: Any = 1) -> list[int]:
        found: list[int] = combine.reduceat(np.array(values, object) * unit, begins).tolist()
        return found

    n = each(np.add, totals["n"].to_list())
    total = each(np.add, totals["total"].to_list(), units)
    squares = each(np.add, SQUARES.exact(totals), units**2)
    least = each(np.minimum, totals["first_value"].to_list(), units)
    greatest = each(np.maximum, totals["last_value"].to_list(), units)
    inexact = inexact[begins]
    variance = [
        (count * square - sum_ * sum_) / (count * (count - 1) * _ONES**2) if count > 1 else None
        for count, sum_, square in zip(n, total, squares, strict=True)
    ]
    found = {
        "n": n,
        "total": [_decimal(sum_) for sum_ in total],
        "mean": [sum_ / (count * _ONES) for count, sum_ in zip(n, total, strict=True)],
        "minimum": ["" if left_out else _decimal(value) for left_out, value in zip(inexact, least, strict=True)],
        "maximum": ["" if left_out else _decimal(value) for left_out, value in zip(inexact, greatest, strict=True)],
        "least": [value / _ONES for value in least],
        "greatest": [value / _ONES for value in greatest],
        "variance": variance,
        "stddev": [None if value is None else math.sqrt(value) for value in variance],
    }
    return pl.concat([totals[begins].select("row", *key), pl.DataFrame(found, schema=_EXACT)], how="horizontal")


def _decimal(value: int) -> str:
    """Return the decimal text of 1 / _ONES, without zeros at its end."""
    whole, part = divmod(value, _ONES)
    return f"{whole}.{part:0{-ATTO}}".rstrip("0").rstrip(".")
