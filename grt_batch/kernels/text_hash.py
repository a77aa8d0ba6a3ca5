"""MurmurHash64A of many texts: A. Appleby, 2008, https://github.com/aappleby/smhasher."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.words import last_bytes, load64

_HASH_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)


_HASH_SHIFT = np.uint64(47)


_HASH_SEED = np.uint64(0x9E3779B97F4A7C15)
"""Any number other than 0, with which the empty text would have the least hash of all."""


@compiled
def hash_texts(data: Any, ends: Any, found: Any) -> None:
    """Hash each of the texts that follow one another in `data`; `ends` holds where each ends."""
    begin = 0
    for i in range(ends.size):
        end = ends[i]
        value = _HASH_SEED ^ (np.uint64(end - begin) * _HASH_MULTIPLIER)
        while end - begin >= 8:
            word = load64(data, begin) * _HASH_MULTIPLIER
            word ^= word >> _HASH_SHIFT
            value = (value ^ (word * _HASH_MULTIPLIER)) * _HASH_MULTIPLIER
            begin += 8
        if begin < end:
            value = (value ^ last_bytes(data, begin, end - begin)) * _HASH_MULTIPLIER
        value = (value ^ (value >> _HASH_SHIFT)) * _HASH_MULTIPLIER
        found[i] = value ^ (value >> _HASH_SHIFT)
        begin = end
