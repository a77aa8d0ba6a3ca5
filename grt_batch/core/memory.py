"""The memory of this process."""

from __future__ import annotations

import ctypes
import resource
from functools import cache
from typing import Any

_WORTH_BYTES = 64 << 20


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def give_back(freed: int) -> None:
    """Return free memory to the system after `freed` bytes were released. glibc keeps the memory of small arrays, while
    polars allocates elsewhere, so that without this both would be in use. A small amount is not worth it: it would be
    allocated again. Other C libraries do this by themselves."""
    trim = _trim()
    if trim and freed >= _WORTH_BYTES:
        trim(0)


@cache
def _trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
