"""What is free goes back to the system."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from grt_batch.core.memory import give_back, peak_memory

MANY, BYTES = 2000, 50_000
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this is no glibc")


def in_use() -> int:
    """The memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@glibc
def test_what_is_free_between_others_is_given_back() -> None:
    arrays = [np.ones(BYTES, np.uint8) for _ in range(MANY)]
    kept = arrays[::50]
    before = in_use()
    arrays.clear()
    give_back(MANY * BYTES)
    assert in_use() < before - MANY * BYTES // 2
    assert len(kept) == MANY // 50
    assert peak_memory() > before // 2


@glibc
def test_little_is_not_asked_for_twice() -> None:
    arrays = [np.ones(BYTES, np.uint8) for _ in range(MANY)]
    kept = arrays[::50]
    before = in_use()
    arrays.clear()
    give_back(BYTES)
    assert in_use() > before - MANY * BYTES // 2
    assert len(kept) == MANY // 50
