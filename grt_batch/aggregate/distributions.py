"""Distributions of quantities in groups of jobs: number, exact sums, extremes and logarithmic bins.

Mean, variance, percentiles and histograms follow from them (see `grt_batch.aggregate.statistics`). Merging two results
gives what adding all jobs to one would have given, to the last digit, since everything that is kept is an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.aggregate.measures import Count, Cube, Extent, Squares, Sum, counted_rows
from grt_batch.aggregate.sketch import BIN
from grt_batch.frames.composite_keys import Integers, key_order
from grt_batch.frames.dictionaries import filled
from grt_batch.columns.quotient import quotient
from grt_batch.kernels.sketch import Tally, tally
from grt_batch.schema.members import NULL
from grt_batch.schema.records import Field, Job, Record, Records

ATTO = -18
"""The exponent of the smallest unit that values are kept in."""


_RATIOS = {
    exponent: (9.0 * 10 ** (15 + exponent) if exponent > ATTO else 0.0, 9.0 * 10 ** (18 + exponent))
    for exponent in range(ATTO, 1, 3)
}
"""The unit that a ratio is kept in, by its size: in 63 bits, and from 9 on with as many digits as a double has."""


class Measurement(Record):
    """One known quantity of a job: the integer `value` times 10 to the `exponent`. Such rows are never made."""

    kind = "measurements"
    exponent = Field("exponent", pl.Int8(), "", "values are integers of 10 to this power, in the unit of the quantity")
    value = Field("value", pl.Int64(), "10^exponent", "the value, not negative")
    bin = BIN


SQUARES = Squares("squares", Measurement.value)


@dataclass(frozen=True)
class Ratio:
    """The ratio of what was used to what was given, both in their units; null where nothing was given."""

    used: Field
    given: Field
    unit: str

    @property
    def expr(self) -> pl.Expr:
        """The ratio."""
        scale = self.used.scale - self.given.scale
        used, given = self.used.expr.cast(pl.Float64), self.given.expr.cast(pl.Float64)
        ratio = quotient(used * float(10 ** max(0, -scale)), given * float(10 ** max(0, scale)))
        return pl.when(given > 0).then(ratio)


@dataclass(frozen=True)
class Distribution:
    """The number, sum, squares, extent and bins of a field of integers that are not negative, or of a ratio of
    fields."""

    name: str
    of: Field | Ratio

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are measured."""
        return (self.of,) if isinstance(self.of, Field) else (self.of.used, self.of.given)

    def series(self, values: pl.Series) -> Iterator[tuple[int, Integers]]:
        """Yield each exponent with the values that have it; a value that is unknown or has another exponent is NULL."""
        if isinstance(self.of, Field):
            yield -self.of.scale, values.fill_null(NULL).to_numpy()
            return
        for exponent, (least, greater) in _RATIOS.items():
            inside = values.is_between(least, greater, closed="left")
            if inside.any():
                scaled = (values * 10**-exponent).round().cast(pl.Int64, strict=False)
                yield exponent, scaled.set(~inside, None).fill_null(NULL).to_numpy()


