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

from grt_batch.aggregate.distinct import PRECISION, estimate, registers
from grt_batch.aggregate.grouping import Groups, Integers, Places
from grt_batch.aggregate.measures import Count, Cube
from grt_batch.aggregate.text_hash import hashes
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import Field

Counted = Mapping[str, Columns]
"""What cubes have counted, by their names."""


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
    """The values of the field `value` in the groups of a cube, whose measure `jobs` counts all jobs of a group; without
    those where the boolean field `but` is true.

    There are two more cubes: `values` counts the jobs by value, and `cuts` knows what was let go. A module has all
    three among its cubes, and merges archives by `gathered`. Groups of up to twice the `least` capacity are exact.
    """

    groups: Cube
    value: Field
    but: Field | None = None
    least: int = 1000

    @cached_property
    def values(self) -> ValueCube:
        """The jobs of each value, those in state ok and in error, and what it has `paid`: what cuts deducted from its
        weight, which is `jobs - paid`."""
        return ValueCube("values", (*self.groups.keys, self.value), _COUNTS, self.groups.of, but=self.but)

    @cached_property
    def cuts(self) -> CutCube:
        """Of each group that was cut, what all cuts together deducted (`lost`), the uses of the values that were let go
        (`dropped`), and their `registers`, which tell how many there were."""
        return CutCube("cuts", self.groups.keys, (Count("lost"), Count("dropped")), self.groups.of)

    @property
    def cubes(self) -> tuple[Cube, ValueCube, CutCube]:
        """All three cubes."""
        return self.groups, self.values, self.cuts

    def gathered(self, parts: Sequence[Counted]) -> dict[str, Columns]:
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

    def _folded(self, found: Counted, parts: Sequence[Counted]) -> dict[str, Columns]:
        """Merge archives with what was gathered of those before, half of them at a time until nothing is to be cut."""
        whole = self._merged([found, *parts])
        if not self._large(whole[self.values.name]).height:
            return whole
        if len(parts) < 2:
            return self._cut(whole)
        half = len(parts) // 2
        return self._folded(self._folded(found, parts[:half]), parts[half:])

    def most_used(self, groups: Columns, values: Columns, cuts: Columns, most: int) -> tuple[Columns, Columns]:
        """Return the groups with the number of their `distinct_values`, and of each the `most` values with the most
        jobs, ties by value; `listed_jobs` are the jobs of these values, added up, and `at_least` says that a value may
        have more jobs than are known.

        A value that may have 1 % of the jobs of its group goes before all others, and one with a single job is left out
        where there are more than `most`.
        """
        by = self.groups.key_names
        own = Groups.of(values, by)
        group = _places(values.rows(own.firsts), groups, by)
        distinct, lost = np.zeros((2, groups.height), np.int64)
        distinct[group] = own.sizes
        of_cut, kept = _places(cuts, groups, by), _places(cuts, values.rows(own.firsts), by)
        lost[of_cut] = cuts["lost"]
        hashed = hashes(values.texts[self.value.name].names)
        for place, left, found in zip(of_cut, kept, cuts[_REGISTERS], strict=True):
            codes = values[self.value.name][own.begins[left] : own.begins[left + 1] if left >= 0 else 0]
            distinct[place] = max(distinct[place], estimate(np.maximum(found, registers(hashed[codes]))))
        # The values are in order, so group by group, and those of a group by value.
        group = np.repeat(group, own.sizes)
        missed = lost[group] - values["paid"]
        listed = np.flatnonzero((values["jobs"] > 1) | (distinct[group] <= most))
        jobs, group, missed = values["jobs"][listed], group[listed], missed[listed]
        rare = ((jobs + missed) * 100 < groups["jobs"][group]).astype(np.int8)
        ranked = Groups.of(Columns({"group": group, "rare": rare, "fewer": -jobs}), ("group", "rare", "fewer")).order
        begins = np.searchsorted(group[ranked], group[ranked])
        ranked = ranked[np.arange(len(ranked)) - begins < most]
        of_listed = np.zeros(groups.height, np.int64)
        np.add.at(of_listed, group[ranked], jobs[ranked])
        found = values.rows(listed[ranked]).extended({"at_least": (missed[ranked] > 0).astype(np.int8)})
        return groups.extended({"distinct_values": distinct, "listed_jobs": of_listed}), found

    def _merged(self, parts: Sequence[Counted]) -> dict[str, Columns]:
        # A single one needs no merging.
        tables = {cube.name: [part[cube.name] for part in parts if part[cube.name].height] for cube in self.cubes}
        return {cube.name: cube.merge(tables[cube.name]) for cube in self.cubes}

    def _large(self, values: Columns) -> Columns:
        """Return the keys of the groups with so many values that they may be cut, now or when fewer archives were
        merged."""
        groups = Groups.of(values, self.groups.key_names)
        large = groups.firsts[groups.sizes > 2 * self.least]
        return values.select(self.groups.key_names).rows(large)

    def _of(self, part: Counted, some: Columns, *, inside: bool) -> dict[str, Columns]:
        """Return the rows of some groups, or those of all others."""
        return {
            cube.name: part[cube.name]
            .rows((_places(part[cube.name], some, self.groups.key_names) >= 0) == inside)
            .own_texts()
            for cube in self.cubes
        }

    def _cut(self, part: Counted) -> dict[str, Columns]:
        """Let go the rarest values of the groups that have more than twice their capacity."""
        by = self.groups.key_names
        groups, values, cuts = (part[cube.name] for cube in self.cubes)
        own = Groups.of(values, by)
        keys = values.select(by).rows(own.firsts)
        used, paid, codes = values["jobs"], values["paid"].copy(), values[self.value.name]
        uses = own.added(used) + _looked_up(cuts, "dropped", _places(keys, cuts, by))
        most = capacity(uses, _looked_up(groups, "jobs", _places(keys, groups, by)), self.least)
        kept, large, fresh = np.ones(values.height, np.bool_), np.flatnonzero(own.sizes > 2 * most), []
        hashed = hashes(values.texts[self.value.name].names)
        for place in large:
            group = slice(own.begins[place], own.begins[place + 1])
            weights = used[group] - paid[group]
            least = own.sizes[place] - most[place] - 1
            deducted = np.partition(weights, least)[least]
            kept[group] = weights > deducted
            paid[group] += deducted
            dropped = ~kept[group]
            fresh.append((deducted, used[group][dropped].sum(), registers(hashed[codes[group][dropped]])))
        if not fresh:
            return dict(part)
        made = dict(zip(("lost", "dropped", _REGISTERS), map(np.array, zip(*fresh, strict=True)), strict=True))
        return {
            self.groups.name: groups,
            self.values.name: values.extended({"paid": paid}).rows(kept).own_texts(),
            self.cuts.name: self.cuts.merge([cuts, keys.rows(large).extended(made)]),
        }


