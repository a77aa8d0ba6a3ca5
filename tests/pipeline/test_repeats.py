"""Of the archives that report a job one counts it: what each leaves out for others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.pipeline.keys import IDS, SUPERSEDED
from grt_batch.pipeline.repeats import Rival, counted_ids, load_ids, put_superseded, repeated, superseded_key
from grt_batch.store.job_ids import JobIds, pack_ids
from grt_batch.store.store import Store

SOME = st.sets(st.integers(0, 12))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def ids_of(some: set[int]) -> JobIds:
    return np.array(sorted(some), np.int64)


def rival(store: Store, reported: set[int], left_out: set[int]) -> Rival:
    key = superseded_key(ids_of(reported)) or "none"
    store.put(IDS, key, pack_ids(ids_of(reported)))
    return Rival(key, put_superseded(store, ids_of(left_out)))


@examples(100)
@given(own=SOME, others=st.lists(st.tuples(SOME, SOME), max_size=3))
def test_what_comes_again_is_what_others_report_and_do_not_leave_out(
    store: Store, own: set[int], others: list[tuple[set[int], set[int]]]
) -> None:
    rivals = [rival(store, reported, left_out) for reported, left_out in others]
    counted = [reported - left_out for reported, left_out in others]
    found, counts = repeated(store, ids_of(own), rivals)
    assert found.tolist() == sorted(own & set().union(*counted))
    assert counts == [len(own & some) for some in counted]


def test_what_an_unknown_archive_counts_is_not_known(store: Store) -> None:
    known = rival(store, {1, 2, 3}, {3})
    lost = Rival(known.key, "lost")
    found, counts = repeated(store, ids_of({1, 3, 5}), [Rival("not read"), known, lost])
    assert (found.tolist(), counts) == ([1], [None, 1, None])
    assert counted_ids(store, lost) is None


def test_the_key_of_jobs_is_that_of_their_ids_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert put_superseded(store, ids_of(set())) == superseded_key(ids_of(set())) == ""
    assert not list(store.entries())
    key = put_superseded(store, ids_of({1, 2}))
    assert key == superseded_key(ids_of({1, 2})) != superseded_key(ids_of({1, 3}))
    assert load_ids(store, SUPERSEDED, key).tolist() == [1, 2]  # type: ignore[union-attr]
    none = load_ids(store, SUPERSEDED, "")
    assert none is not None
    assert len(none) == 0
