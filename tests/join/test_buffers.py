"""A column of pieces against one that is put together at once."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.join.buffers import GrowableArray


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16, np.uint8])
@examples(60)
@given(pieces=st.lists(st.lists(st.integers(0, 255), max_size=50), max_size=30))
@example(pieces=[])
@example(pieces=[[], [1], []])
@example(pieces=[[1, 2, 3]] * 30)
def test_a_column_is_its_pieces_one_behind_the_other(dtype: type[np.generic], pieces: list[list[int]]) -> None:
    column = GrowableArray(dtype)
    for piece in pieces:
        column.append(np.array(piece, dtype))
    assert column.values().dtype == dtype
    assert column.values().tolist() == [value for piece in pieces for value in piece]


def test_no_piece_is_kept() -> None:
    column = GrowableArray(np.int64)
    message = np.arange(1000)
    column.append(message[100:200])
    kept = weakref.ref(message)
    del message
    assert kept() is None
    assert column.values().tolist() == list(range(100, 200))
