"""The loops that put rows in the order of their keys and reduce those with the same keys.

`order` holds the places of the rows, group by group; those of group g are order[begins[g] : begins[g + 1]].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.schema.members import NULL

RADIX_BITS = 11


_LOW = (1 << 32) - 1


@compiled
def radix_pass(code: Any, shift: int, before: Any, counts: Any, after: Any) -> None:
    """Put the rows `before` into `after` by RADIX_BITS bits of their codes from `shift` on; equal ones keep their
    order. `counts`, zeros, has a place for each value of these bits, and one more."""
    mask = (1 << RADIX_BITS) - 1
    for i in range(before.size):
        counts[(code[before[i]] >> shift & mask) + 1] += 1
    for place in range(1, counts.size):
        counts[place] += counts[place - 1]
    for i in range(before.size):
        digit = code[before[i]] >> shift & mask
        after[counts[digit]] = before[i]
        counts[digit] += 1


@compiled
def sum_groups(values: Any, order: Any, begins: Any, out: Any) -> None:
    """Put the sums of the values that are not NULL into `out`, int64[groups, 2], as (high, low); NULL where there is
    none."""
    for group in range(begins.size - 1):
        high, low, known = 0, 0, 0
        for i in range(begins[group], begins[group + 1]):
            value = values[order[i]]
            if value != NULL:
                high += value >> 32
                low += value & _LOW
                known += 1
        out[group, 0] = high + (low >> 32) if known else NULL
        out[group, 1] = low & _LOW


@compiled
def add_sums(sums: Any, order: Any, begins: Any, out: Any) -> None:
    """Put the sums of (high, low) into `out`, int64[groups, 2]; those whose high is NULL are unknown."""
    for group in range(begins.size - 1):
        high, low, known = 0, 0, 0
        for i in range(begins[group], begins[group + 1]):
            row = order[i]
            if sums[row, 0] != NULL:
                high += sums[row, 0]
                low += sums[row, 1]
                known += 1
        out[group, 0] = high + (low >> 32) if known else NULL
        out[group, 1] = low & _LOW


@compiled
def sum_squares(values: Any, order: Any, begins: Any, out: Any) -> None:
    """Put the sums of the squares of the values from 0 on that are not NULL into `out`, int64[3, groups, 2], as
    (high, low); NULL where there is none.

    A value is high · 2^32 + low, and the sums of high², high · low and low² are kept apart.
    """
    for group in range(begins.size - 1):
        for part in range(3):
            high, low, known = 0, 0, 0
            for i in range(begins[group], begins[group + 1]):
                value = values[order[i]]
                if value != NULL:
                    above, below = value >> 32, value & _LOW
                    # The square of 32 bits needs the bit of the sign.
                    square = np.uint64(below if part else above) * np.uint64(below if part == 2 else above)
                    high += np.int64(square >> np.uint64(32))
                    low += np.int64(square & np.uint64(_LOW))
                    known += 1
            out[part, group, 0] = high + (low >> 32) if known else NULL
            out[part, group, 1] = low & _LOW


@compiled
def add_counts(counts: Any, order: Any, begins: Any, out: Any) -> None:
    """Put the sums of counts, which are small and never NULL, into `out`."""
    for group in range(begins.size - 1):
        total = 0
        for i in range(begins[group], begins[group + 1]):
            total += counts[order[i]]
        out[group] = total


@compiled
def extremes(least: Any, greatest: Any, order: Any, begins: Any, out: Any) -> None:
    """Put the least of `least` and the greatest of `greatest` into `out`, int64[2, groups]; NULL where all are NULL."""
    for group in range(begins.size - 1):
        first, last = NULL, NULL
        for i in range(begins[group], begins[group + 1]):
            value = least[order[i]]
            if value != NULL and (first == NULL or value < first):
                first = value
            # NULL is less than any value.
            last = max(last, greatest[order[i]])
        out[0, group], out[1, group] = first, last
