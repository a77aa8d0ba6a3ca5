"""The loop of sketches and exact sums: it counts values by group and bin, and sums them, in one pass."""

from __future__ import annotations

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
"""Numbers for each group: n, least, greatest, and sums in two parts of 32 bits, which never overflow. They are the sum
of the values and, for their squares, where a value is high · 2^32 + low, the sums of high², high · low and low².
"""


@dataclass(frozen=True)
class Tally:
    """Counts and sums of one series of values, by group.

    For each group: `n`, `least` and `greatest` (0 where n is 0), int64[groups]; and `sums`, int64[groups, 4, 2], pairs
    of (high, low) that mean high · 2^32 + low: of the values, and of the three parts of their squares. For each bin of
    a group that holds a value, by group and bin in rising order: `group`, `bin` and `count`.
    """

    n: Integers
    least: Integers
    greatest: Integers
    sums: Integers
    group: Integers
    bin: Integers
    count: Integers


def tally(begins: Integers, values: Integers) -> Tally:
    """Tally values from 0 to 2^63 - 1, or NULL. Those of group g are values[begins[g] : begins[g + 1]]."""
    groups = len(begins) - 1
    sums = np.zeros((groups, _LIMBS), np.int64)
    found = np.empty((3, min(len(values), groups * BINS)), np.int64)
    size = _tally(begins, values, np.zeros(BINS, np.int64), np.zeros(BINS // 64, np.uint64), sums, found)
    group, bins, count = found[:, :size].copy()
    n, least, greatest = (sums[:, column].copy() for column in range(3))
    return Tally(n, least, greatest, sums[:, 3:].reshape(-1, 4, 2), group, bins, count)


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
def _tally(begins: Any, values: Any, counts: Any, marks: Any, sums: Any, found: Any) -> Any:
    """Fill `sums` and `found`, and return the number of entries in `found`.

    `counts` holds zeros before and after. `marks` has a bit for each count: searching bits is faster.
    """
    size = 0
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
        for word in range(first, last + 1):
            bits = marks[word]
            marks[word] = 0
            while bits:
                place = (word << 6) + np.int64(trailing_zeros(bits))
                bits &= bits - np.uint64(1)
                found[0, size], found[1, size], found[2, size] = group, place, counts[place]
                counts[place] = 0
                size += 1
    return size
