"""Counts by bin, which a cube whose last key is a bin has many of, and what follows from them for few groups.

The rows of such a cube with the same other keys are a *run*. Groups of runs, as those of a tool over all its versions
and on all instances, are added up in an array of all bins: nothing is sorted, and no row is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from grt_batch.aggregate.grouping import Groups, Integers, Places, plain
from grt_batch.aggregate.sketch import BIN, middle
from grt_batch.columns.columns import Array, Columns
from grt_batch.kernels.constants import BINS
from grt_batch.schema.records import Field

_BEGIN, _END = "begin", "end"


@dataclass(frozen=True)
class Binned:
    """Counts by bin. `runs` has the keys of each run, and where in `bins` and `jobs` its counts begin and end."""

    runs: Columns
    bins: Array
    jobs: Array

    @classmethod
    def of(cls, rows: Columns, keys: Iterable[str]) -> Binned:
        """Take the rows of a cube, which are in the order of `keys` and of the bin, and have the column `jobs`."""
        keys = tuple(keys)
        begins = np.zeros(rows.height, np.bool_)
        begins[:1] = True
        for key in keys:
            begins[1:] |= rows[key][1:] != rows[key][:-1]
        begin = np.flatnonzero(begins)
        runs = rows.select(keys).rows(begin).extended({_BEGIN: begin, _END: np.append(begin, rows.height)[1:]})
        return cls(runs, plain(rows[BIN.name]), plain(rows["jobs"]))

    @classmethod
    def concat(cls, parts: Sequence[Binned]) -> Binned:
        """Return the runs of all parts."""
        runs, at = [], 0
        for part in parts:
            runs.append(part.runs.extended({name: part.runs[name] + at for name in (_BEGIN, _END)}))
            at += len(part.bins)
        bins, jobs = (np.concatenate([getattr(part, name) for part in parts]) for name in ("bins", "jobs"))
        return cls(Columns.concat(runs), bins, jobs)

    def each(self, change: Callable[[Columns], Columns]) -> Binned:
        """Return the runs that `change` makes of these: it may take some, name their keys anew, and repeat them."""
        return replace(self, runs=change(self.runs))

    def percentiles(self, by: Sequence[str], percents: Sequence[int], first: str = "") -> Columns:
        """Return for each group of the keys `by`, in order, these keys and the percentiles: the columns p50 and so on
        hold the bin of the value of rank ceil(percent · n / 100). Percentages are from 1 to 100.

        Where values are in the order of the key `first`, and then in that of the bins, the columns p50_of and so on
        hold that key.
        """
        groups, scales = Groups.of(self.runs, by), Groups.of(self.runs, [first] if first else [])
        slices = self.runs[_BEGIN], self.runs[_END]
        places = _order_statistics(groups, *slices, scales.group * BINS, self.bins, self.jobs, percents)
        found: dict[str, Array] = {}
        for percent, place in places.items():
            found[f"p{percent}"] = (place % BINS).astype(np.int16)
            if first:
                found[f"p{percent}_of"] = self.runs[first][scales.firsts][place // BINS]
        return self.runs.select(by).rows(groups.firsts).extended(found)

    def quantiles(self, by: Sequence[Field], percents: Sequence[int]) -> pl.DataFrame:
        """Return the percentiles as a frame, with the values that stand for their bins; these are of integers."""
        found = self.percentiles([key.name for key in by], percents)
        names = [f"p{percent}" for percent in percents]
        frame = found.frame({**{key.name: key.type for key in by}, **dict.fromkeys(names, BIN.type)})
        return frame.with_columns(middle(pl.col(name)).alias(name) for name in names)

    def coarse(self, by: Sequence[str], table: Sequence[int]) -> Columns:
        """Return for each group of the keys `by`, in order, and for each coarse bin that holds values, the keys, the
        bin, and `jobs`. `table` has the coarse bin of each bin, which is the first of those that it is made of."""
        from grt_batch.kernels import binned

        groups = Groups.of(self.runs, by)
        known, places = np.unique(table, return_inverse=True)
        out = np.zeros((groups.count, len(known)), np.int64)
        binned.add_runs(groups.group, self.runs[_BEGIN], self.runs[_END], self.bins, self.jobs, places, out)
        group, place = np.nonzero(out)
        found: dict[str, Array] = {BIN.name: known[place].astype(np.int16), "jobs": out[group, place]}
        return self.runs.select(by).rows(groups.firsts).rows(group).extended(found)

    def above(self, limits: Array) -> tuple[Integers, Integers]:
        """Return the number of values in each run, and of those in bins above the limit of the run."""
        from grt_batch.kernels import binned

        out = np.zeros((2, self.runs.height), np.int64)
        binned.count_above(self.runs[_BEGIN], self.runs[_END], self.bins, self.jobs, limits, out)
        return out[0], out[1]


def quantiles(bins: pl.DataFrame, keys: Sequence[str], percents: Sequence[int], count: str = "jobs") -> pl.DataFrame:
    """Return for each group of `keys` the percentiles p50 and so on, as the values that stand for their bins.

    `bins` has the columns `keys`, `bin` and `count`; counts are 1 at least. A percentile is the order statistic of rank
    ceil(percent · n / 100), counted from 1, as in PostgreSQL's percentile_disc; percentages are from 1 to 100. Values
    are integers of the field's scale: `Field.in_units` converts them.
    """
    groups, rows = Groups.of_frame(bins, keys), np.arange(bins.height)
    bin_, jobs = (bins[name].to_numpy() for name in (BIN.name, count))
    places = _order_statistics(groups, rows, rows + 1, np.zeros(len(rows), np.int32), bin_, jobs, percents)
    found = pl.DataFrame({f"p{percent}": place for percent, place in places.items()})
    return pl.concat(
        [bins.select(keys)[groups.firsts], found.select(middle(pl.col(f"p{p}")).alias(f"p{p}") for p in percents)],
        how="horizontal",
    )


def _order_statistics(
    groups: Groups, begin: Integers, end: Integers, base: Places, bins: Array, jobs: Array, percents: Sequence[int]
) -> dict[int, Integers]:
    """Return for each percentage where it is in each group: the base of a run and a bin, added up."""
    from grt_batch.kernels import binned

    rising = sorted(set(percents))
    counts = np.zeros(int(base.max(initial=0)) + BINS, np.int64)
    marks, out = np.zeros(len(counts) // 64, np.uint64), np.zeros((len(rising), groups.count), np.int64)
    numbers = np.array(rising, np.int64)
    binned.find_order_statistics(
        groups.order, groups.begins, begin, end, base, plain(bins), plain(jobs), numbers, counts, marks, out
    )
    return dict(zip(rising, out, strict=True))
