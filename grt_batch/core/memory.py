"""The memory of this process."""

from __future__ import annotations

import ctypes
import resource
from functools import cache
from typing import Any

_WORTH_BYTES = 64 << 20


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def give_back(freed: int) -> None:
    """Give the system back what is free now, where some of that many bytes were just let go, or come of them. glibc
    keeps the memory of small arrays, and what polars allocates next comes from elsewhere: without this both would be
    there at once. Of little it is not worth the while: it would be asked for again. Other libraries of C need no
    telling."""
    trim = _trim()
    if trim and freed >= _WORTH_BYTES:
        trim(0)


@cache
def _trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
