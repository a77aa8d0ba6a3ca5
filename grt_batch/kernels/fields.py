"""Lines and their fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled, inlined
from grt_batch.kernels.words import byte_at, load64, trailing_zeros
from grt_batch.schema.members import MOST_COLUMNS

_NEWLINE = 10


@compiled
def newlines(data: Any) -> Any:
    """Count the newlines, eight bytes at a time: each byte of a word counts up to 255 by itself."""
    low, pairs = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x00FF00FF00FF00FF)
    count: Any = 0
    begin = 0
    while begin + 8 <= data.size:
        stop = min(begin + 8 * 255, data.size - 7)
        counts = np.uint64(0)
        for i in range(begin, stop, 8):
            word = load64(data, i) ^ np.uint64(0x0A0A0A0A0A0A0A0A)
            counts += ~((word & low) + low | word | low) >> np.uint64(7)
            begin += 8
        counts = (counts & pairs) + (counts >> np.uint64(8) & pairs)
        count += np.int64(counts * np.uint64(0x0001000100010001) >> np.uint64(48))
    for i in range(begin, data.size):
        count += data[i] == _NEWLINE
    return count


@compiled
def line_ends(data: Any) -> Any:
    """Return the number of newlines, and the places behind the first and the last of them, 0 where there is none."""
    count = newlines(data)
    first, last = 0, 0
    if count:
        while data[first] != _NEWLINE:
            first += 1
        last = data.size
        while data[last - 1] != _NEWLINE:
            last -= 1
        first += 1
    return count, first, last


@inlined
def next_separator(data: Any, i: Any) -> Any:
    """Return the position of the next byte from `i` on that may end a field: any up to the newline.

    It tests eight bytes at a time for a byte below n: S. E. Anderson, "Bit Twiddling Hacks". The lowest bit that the
    test sets is right.
    """
    size = data.size
    while i + 8 <= size:
        word = load64(data, i)
        low = (word - np.uint64(0x0B0B0B0B0B0B0B0B)) & ~word & np.uint64(0x8080808080808080)
        if low != 0:
            return i + np.int64(trailing_zeros(low) >> np.uint64(3))
        i += 8
    while i < size and data[i] > _NEWLINE:
        i += 1
    return i


@inlined
def split(data: Any, begin: Any, sep: int, starts: Any, ends: Any) -> Any:
    """Find the fields of the line at `begin`. Return their number, and the position of the newline or of the end."""
    field = 0
    starts[0] = begin
    i = next_separator(data, begin)
    while i < data.size and byte_at(data, i) != _NEWLINE:
        if byte_at(data, i) == sep:
            if field < MOST_COLUMNS - 1:
                ends[field] = i
                starts[field + 1] = i + 1
            field += 1
        i = next_separator(data, i + 1)
    if field < MOST_COLUMNS:
        ends[field] = i
    return field + 1, i
