"""The ids of jobs as bytes.

Ids rise, and mostly by 1: only the steps between them are kept, as narrow as they can be, and compressed.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

JobIds = npt.NDArray[np.int64]
"""Ids of jobs, each once, by rising number."""


_HEAD = struct.Struct("<qB")


def pack_ids(ids: JobIds) -> bytes:
    """Pack ids: the first one, the bytes that a step takes, and the compressed steps."""
    if not len(ids):
        return b""
    # A step between two ids of 64 bits may need them all, so there is no room for a sign.
    steps = np.diff(ids.astype(np.int64).view(np.uint64))
    steps = steps.astype(np.min_scalar_type(steps.max(initial=0)))
    return _HEAD.pack(int(ids[0]), steps.itemsize) + isal_zlib.compress(steps.astype(steps.dtype.newbyteorder("<")))


def unpack_ids(raw: bytes) -> JobIds:
    """Unpack what `pack_ids` packed."""
    if not raw:
        return np.empty(0, np.int64)
    first, size = _HEAD.unpack_from(raw)
    steps = np.frombuffer(isal_zlib.decompress(raw[_HEAD.size :]), f"<u{size}")
    ids = np.empty(len(steps) + 1, np.uint64)
    ids[0] = np.int64(first).view(np.uint64)
    np.cumsum(steps, dtype=np.uint64, out=ids[1:])
    ids[1:] += ids[0]
    return ids.view(np.int64)
