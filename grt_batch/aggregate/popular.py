"""The popular values of a field, of which there may be millions: what rarely occurs is let go, within a bound.

This is the summary of J. Misra and D. Gries ("Finding repeated elements", Science of Computer Programming 2, 1982),
which P. Agarwal, G. Cormode, Z. Huang, J. Phillips, Z. Wei and K. Yi have shown to be mergeable ("Mergeable summaries",
PODS 2012).

To merge counts is exact: it gives what adding all jobs to one would have given. `Popular.gathered`, which merges whole
archives, also *cuts*: of a group that has more than twice its `capacity` of values, as many as the capacity are kept,
and the greatest weight that is not kept is deducted from the weight of each. Its law is a bound: after any tree of such
merges the true number of jobs with a value is from `jobs` to `jobs + lost - paid`, and `lost` is a small share of the
group's jobs, see `capacity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from grt_batch.aggregate.distinct import estimate, registers, united
from grt_batch.aggregate.measures import Count, Cube
from grt_batch.frames.composite_keys import Integers, key_order
from grt_batch.frames.dictionaries import alike, with_own_texts
from grt_batch.schema.records import Field

Frames = Mapping[str, pl.DataFrame]
"""Frames of cubes, by the names of the cubes."""


def capacity(uses: Integers, jobs: Integers, least: int) -> Integers:
    """Return how many values a cut leaves in groups of so many jobs that use so many values in all: a job may use
    several.

    It is max(least, least / 4 · r^1.5), where r = uses / jobs, rounded up. A cut that deducts d takes it from more
    values than that. So `lost`, the sum of all d, is at most the integral of dR / capacity(R / jobs) from 0 to R, which
    is all that was ever deducted and no more than the uses. However large r is, that is below 7.6 / least of the jobs;
    where each job uses one value, 1 / least. It holds after any tree of merges, which add both R and the jobs, because
    the integral is concave in R / jobs.
    """
    ratio = np.ceil(uses / jobs)
    kept: Integers = np.maximum(least, least / 4 * ratio * np.sqrt(ratio)).astype(np.int64)
    return kept


@dataclass(frozen=True)
class Popular:
    """The values of the field `value` in the groups of a cube, whose measure `jobs` counts all jobs of a group.

    There are two more cubes: `values` counts the jobs by value, and `cuts` knows what was let go. A module has all
    three among its cubes, and merges archives by `gathered`. Groups of up to twice the `least` capacity are exact.
    """

    groups: Cube
    value: Field
    least: int = 1000

    @cached_property
    def values(self) -> ValueCube:
        """The jobs of each value, those in state ok and in error, and what it has `paid`: what cuts deducted from its
        weight, which is `jobs - paid`."""
        return ValueCube("values", (*self.groups.keys, self.value), _COUNTS, self.groups.of)

    @cached_property
    def cuts(self) -> CutCube:
        """Of each group that was cut, what all cuts together deducted (`lost`), the uses of the values that were let go
        (`dropped`), and their `registers`, which tell how many there were."""
        return CutCube("cuts", self.groups.keys, (Count("lost"), Count("dropped")), self.groups.of)

    @property
    def cubes(self) -> tuple[Cube, ValueCube, CutCube]:
        """All three cubes."""
        return self.groups, self.values, self.cuts

    def gathered(self, parts: Sequence[Frames]) -> dict[str, pl.DataFrame]:
        """Merge the cubes of whole archives, one after the other, and cut after each.

        What was gathered may be gathered with more archives: that gives what gathering all at once would have given.
        """
        whole = self._merged(parts)
        large = self._large(whole[self.values.name])
        if not large.height:
            return whole
        # The other groups are not cut, whichever archives are merged first.
        found = self._folded(self._merged([]), [self._of(part, large, inside=True) for part in parts])
        return self._merged([self._of(whole, large, inside=False), found])

    def _folded(self, found: Frames, parts: Sequence[Frames]) -> dict[str, pl.DataFrame]:
        """Merge archives with what was gathered of those before, half of them at a time until nothing is to be cut."""
        whole = self._merged([found, *parts])
        if not self._large(whole[self.values.name]).height:
            return whole
        if len(parts) < 2:
            return self._cut(whole)
        half = len(parts) // 2
        return self._folded(self._folded(found, parts[:half]), parts[half:])

    def most_used(
        self, groups: pl.DataFrame, values: pl.DataFrame, cuts: pl.DataFrame, most: int
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the groups with the number of their `distinct_values`, and of each the `most` values with the most
        jobs, ties by value; `at_least` says that a value may have more jobs than are known.

        A value that may have 1 % of the jobs of its group goes before all others, and one with a single job is left out
        where there are more than `most`.
        """
        groups, values, cuts = alike([groups, values, cuts], self.groups.texts)
        by = self.groups.key_names
        groups = groups.join(self._distinct(values, cuts), on=by, how="left", maintain_order="left").with_columns(
            pl.col("distinct_values").fill_null(0)
        )
        jobs, missed = pl.col("jobs"), pl.col("lost").fill_null(0) - pl.col("paid")
        listed = (
            values.join(groups.select(*by, "distinct_values", pl.col("jobs").alias(_OF_GROUP)), on=by)
            .join(cuts.select(*by, "lost"), on=by, how="left")
            .filter((jobs > 1) | (pl.col("distinct_values") <= most))
            .sort(*by, (jobs + missed) * 100 < pl.col(_OF_GROUP), -jobs, self.value.name)
            .filter(pl.int_range(pl.len()).over(by) < most)
            .with_columns(at_least=missed > 0)
        )
        return groups, listed

    def _distinct(self, values: pl.DataFrame, cuts: pl.DataFrame) -> pl.DataFrame:
        """Return the number of distinct values of each group that has any: an estimate where the group was cut."""
        by = self.groups.key_names
        kept = values.join(cuts, on=by, how="semi").partition_by(by, as_dict=True)
        estimates = []
        for *group, found in cuts.select(*by, _REGISTERS).iter_rows():
            left = kept.get(tuple(group), values[:0])[self.value.name]
            estimates.append(estimate(united([found, registers(left.cast(pl.String))])))
        counted = values.group_by(by).agg(pl.len().cast(pl.Int64).alias("distinct_values"))
        estimated = cuts.select(*by, pl.Series("distinct_values", estimates, pl.Int64))
        return pl.concat([counted, estimated]).group_by(by).agg(pl.col("distinct_values").max())

    def _merged(self, parts: Sequence[Frames]) -> dict[str, pl.DataFrame]:
        # A single frame needs no merging.
        frames = {cube.name: [part[cube.name] for part in parts if part[cube.name].height] for cube in self.cubes}
        return {cube.name: cube.merge(frames[cube.name]) for cube in self.cubes}

    def _large(self, values: pl.DataFrame) -> pl.DataFrame:
        """Return the groups with so many values that they may be cut, now or when fewer archives were merged."""
        order, begins = key_order(values, self.groups.key_names)
        sizes = np.diff(begins, append=values.height)
        return values.select(self.groups.key_names)[order[begins[sizes > 2 * self.least]]]

    def _of(self, part: Frames, some: pl.DataFrame, *, inside: bool) -> dict[str, pl.DataFrame]:
        """Return the rows of some groups, or those of all others."""
        found = {}
        for cube in self.cubes:
            frame, groups = alike([part[cube.name], some], self.groups.texts)
            by = self.groups.key_names
            kept = frame.join(groups, on=by, how="semi" if inside else "anti", maintain_order="left")
            found[cube.name] = with_own_texts(kept)
        return found

    def _cut(self, part: Frames) -> dict[str, pl.DataFrame]:
        """Let go the rarest values of the groups that have more than twice their capacity."""
        by = self.groups.key_names
        groups, values, cuts = alike([part[cube.name] for cube in self.cubes], self.groups.texts)
        _, begins = key_order(values, by)
        sizes = np.diff(begins, append=values.height)
        used, paid = values["jobs"].to_numpy(), values["paid"].to_numpy().copy()
        known = (
            values.select(by)[begins]
            .join(groups.select(*by, "jobs"), on=by, how="left", maintain_order="left")
            .join(cuts.select(*by, "dropped"), on=by, how="left", maintain_order="left")
        )
        uses = np.add.reduceat(used, begins) + known["dropped"].fill_null(0).to_numpy()
        most = capacity(uses, known["jobs"].to_numpy(), self.least)
        kept, fresh = np.ones(values.height, np.bool_), []
        large = np.flatnonzero(sizes > 2 * most)
        for place in large:
            group = slice(begins[place], begins[place] + sizes[place])
            weights = used[group] - paid[group]
            least = sizes[place] - most[place] - 1
            deducted = np.partition(weights, least)[least]
            kept[group] = weights > deducted
            paid[group] += deducted
            dropped = values[self.value.name][group].filter(~kept[group]).cast(pl.String)
            fresh.append((deducted, used[group][~kept[group]].sum(), registers(dropped)))
        if not fresh:
            return dict(part)
        schema = {"lost": pl.Int64, "dropped": pl.Int64, _REGISTERS: pl.Binary}
        made = known.select(by)[large].hstack(pl.DataFrame(fresh, schema=schema, orient="row"))
        left = with_own_texts(values.with_columns(paid=pl.Series(paid)).filter(kept))
        return {
            self.groups.name: part[self.groups.name],
            self.values.name: self.values.typed(left),
            self.cuts.name: self.cuts.merge([cuts, made]),
        }


