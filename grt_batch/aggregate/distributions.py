"""Distributions of quantities in groups of jobs: number, exact sums, extremes and logarithmic bins.

Mean, variance, percentiles and histograms follow from them (see `grt_batch.aggregate.statistics`). Merging two results
gives what adding all jobs to one would have given, to the last digit, since everything that is kept is an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.aggregate.grouping import Groups, Integers, wide
from grt_batch.aggregate.measures import Count, Cube, Extent, Measure, Squares, Sum, fields_of, selected
from grt_batch.aggregate.sketch import BIN
from grt_batch.columns.columns import LOW_BITS, Array, Columns
from grt_batch.kernels.sketch import Tally, tally
from grt_batch.schema.members import NULL
from grt_batch.schema.records import WINDOW_DAYS, Field, Job, Record

Doubles = npt.NDArray[np.float64]


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

    def of(self, jobs: Columns) -> Doubles:
        """Return the ratio of each job, NaN for null: one division of IEEE 754."""
        scale = self.used.scale - self.given.scale
        used, given = jobs[self.used.name], jobs[self.given.name]
        known = (used != NULL) & (given != NULL) & (given > 0)
        ratio = np.full(jobs.height, np.nan)
        dividend, divisor = used.astype(np.float64), given.astype(np.float64)
        dividend *= float(10 ** max(0, -scale))
        divisor *= float(10 ** max(0, scale))
        np.divide(dividend, divisor, out=ratio, where=known)
        return ratio


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

    def series(self, jobs: Columns) -> Iterator[tuple[int, Integers]]:
        """Yield each exponent with the values that have it; a value that is unknown or has another exponent is NULL."""
        if isinstance(self.of, Field):
            yield -self.of.scale, wide(jobs[self.of.name])
            return
        ratio = self.of.of(jobs)
        for exponent, (least, greater) in _RATIOS.items():
            inside = (ratio >= least) & (ratio < greater)
            if inside.any():
                scaled = np.full(len(ratio), NULL)
                scaled[inside] = np.rint(ratio[inside] * float(10**-exponent)).astype(np.int64)
                yield exponent, scaled


@dataclass(frozen=True)
class Distributions:
    """Distributions in groups of jobs with the same `keys`, kept in two cubes: `totals`, and `counts` by bin.

    The first key of both cubes is `metric`, the name of the distribution. `state`, `windowed` and `days` are as in
    `Cube`. A module declares them among its cubes, `cubes = (JOBS, *RUNTIMES.cubes)`, and computes rows by
    `statistics`.
    """

    name: str
    keys: tuple[Field, ...]
    of: tuple[Distribution, ...]
    state: str | None = None
    windowed: bool = False
    days: int = WINDOW_DAYS

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(key.name for key in self.keys)

    @property
    def values(self) -> tuple[Field, ...]:
        """All fields that are measured."""
        return tuple(dict.fromkeys(field for one in self.of for field in one.fields))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The keys, and all fields that are measured."""
        return tuple(dict.fromkeys([*self.keys, *self.values]))

    @cached_property
    def metric(self) -> Field:
        """The key that names the distribution."""
        return Field("metric", pl.Enum([one.name for one in self.of]), "", "the metric")

    @cached_property
    def totals(self) -> Cube:
        """The number of values in each group, their sum, squares and extent."""
        value = Measurement.value
        measures = (Count("n"), Sum("total", value), SQUARES, Extent("value", value))
        return self._cube("totals", self._keys, measures)

    @cached_property
    def counts(self) -> Cube:
        """The number of values in each group and bin."""
        return self._cube("counts", (*self._keys, Measurement.bin), (Count("jobs"),))

    @property
    def cubes(self) -> tuple[Cube, Cube]:
        """Both cubes."""
        return self.totals, self.counts

    def _cube(self, name: str, keys: tuple[Field, ...], measures: tuple[Measure, ...]) -> Cube:
        return DistributionCube(
            f"{self.name}_{name}", keys, measures, Job, self.windowed, days=self.days, distributions=self
        )

    @property
    def exponents(self) -> set[int]:
        """All exponents that values may have."""
        return {-one.of.scale for one in self.of if isinstance(one.of, Field)} | _RATIOS.keys()

    @property
    def _keys(self) -> tuple[Field, ...]:
        return (self.metric, *self.keys, Measurement.exponent)

    def add(self, jobs: Columns, since: int | None = None) -> dict[str, Columns]:
        """Count both cubes of jobs: what `Cube.add` gives for its measurements, in less time."""
        places = selected(jobs, self.keys, self.state, since)
        rows = fields_of(jobs, self.keys, places)
        if not rows.height:
            return {cube.name: cube.empty() for cube in self.cubes}
        # Sorted by their keys once, the jobs of a group are a slice.
        groups = Groups.of(rows, self.key_names)
        keys = rows.rows(groups.firsts)
        jobs = fields_of(jobs, self.values, groups.order if places is None else places[groups.order])
        tallies = {
            (place, exponent): tally(groups.begins, integers)
            for place, one in enumerate(self.of)
            for exponent, integers in one.series(jobs)
        }
        return {
            self.totals.name: self._named(self.totals, _totals(tallies.values()), keys, list(tallies)),
            self.counts.name: self._named(self.counts, _counts(tallies.values()), keys, list(tallies)),
        }

    def _named(
        self, cube: Cube, measures: Mapping[str, Array], groups: Columns, series: Sequence[tuple[int, int]]
    ) -> Columns:
        """Return a cube, from rows that have numbers of a group and of a `series` in place of the keys. A series is a
        place in `of` and an exponent."""
        places, exponents = (np.array(numbers) for numbers in zip(*series, strict=True))
        names = pl.Series(self.metric.name, [one.name for one in self.of], self.metric.type)
        metrics = Columns.of(names.to_frame())
        metric, group = places[measures["series"]], measures["group"]
        # A ratio has several series; those of a group become neighbours.
        order = np.argsort(metric * groups.height + group, kind="stable")
        metric, group = metric[order], group[order]
        found = {name: array[order] for name, array in measures.items()}
        found[Measurement.exponent.name] = exponents.astype(np.int8)[found["series"]]
        rows = metrics.rows(metric)
        named = rows.extended({**groups.rows(group).arrays, **found}, groups.texts)
        return named.select(cube.schema())


