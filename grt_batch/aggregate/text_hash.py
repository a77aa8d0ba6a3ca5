"""A hash of texts that is the same in every version and on every machine, compiled by numba.

It is MurmurHash64A: A. Appleby, 2008, https://github.com/aappleby/smhasher. Nobody gains from texts with the same hash,
so a cryptographic hash, which takes far longer, would be no better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl


def hashes(texts: pl.Series) -> npt.NDArray[np.uint64]:
    """Return the hash of the UTF-8 of each text; `texts` has no null."""
    from grt_batch.kernels.text_hash import hash_texts

    data = np.frombuffer(texts.str.join().cast(pl.Binary).item(), np.uint8)
    found = np.empty(len(texts), np.uint64)
    hash_texts(data, texts.str.len_bytes().cast(pl.Int64).cum_sum().to_numpy(), found)
    return found
