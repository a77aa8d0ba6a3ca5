"""A hash of texts that is the same in every version and on every machine, compiled by numba.

It is MurmurHash64A: A. Appleby, 2008, https://github.com/aappleby/smhasher. Nobody gains by texts of the same hash
here, so that a cryptographic one, which takes far longer, would be no better.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)
_SEED = np.uint64(0x9E3779B97F4A7C15)
"""Any number but 0, with which the empty text would have the least hash of all."""


def hashes(texts: pl.Series) -> npt.NDArray[np.uint64]:
    """The hash of each text's UTF-8; `texts` has no null."""
    data = np.frombuffer("".join(texts.to_list()).encode(), np.uint8)
    found = np.empty(len(texts), np.uint64)
    _hash(data, texts.str.len_bytes().cast(pl.Int64).cum_sum().to_numpy(), found)
    return found


@numba.njit(cache=True, nogil=True)
def _hash(data: Any, ends: Any, found: Any) -> None:
    begin = 0
    for i in range(ends.size):
        size = ends[i] - begin
        value = _SEED ^ (np.uint64(size) * _MULTIPLIER)
        for at in range(begin, ends[i], 8):
            word = np.uint64(0)
            left = min(8, ends[i] - at)
            for place in range(left):
                word |= np.uint64(data[at + place]) << np.uint64(8 * place)
            if left == 8:
                word *= _MULTIPLIER
                word ^= word >> _SHIFT
                word *= _MULTIPLIER
            value ^= word
            value *= _MULTIPLIER
        value ^= value >> _SHIFT
        value *= _MULTIPLIER
        found[i] = value ^ (value >> _SHIFT)
        begin = ends[i]