@dataclass(frozen=True, kw_only=True)
class DistributionCube(Cube):
    """One of the two cubes of `distributions`, which are counted together, from the jobs."""

    distributions: Distributions

    def add(self, records: Columns, since: int | None = None) -> Columns:
        """Count this cube of jobs."""
        return self.distributions.add(records, since)[self.name]


def _totals(tallies: Collection[Tally]) -> dict[str, Array]:
    """Return the measures of `totals`, by the numbers of `series` and `group`."""
    some = [np.flatnonzero(found.n) for found in tallies]

    def column(values: Callable[[Tally], Integers]) -> Integers:
        return np.concatenate([values(found)[places] for found, places in zip(tallies, some, strict=True)])

    # The parts of a sum may have grown beyond 32 bits.
    sums = column(lambda found: found.sums)
    sums = np.stack([sums[:, :, 0] + (sums[:, :, 1] >> LOW_BITS), sums[:, :, 1] & ((1 << LOW_BITS) - 1)], axis=2)
    return {
        "series": np.repeat(np.arange(len(some)), [len(places) for places in some]),
        "group": np.concatenate(some),
        "n": column(lambda found: found.n),
        "first_value": column(lambda found: found.least),
        "last_value": column(lambda found: found.greatest),
        **{name: sums[:, place] for place, name in enumerate(("total", *SQUARES.schema()))},
    }


def _counts(tallies: Collection[Tally]) -> dict[str, Array]:
    """Return the measure of `counts`, by the numbers of `series` and `group`, and by bin."""
    return {
        "series": np.repeat(np.arange(len(tallies)), [len(found.bin) for found in tallies]),
        "group": np.concatenate([found.group for found in tallies]),
        BIN.name: np.concatenate([found.bin for found in tallies]).astype(np.int16),
        "jobs": np.concatenate([found.count for found in tallies]),
    }
