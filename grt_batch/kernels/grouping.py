"""The loops that give rows numbers of groups, in the order of their keys, and reduce the rows of each group.

`group` has the number of each row's group, int32[rows].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.schema.members import NULL

_LOW = (1 << 32) - 1


@compiled
def append_digit(values: Any, null: Any, first: Any, different: Any, code: Any) -> None:
    """Append digits to codes: value - `first`, 0 for `null`."""
    for i in range(values.size):
        value = np.int64(values[i])
        code[i] = code[i] * different + (value - first if value != null else 0)


@compiled
def is_rising(code: Any) -> Any:
    """Whether codes rise from row to row."""
    for i in range(1, code.size):
        if code[i] < code[i - 1]:
            return False
    return True


@compiled
def number_rising(code: Any, group: Any) -> Any:
    """Number the groups of codes that rise; return how many there are."""
    number = 0
    for i in range(code.size):
        if i and code[i] != code[i - 1]:
            number += 1
        group[i] = number
    return number + 1


@compiled
def number_by_table(code: Any, table: Any, group: Any) -> Any:
    """Number the groups by a table of all codes, zeros; return how many there are."""
    for i in range(code.size):
        table[code[i]] = 1
    number = 0
    for place in range(table.size):
        if table[place]:
            table[place] = number
            number += 1
    for i in range(code.size):
        group[i] = table[code[i]]
    return number


@compiled
def radix_pass(code: Any, row: Any, shift: Any, counts: Any, sorted_code: Any, sorted_row: Any) -> None:
    """Sort codes and their rows by some bits from `shift` on; equal ones keep their order. `counts`, zeros, has a place
    for each value of these bits, and one more."""
    mask = counts.size - 2
    for i in range(code.size):
        counts[(code[i] >> shift & mask) + 1] += 1
    for place in range(1, counts.size):
        counts[place] += counts[place - 1]
    for i in range(code.size):
        digit = code[i] >> shift & mask
        place = counts[digit]
        counts[digit] += 1
        sorted_code[place] = code[i]
        sorted_row[place] = row[i]


@compiled
def number_sorted(code: Any, row: Any, group: Any) -> Any:
    """Number the groups of sorted codes, whose rows these are; return how many there are."""
    number = 0
    for i in range(code.size):
        if i and code[i] != code[i - 1]:
            number += 1
        group[row[i]] = number
    return number + 1


@compiled
def first_rows(group: Any, out: Any) -> None:
    """Put the first row of each group into `out`."""
    for i in range(group.size - 1, -1, -1):
        out[group[i]] = i


@compiled
def count_rows(group: Any, out: Any) -> None:
    """Add the number of rows of each group to `out`."""
    for i in range(group.size):
        out[group[i]] += 1


@compiled
def put_in_order(group: Any, ends: Any, out: Any) -> None:
    """Put the rows into `out`, group by group, in their order before. `ends` are where each group begins there, and
    become where it ends."""
    for i in range(group.size):
        number = group[i]
        out[ends[number]] = i
        ends[number] += 1


@compiled
def add_counts(counts: Any, group: Any, out: Any) -> None:
    """Add counts, which are never null, to those of their groups in `out`."""
    for i in range(counts.size):
        out[group[i]] += counts[i]


@compiled
def add_values(values: Any, group: Any, out: Any) -> None:
    """Add the values that are not NULL to the sums of their groups in `out`, int64[groups, 2], as (high, low). An
    unknown sum is (NULL, 0), and low may grow beyond 32 bits: see `carry`."""
    for i in range(values.size):
        value = values[i]
        if value != NULL:
            row = out[group[i]]
            high = value >> 32
            row[0] = high if row[0] == NULL else row[0] + high
            row[1] += value & _LOW


@compiled
def add_sums(sums: Any, group: Any, out: Any) -> None:
    """Add sums of (high, low) in the same way; those whose high is NULL are unknown."""
    for i in range(group.size):
        high = sums[i, 0]
        if high != NULL:
            row = out[group[i]]
            row[0] = high if row[0] == NULL else row[0] + high
            row[1] += sums[i, 1]


@compiled
def add_squares(values: Any, group: Any, out: Any) -> None:
    """Add the squares of values from 0 on, or NULL, to the sums in `out`, int64[3, groups, 2].

    A value is high · 2^32 + low, and the sums of high², high · low and low² are kept apart.
    """
    for i in range(values.size):
        value = values[i]
        if value != NULL:
            above, below = np.uint64(value >> 32), np.uint64(value & _LOW)
            for part in range(3):
                # The square of 32 bits needs the bit of the sign.
                square = (below if part == 2 else above) * (below if part else above)
                row = out[part, group[i]]
                high = np.int64(square >> np.uint64(32))
                row[0] = high if row[0] == NULL else row[0] + high
                row[1] += np.int64(square & np.uint64(_LOW))


@compiled
def carry(sums: Any) -> None:
    """Leave 32 bits of each low part of the sums."""
    for i in range(sums.shape[0]):
        if sums[i, 0] != NULL:
            sums[i, 0] += sums[i, 1] >> 32
            sums[i, 1] &= _LOW


@compiled
def find_extremes(least: Any, greatest: Any, group: Any, first: Any, last: Any) -> None:
    """Take the least of `least` and the greatest of `greatest` to those of their groups, which are NULL before."""
    for i in range(group.size):
        number, value = group[i], least[i]
        if value != NULL and (first[number] == NULL or value < first[number]):
            first[number] = value
        # NULL is less than any value.
        last[number] = max(last[number], greatest[i])
