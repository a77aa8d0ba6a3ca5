"""The loops over runs of counts, each alone, by hand."""

from __future__ import annotations

import numpy as np

from grt_batch.kernels import binned

BEGIN, END = np.array([0, 2, 2]), np.array([2, 2, 5])
BINS, JOBS = np.array([3, 70, 3, 4, 200], np.int16), np.array([1, 2, 3, 4, 10])
"""Three runs; the second is empty."""


def test_order_statistics_are_found_by_groups_and_leave_nothing_behind() -> None:
    counts, marks = np.zeros(512, np.int64), np.zeros(8, np.uint64)
    base, out = np.array([0, 0, 256], np.int32), np.zeros((3, 3), np.int64)
    order, begins = np.array([2, 0, 0, 1], np.int32), np.array([0, 2, 3, 4])
    slices = BEGIN, END
    percents = np.array([5, 50, 100])
    binned.find_order_statistics(order, begins, *slices, base, BINS, JOBS, percents, counts, marks, out)
    # Of an empty group nothing is said.
    assert out.T.tolist() == [[3, 256 + 4, 256 + 200], [3, 70, 70], [0, 0, 0]]
    assert not counts.any()
    assert not marks.any()


def test_runs_are_added_to_their_groups_by_coarse_bins() -> None:
    out = np.zeros((2, 2), np.int64)
    binned.add_runs(np.array([1, 0, 1], np.int32), BEGIN, END, BINS, JOBS, (np.arange(256) > 60).astype(np.int64), out)
    assert out.tolist() == [[0, 0], [8, 12]]


def test_counts_above_a_limit() -> None:
    out = np.zeros((2, 3), np.int64)
    binned.count_above(BEGIN, END, BINS, JOBS, np.array([3, 0, 3], np.int16), out)
    assert out.tolist() == [[3, 0, 17], [2, 0, 14]]