_COUNTS = (Count("jobs"), Count("ok"), Count("error"), Count("paid"))


_REGISTERS, _OF_GROUP = "registers", "jobs of the group"


class ValueCube(Cube):
    """Jobs by value, those in state ok and in error, and what each value has `paid`: nothing when it is counted."""

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Count a frame of records."""
        counted = Cube(self.name, (*self.keys, self.of.state), (Count("jobs"),), self.of).add(rows)
        # It is in order already.
        _, begins = key_order(counted, self.key_names)
        jobs, states = counted["jobs"].to_numpy(), counted[self.of.state.name].cast(pl.String)

        def summed(name: str, jobs: Integers) -> pl.Series:
            return pl.Series(name, np.add.reduceat(jobs, begins))

        return self.typed(
            counted.select(self.key_names)[begins].with_columns(
                summed("jobs", jobs),
                *(summed(state, np.where((states == state).to_numpy(), jobs, 0)) for state in ("ok", "error")),
                paid=pl.lit(0),
            )
        )


class CutCube(Cube):
    """What was let go of the groups that were cut. Records are not added to it: only `Popular.gathered` makes rows."""

    def schema(self) -> pl.Schema:
        """Return the columns of a frame."""
        return pl.Schema({**super().schema(), _REGISTERS: pl.Binary()})

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return that nothing was let go."""
        return self.empty()

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Merge what was let go; the order does not matter."""
        if len(frames) < 2:
            return frames[0] if frames else self.empty()
        rows = pl.concat(alike(frames, self.texts), rechunk=True)
        order, begins = key_order(rows, self.key_names)
        rows = rows[order]
        ends = np.append(begins, rows.height)[1:]
        return self.typed(
            rows.select(self.key_names)[begins].with_columns(
                *(pl.Series(name, np.add.reduceat(rows[name].to_numpy(), begins)) for name in ("lost", "dropped")),
                pl.Series(
                    _REGISTERS, [united(rows[_REGISTERS][b:e]) for b, e in zip(begins, ends, strict=True)], pl.Binary
                ),
            )
        )