def _places(rows: Columns, others: Columns, by: Sequence[str]) -> Places:
    """Return the place of the row with the same keys among `others`, which differ in them; -1 where there is none."""
    groups = Groups.of(Columns.concat([others.select(by), rows.select(by)]), by)
    firsts = np.where(groups.firsts < others.height, groups.firsts, -1)
    return firsts[groups.group[others.height :]]


def _looked_up(rows: Columns, name: str, places: Places) -> Integers:
    """Return the numbers of rows at these places, 0 for -1."""
    return np.append(rows[name], 0)[places]


_COUNTS = (Count("jobs"), Count("ok"), Count("error"), Count("paid"))


_REGISTERS = "registers"


@dataclass(frozen=True, kw_only=True)
class ValueCube(Cube):
    """Jobs by value, those in state ok and in error, and what each value has `paid`: nothing when it is counted.

    Records where the field `but` is true do not count.
    """

    but: Field | None = None

    def add(self, records: Columns, since: int | None = None) -> Columns:
        """Count records."""
        records = self.counted(records, since)
        if self.but is not None:
            records = records.rows(records[self.but.name] <= 0)
        groups = Groups.of(records, self.key_names)
        states, known = records[self.of.state.name], records.texts[self.of.state.name]
        counts = {state: groups.added(states == known.code(state)) for state in ("ok", "error")}
        keys = records.select(self.key_names).rows(groups.firsts)
        return keys.extended({"jobs": groups.sizes, **counts, "paid": np.zeros(groups.count, np.int64)})

    @property
    def _fields(self) -> tuple[Field, ...]:
        return (*self.keys, self.of.state, *([self.but] if self.but else []))


class CutCube(Cube):
    """What was let go of the groups that were cut. Records are not added to it: only `Popular.gathered` makes rows."""

    def schema(self) -> pl.Schema:
        """Return the columns of this cube, and their types in a frame."""
        return pl.Schema({**super().schema(), _REGISTERS: pl.Binary()})

    def empty(self) -> Columns:
        """Return that nothing was let go."""
        counted = Columns.of(pl.DataFrame(schema=super().schema()))
        return counted.extended({_REGISTERS: np.zeros((0, 1 << PRECISION), np.uint8)})

    def add(self, records: Columns, since: int | None = None) -> Columns:
        """Return that nothing was let go."""
        return self.empty()

    def merge(self, parts: Sequence[Columns]) -> Columns:
        """Merge what was let go; the order does not matter."""
        rows = Columns.concat([self.empty(), *parts])
        groups = Groups.of(rows, self.key_names)
        registers = rows[_REGISTERS][groups.order]
        united = np.maximum.reduceat(registers, groups.begins[:-1]) if groups.count else registers
        counts = {name: groups.added(rows[name]) for name in ("lost", "dropped")}
        return rows.select(self.key_names).rows(groups.firsts).extended({**counts, _REGISTERS: united})
