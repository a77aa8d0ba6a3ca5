"""The loops over runs of counts by bin: run r has jobs[begin[r] : end[r]], in the bins at the same places."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.words import trailing_zeros


@compiled
def find_order_statistics(
    order: Any,
    begins: Any,
    begin: Any,
    end: Any,
    base: Any,
    bins: Any,
    jobs: Any,
    percents: Any,
    counts: Any,
    marks: Any,
    out: Any,
) -> None:
    """Put the order statistics of groups of runs into `out`, int64[percents, groups]: the place base[r] + bin where the
    value of rank ceil(percent · n / 100) is. The runs of group g are order[begins[g] : begins[g + 1]]; `percents` rise.

    `counts` has zeros for all places. `marks` has a bit for each count: searching bits is faster.
    """
    for group in range(begins.size - 1):
        total, first, last = 0, marks.size, -1
        for i in range(begins[group], begins[group + 1]):
            run = order[i]
            for row in range(begin[run], end[run]):
                place = base[run] + bins[row]
                counts[place] += jobs[row]
                total += jobs[row]
                word = place >> 6
                marks[word] |= np.uint64(1) << np.uint64(place & 63)
                first, last = min(first, word), max(last, word)
        reached, percent = 0, 0
        for word in range(first, last + 1):
            bits = marks[word]
            marks[word] = 0
            while bits:
                place = (word << 6) + np.int64(trailing_zeros(bits))
                bits &= bits - np.uint64(1)
                reached += counts[place]
                counts[place] = 0
                while percent < percents.size and reached * 100 >= percents[percent] * total:
                    out[percent, group] = place
                    percent += 1


@compiled
def add_runs(group: Any, begin: Any, end: Any, bins: Any, jobs: Any, coarse: Any, out: Any) -> None:
    """Add the counts of each run to those of its group in `out`, int64[groups, coarse bins]; `coarse` has the coarse
    bin of each bin."""
    for run in range(group.size):
        for row in range(begin[run], end[run]):
            out[group[run], coarse[bins[row]]] += jobs[row]


@compiled
def count_above(begin: Any, end: Any, bins: Any, jobs: Any, limits: Any, out: Any) -> None:
    """Add the counts of each run to `out`, int64[2, runs]: of all bins, and of those above the limit of the run."""
    for run in range(begin.size):
        for row in range(begin[run], end[run]):
            out[0, run] += jobs[row]
            if bins[row] > limits[run]:
                out[1, run] += jobs[row]
