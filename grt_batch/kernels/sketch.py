"""The loop of sketches and exact sums: it counts values by group and bin, and sums them, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.constants import BINS, STEP_BITS, STEPS
from grt_batch.kernels.words import leading_zeros, trailing_zeros
from grt_batch.schema.members import NULL

Integers = npt.NDArray[np.int64]


_LIMBS = 11
"""Numbers for each group: n, least, greatest, and sums in two parts of 32 bits. They are the sum of the values and, for
their squares, where a value is high · 2^32 + low, the sums of high², high · low and low².
"""


@dataclass(frozen=True)
class Tally:
    """Counts and sums of several series of values, by series and group.

    For each series and group: `n`, `least` and `greatest` (0 where n is 0), int64[series, groups]; and `sums`,
    int64[series, groups, 4, 2], pairs of (high, low) that mean high · 2^32 + low: of the values, and of the three parts
    of their squares. For each bin of a group that holds a value, by series, group and bin in rising order: `group`,
    `bin` and `count`; those of a series are between two `ends`, which begin with 0.
    """

    n: Integers
    least: Integers
    greatest: Integers
    sums: Integers
    group: npt.NDArray[np.int32]
    bin: npt.NDArray[np.int16]
    count: Integers
    ends: Integers


def tally(order: npt.NDArray[np.integer[Any]], begins: Integers, series: Sequence[Integers]) -> Tally:
    """Tally series of values from 0 to 2^63 - 1, or NULL. The rows of group g are order[begins[g] : begins[g + 1]]."""
    groups = len(begins) - 1
    sums = np.zeros((len(series), groups, _LIMBS), np.int64)
    # Memory that is not written is not taken.
    most = len(series) * min(len(order), groups * BINS)
    group, bins, count = np.empty(most, np.int32), np.empty(most, np.int16), np.empty(most, np.int64)
    counts, marks, ends = np.zeros(BINS, np.int64), np.zeros(BINS // 64, np.uint64), np.zeros(len(series) + 1, np.int64)
    # Gathered at once, into the same memory each time: to look them up in the loop takes four times as long.
    gathered, order = np.empty(len(order), np.int64), order.astype(np.intp, copy=False)
    for place, values in enumerate(series):
        np.take(values, order, out=gathered, mode="clip")
        ends[place + 1] = _tally(begins, gathered, counts, marks, sums[place], group, bins, count, ends[place])
    n, least, greatest = (sums[:, :, column] for column in range(3))
    pairs = sums[:, :, 3:].reshape(len(series), groups, 4, 2)
    return Tally(n, least, greatest, pairs, group[: ends[-1]], bins[: ends[-1]], count[: ends[-1]], ends)


@compiled
def put_ratios(used: Any, more: Any, given: Any, less: Any, ratios: Any) -> tuple[float, float]:
    """Put used · `more` / (given · `less`) into `ratios`, NaN where either is NULL or nothing was given. Return the
    least and the greatest of them."""
    least, greatest = np.inf, -np.inf
    for i in range(used.size):
        ratio = np.nan
        # NULL is less than 0.
        if used[i] != NULL and given[i] > 0:
            ratio = np.float64(used[i]) * more / (np.float64(given[i]) * less)
            least, greatest = min(least, ratio), max(greatest, ratio)
        ratios[i] = ratio
    return least, greatest


@compiled
def put_rounded(ratios: Any, least: Any, greater: Any, factor: Any, values: Any) -> None:
    """Put the ratios from `least` on that are less than `greater`, times the factor, into `values`, half to even; NULL
    for others."""
    for i in range(ratios.size):
        ratio = ratios[i]
        values[i] = np.int64(np.rint(ratio * factor)) if least <= ratio < greater else NULL


@compiled
def _bin(value: Any) -> Any:
    """Return the bin of a value, as `grt_batch.aggregate.sketch.bin_of` does."""
    shift = max(0, 63 - STEP_BITS - leading_zeros(value))
    return shift * STEPS + (value >> shift)


@compiled
def put_bins(values: Any, bins: Any) -> None:
    """Put the bins of values from 0 on, or NULL, into `bins`, int16[rows]."""
    for i in range(values.size):
        value = values[i]
        bins[i] = -(1 << 15) if value == NULL else _bin(value)


@compiled
def _tally(
    begins: Any,
    values: Any,
    counts: Any,
    marks: Any,
    sums: Any,
    groups: Any,
    bins: Any,
    of_bins: Any,
    size: Any,
) -> Any:
    """Fill `sums`, and from `size` on `groups`, `bins` and `of_bins`; return the place after the last entry there.

    `counts` holds zeros before and after. `marks` has a bit for each count: searching bits is faster.
    """
    mask = (1 << 32) - 1
    for group in range(begins.size - 1):
        first, last = marks.size, -1
        row = sums[group]
        for i in range(begins[group], begins[group + 1]):
            value = values[i]
            if value == NULL:
                continue
            if row[0] == 0 or value < row[1]:
                row[1] = value
            row[2] = max(row[2], value)
            row[0] += 1
            high, low = value >> 32, value & mask
            row[3] += high
            row[4] += low
            square = high * high
            row[5] += square >> 32
            row[6] += square & mask
            square = high * low
            row[7] += square >> 32
            row[8] += square & mask
            # The square of 32 bits needs the sign bit.
            unsigned = np.uint64(low) * np.uint64(low)
            row[9] += np.int64(unsigned >> np.uint64(32))
            row[10] += np.int64(unsigned & np.uint64(mask))
            place = _bin(value)
            counts[place] += 1
            word = place >> 6
            marks[word] |= np.uint64(1) << np.uint64(place & 63)
            first, last = min(first, word), max(last, word)
        for part in range(3, row.size, 2):
            row[part] += row[part + 1] >> 32
            row[part + 1] &= mask
        for word in range(first, last + 1):
            bits = marks[word]
            marks[word] = 0
            while bits:
                place = (word << 6) + np.int64(trailing_zeros(bits))
                bits &= bits - np.uint64(1)
                groups[size], bins[size], of_bins[size] = group, place, counts[place]
                counts[place] = 0
                size += 1
    return size