@dataclass(frozen=True)
class Distributions:
    """Distributions in groups of jobs with the same `keys`, kept in two cubes: `totals`, and `counts` by bin.

    The first key of both cubes is `metric`, the name of the distribution. `state` and `windowed` are as in `Cube`. A
    module declares them among its cubes, `cubes = (JOBS, *RUNTIMES.cubes)`, and computes rows by `statistics`.
    """

    name: str
    keys: tuple[Field, ...]
    of: tuple[Distribution, ...]
    state: str | None = None
    windowed: bool = False

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(key.name for key in self.keys)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The keys, and all fields that are measured."""
        return tuple(dict.fromkeys([*self.keys, *(field for one in self.of for field in one.fields)]))

    @cached_property
    def metric(self) -> Field:
        """The key that names the distribution."""
        return Field("metric", pl.Enum([one.name for one in self.of]), "", "the metric")

    @cached_property
    def totals(self) -> Cube:
        """The number of values in each group, their sum, squares and extent."""
        value = Measurement.value
        measures = (Count("n"), Sum("total", value), SQUARES, Extent("value", value))
        return DistributionCube(
            f"{self.name}_totals", self._keys, measures, Measurement, self.windowed, distributions=self
        )

    @cached_property
    def counts(self) -> Cube:
        """The number of values in each group and bin."""
        keys = (*self._keys, Measurement.bin)
        return DistributionCube(
            f"{self.name}_counts", keys, (Count("jobs"),), Measurement, self.windowed, distributions=self
        )

    @property
    def cubes(self) -> tuple[Cube, Cube]:
        """Both cubes."""
        return self.totals, self.counts

    @property
    def exponents(self) -> set[int]:
        """All exponents that values may have."""
        return {-one.of.scale for one in self.of if isinstance(one.of, Field)} | _RATIOS.keys()

    @property
    def _keys(self) -> tuple[Field, ...]:
        return (self.metric, *self.keys, Measurement.exponent)

    def add(self, jobs: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """Count both cubes of a frame of jobs: what `Cube.add` gives for its measurements, in less time."""
        jobs = counted_rows(jobs, self.keys, self.fields, self.state)
        if not jobs.height:
            return {cube.name: cube.empty() for cube in self.cubes}
        # Sorted by their keys once, the jobs of a group are a slice.
        texts = [key.name for key in self.keys if key.type == pl.String()]
        jobs = jobs.with_columns(filled(jobs[name]) for name in texts)
        order, begins = key_order(jobs, self.key_names)
        jobs, groups = jobs[order], jobs.select(self.key_names)[order[begins]]
        begins = np.append(begins, jobs.height)
        values = jobs.select(one.of.expr.alias(one.name) for one in self.of)
        tallies = {
            (place, exponent): tally(begins, integers)
            for place, one in enumerate(self.of)
            for exponent, integers in one.series(values[one.name])
        }
        return {
            self.totals.name: self._named(self.totals, _totals(tallies.values()), groups, list(tallies)),
            self.counts.name: self._named(self.counts, _counts(tallies.values()), groups, list(tallies)),
        }

    def _named(
        self, cube: Cube, rows: pl.DataFrame, groups: pl.DataFrame, series: Sequence[tuple[int, int]]
    ) -> pl.DataFrame:
        """Return a frame of a cube, from rows that have numbers of a group and of a `series` in place of the keys. A
        series is a place in `of` and an exponent."""
        places, exponents = (pl.Series(numbers) for numbers in zip(*series, strict=True))
        numbers = places.to_numpy()[rows["series"].to_numpy()]
        # A ratio has several series; those of a group become neighbours.
        order = np.argsort(numbers * groups.height + rows["group"].to_numpy(), kind="stable")
        rows, numbers = rows[order], numbers[order]
        names = pl.Series(self.metric.name, [one.name for one in self.of], self.metric.type)
        exponents = exponents.cast(Measurement.exponent.type).alias(Measurement.exponent.name)
        return cube.typed(
            rows.with_columns(
                names[numbers],
                exponents[rows["series"]],
                *(groups[name][rows["group"]] for name in self.key_names),
            )
        )


@dataclass(frozen=True, kw_only=True)
class DistributionCube(Cube):
    """One of the two cubes of `distributions`, which are counted together, from the jobs."""

    distributions: Distributions

    def count(self, records: Records) -> dict[str, pl.DataFrame]:
        """Count both cubes."""
        return self.distributions.add(records.windowed(Job) if self.windowed else records[Job])


def _totals(tallies: Collection[Tally]) -> pl.DataFrame:
    """Return the measures of `totals`, by the numbers of `series` and `group`."""
    some = [np.flatnonzero(found.n) for found in tallies]

    def column(values: Callable[[Tally], npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        return np.concatenate([values(found)[places] for found, places in zip(tallies, some, strict=True)])

    sums = column(lambda found: found.sums)
    words = pl.DataFrame({f"{place}{end}": sums[:, place, end] for place in range(4) for end in range(2)})
    exact = words.cast(pl.Int128).select(pl.col(f"{place}0") * (1 << 32) + pl.col(f"{place}1") for place in range(4))
    return pl.DataFrame(
        {
            "series": np.repeat(np.arange(len(some)), [len(places) for places in some]),
            "group": np.concatenate(some),
            "n": column(lambda found: found.n),
            "first_value": column(lambda found: found.least),
            "last_value": column(lambda found: found.greatest),
            **dict(zip(("total", *SQUARES.schema()), exact, strict=True)),
        }
    )


def _counts(tallies: Collection[Tally]) -> pl.DataFrame:
    """Return the measure of `counts`, by the numbers of `series` and `group`, and by bin."""
    return pl.DataFrame(
        {
            "series": np.repeat(np.arange(len(tallies)), [len(found.bin) for found in tallies]),
            "group": np.concatenate([found.group for found in tallies]),
            BIN.name: np.concatenate([found.bin for found in tallies]),
            "jobs": np.concatenate([found.count for found in tallies]),
        }
    )
