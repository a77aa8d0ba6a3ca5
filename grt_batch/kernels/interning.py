"""Codes for texts that recur: each different pair of texts is stored once."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import inlined
from grt_batch.kernels.words import equal, last_bytes, load64


@inlined
def intern(
    data: Any, start: int, end: int, start2: int, end2: int, table: Any, firsts: Any, count: int
) -> tuple[int, int]:
    """Return the code of a pair of texts, and the number of codes so far.

    `table` is an open-addressing hash table of codes + 1. `firsts` holds where each code's two texts first occur.
    """
    mask = np.uint64(table.size - 1)
    slot = hash_text(data, start2, end2, hash_text(data, start, end, 0xCBF29CE484222325)) & mask
    while table[slot] != 0:
        code = table[slot] - 1
        known = firsts[code]
        alike = known[1] - known[0] == end - start and known[3] - known[2] == end2 - start2
        alike = alike and equal(data, known[0], data, start, end - start)
        if alike and equal(data, known[2], data, start2, end2 - start2):
            return code, count
        slot = (slot + np.uint64(1)) & mask
    table[slot] = count + 1
    firsts[count, 0], firsts[count, 1], firsts[count, 2], firsts[count, 3] = start, end, start2, end2
    return count, count + 1


@inlined
def hash_text(data: Any, start: Any, end: Any, seed: Any) -> Any:
    """Hash a text, eight bytes at a time: multiply by an odd number and fold."""
    value = np.uint64(seed) ^ np.uint64(end - start)
    while start + 8 <= end:
        value = (value ^ load64(data, start)) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(32)
        start += 8
    value = (value ^ last_bytes(data, start, end - start)) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(32))
