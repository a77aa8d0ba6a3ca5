"""Job ids come back as they were packed, and take little room."""

from __future__ import annotations

import numpy as np
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.store.job_ids import pack_ids, unpack_ids

IDS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300), unique=True).map(sorted)


@examples(200)
@given(ids=IDS)
def test_ids_come_back_as_they_were_packed(ids: list[int]) -> None:
    unpacked = unpack_ids(pack_ids(np.array(ids, np.int64)))
    assert unpacked.dtype == np.int64
    assert unpacked.tolist() == ids


def test_ids_that_rise_by_1_take_next_to_nothing() -> None:
    assert len(pack_ids(np.arange(10**9, 10**9 + 100_000))) < 1000


def test_ids_of_which_some_are_missing_take_less_than_a_byte_each() -> None:
    missing = np.random.default_rng(1).integers(0, 2, 200_000, dtype=bool)
    ids = np.flatnonzero(missing)
    assert len(pack_ids(ids)) < len(ids) / 2
