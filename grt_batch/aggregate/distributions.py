"""Distributions of quantities in groups of jobs: number, exact sums, extremes and logarithmic bins.

Mean, variance, percentiles and histograms follow from them (see `grt_batch.aggregate.statistics`). Merging two results
gives what adding all jobs to one would have given, to the last digit, since everything that is kept is an integer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from grt_batch.aggregate.grouping import Groups, Integers, wide
from grt_batch.aggregate.measures import Count, Cube, Extent, Measure, Squares, Sum, fields_of, selected
from grt_batch.aggregate.sketch import BIN
from grt_batch.columns.columns import Array, Columns
from grt_batch.schema.records import WINDOW_DAYS, Field, Job, Record

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

    def series(self, jobs: Columns) -> Iterator[tuple[int, Integers]]:
        """Yield each exponent that ratios have, with these ratios; NULL in place of others and of null."""
        from grt_batch.kernels import sketch

        scale = self.used.scale - self.given.scale
        more, less = float(10 ** max(0, -scale)), float(10 ** max(0, scale))
        ratios = np.empty(jobs.height)
        low, high = sketch.put_ratios(wide(jobs[self.used.name]), more, wide(jobs[self.given.name]), less, ratios)
        for exponent, (least, greater) in _RATIOS.items():
            if least <= high and low < greater:
                values = np.empty(jobs.height, np.int64)
                sketch.put_rounded(ratios, least, greater, float(10**-exponent), values)
                yield exponent, values


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
        else:
            yield from self.of.series(jobs)


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
        from grt_batch.kernels import sketch

        places = selected(jobs, self.keys, self.state, since)
        rows = fields_of(jobs, self.keys, places)
        if not rows.height:
            return {cube.name: cube.empty() for cube in self.cubes}
        groups = Groups.of(rows, self.key_names)
        keys, order = rows.rows(groups.firsts), groups.order if places is None else places[groups.order]
        jobs = fields_of(jobs, self.values, None)
        series = [
            (place, exponent, values) for place, one in enumerate(self.of) for exponent, values in one.series(jobs)
        ]
        found = sketch.tally(order, groups.begins, [values for _, _, values in series])
        metric, exponent = np.array([place for place, _, _ in series]), np.array([one for _, one, _ in series], np.int8)
        names = Columns.of(pl.Series(self.metric.name, [one.name for one in self.of], self.metric.type).to_frame())

        def named(cube: Cube, series: Array, group: Array, measures: Mapping[str, Array]) -> Columns:
            """Return a cube from rows of series and groups."""
            columns = {**keys.rows(group).arrays, Measurement.exponent.name: exponent[series], **measures}
            rows = names.rows(metric[series]).extended(columns, keys.texts).select(cube.schema())
            if len(set(metric)) == len(metric):
                return rows
            # A ratio has several series; those of a group become neighbours.
            return rows.rows(np.argsort(metric[series] * groups.count + group, kind="stable"))

        some, of_some = np.nonzero(found.n)
        sums = found.sums[some, of_some]
        totals = {
            "n": found.n[some, of_some],
            "first_value": found.least[some, of_some],
            "last_value": found.greatest[some, of_some],
            **{name: sums[:, place] for place, name in enumerate(("total", *SQUARES.schema()))},
        }
        binned = np.repeat(np.arange(len(series)), np.diff(found.ends))
        return {
            self.totals.name: named(self.totals, some, of_some, totals),
            self.counts.name: named(self.counts, binned, found.group, {BIN.name: found.bin, "jobs": found.count}),
        }


@dataclass(frozen=True, kw_only=True)
class DistributionCube(Cube):
    """One of the two cubes of `distributions`, which are counted together, from the jobs."""

    distributions: Distributions

    def add(self, records: Columns, since: int | None = None) -> Columns:
        """Count this cube of jobs."""
        return self.distributions.add(records, since)[self.name]
