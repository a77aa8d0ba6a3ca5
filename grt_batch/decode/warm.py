"""Compiles all kernels before the first run."""

from __future__ import annotations

import numpy as np
import polars as pl

from grt_batch.aggregate.binned import Binned
from grt_batch.aggregate.grouping import Groups
from grt_batch.aggregate.text_hash import hashes
from grt_batch.columns.columns import Columns
from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.kernels import joins, sketch
from grt_batch.kernels.compiled import remove_outdated
from grt_batch.kernels.constants import BINS
from grt_batch.schema.members import METRICS, Kind, layout_of
from grt_batch.uploads.archive import Block


def compile_kernels() -> None:
    """Compile all kernels and keep them on disk, so that no rank of a run has to."""
    remove_outdated()
    lines = {
        Kind.JOBS: b"1\ttool\t1.0\tok\t2020-01-01 00:00:00\n",
        Kind.METRIC_NUM: b"1\tcore\truntime_seconds\t1.0\n",
        Kind.METRIC_TXT: b"1\tcore\tname\tvalue\n",
        Kind.PARAMS: b"1\tname\tvalue\n",
        Kind.DATASETS: b"1\t1\tbam\t1\tinput1\tinput\n",
    }
    for kind, line in lines.items():
        # The second line is broken, which compiles the kernels for salvaging too.
        block = Block(layout_of(kind, [line])[0], 0, memoryview(line + b"1\t" + line))
        decode(block)
        decode(block, WANTED)
    one = np.ones(1, np.int64)
    row, flag = np.zeros(1, np.int32), np.zeros(1, np.uint8)
    rows, newest = np.zeros((3, 1), np.int32), np.ones(len(METRICS), np.int64)
    joins.newest_lines(one, one[0], row - 1, one.copy(), row.copy())
    joins.find_rows(one, one[0], row, row.copy())
    joins.put_in_order(row, np.zeros(2, np.int32), row.copy())
    flags, seen = np.zeros((3, 1), np.int8), np.ones(1, np.uint16)
    joins.place_jobs(row, one, row, row, rows[:2], row, flags[0], one.copy(), rows[:2].copy(), rows.copy(), flags[1])
    joins.fill_rows(row, row)
    joins.place(row, one, one.copy())
    joins.place(row, flag, row)
    joins.place_codes(row, row, rows[:2], row, row)
    joins.add_sizes(row + 1, one, one.copy(), row, np.zeros(2, np.int32), np.zeros((2, 1), np.int64), flags[0])
    joins.pack_values(newest.reshape(1, -1), seen, newest.copy())
    joins.find_values(seen, row)
    joins.measure_jobs(row, row + 1, row, seen, one, one, row, 0, newest, np.empty((7, 1), np.int64), *flags)
    joins.mark_replaced(row, row, row - 1, flag)
    hashes(pl.Series(["text"]))
    counts = Binned.of(Columns({"bin": one.astype(np.int16), "jobs": one}), [])
    counts.percentiles([], [50])
    counts.coarse([], [0, 1])
    counts.above(np.ones(1, np.int16))
    _count()


def _count() -> None:
    """Count and merge a few rows, in each way that there is."""
    many, few = np.array([10**9, 0, 5]), np.array([1, 0, 1], np.int32)
    for keys in (few, np.sort(many), many):
        groups = Groups.in_order([keys], len(keys))
    groups.added(few > 0)
    groups.added(groups.sizes)
    groups.summed(groups.summed(many[groups.firsts]))
    groups.squares(many)
    groups.extent(many, few)
    sketch.tally(groups.order, groups.begins, [many])
    sketch.put_ratios(many, 1.0, many, 1.0, ratios := np.empty(len(many)))
    sketch.put_rounded(ratios, 0.0, 1.0, 1.0, many.copy())
    sketch.put_bins(many, bins := np.empty(len(many), np.int16))
    counts = Binned.of(Columns({"key": few, "bin": bins, "jobs": many}), ["key"])
    counts.percentiles(["key"], (50,))
    counts.coarse(["key"], range(BINS))
    counts.above(counts.runs["begin"])
