"""Each job counts once: in the newest archive that reports it, but what is gone keeps what it counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.ledger.account import Account
from grt_batch.pipeline.keys import IDS
from grt_batch.pipeline.planned import Planned, Step
from grt_batch.pipeline.repeats import put_superseded
from grt_batch.pipeline.rivals import left_out_of, rivals_of
from grt_batch.store.job_ids import pack_ids
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Archive

COMING = st.lists(st.tuples(st.sets(st.integers(0, 9)), st.lists(st.integers(0, 4), max_size=2)), max_size=5)


@examples(100)
@given(coming=COMING)
def test_each_job_counts_once_whatever_comes_and_goes(tmp_path_factory: pytest.TempPathFactory, coming: list) -> None:
    """Before each run a new archive comes, and some go, or come back."""
    store, items = Store(tmp_path_factory.mktemp("store")), list[Planned]()
    for number, (reported, moved) in enumerate(coming):
        ids = np.array(sorted(reported), np.int64)
        store.put(IDS, str(number), pack_ids(ids))
        bounds = (int(ids[0]), int(ids[-1])) if len(ids) else (None, None)
        account = Account("hash", 1, jobs=len(ids), first_id=bounds[0], last_id=bounds[1])
        archive = Archive("a", str(number), Path(), 1, (1, 0, 0), None)
        for place in moved:
            if place < len(items):
                before = items[place].archive
                items[place] = replace(items[place], archive=replace(before, remembered=not before.remembered))
        items.append(Planned(archive, Step.CACHED, "", str(number), account))
        counted: list[int] = []
        for place, (item, rivals) in enumerate(zip(items, rivals_of(items), strict=True)):
            left_out = left_out_of(store, item, rivals)
            assert not left_out.unknown
            items[place] = replace(item, superseded=put_superseded(store, left_out.ids))
            counted += set(coming[place][0]) - set(left_out.ids.tolist())
        assert sorted(counted) == sorted(set[int]().union(*(some for some, _ in coming[: number + 1])))


def planned(name: str, ids: tuple[int, int] | None, *, gone: bool = False, superseded: str | None = None) -> Planned:
    """An archive with jobs from one id to another."""
    first, last = ids or (None, None)
    archive = Archive("a", name, Path(), 1, (1, 0, 0), None, remembered=gone)
    return Planned(archive, Step.CACHED, "", name, Account("hash", 1, first_id=first, last_id=last), superseded)


def test_rivals_are_the_newer_ones_and_what_is_gone_if_their_ids_overlap() -> None:
    items = [
        planned("0", (1, 5), gone=True),
        planned("1", (4, 9)),
        planned("2", None),
        planned("3", (10, 12)),
        planned("4", (9, 9), gone=True),
        planned("5", (12, 20)),
    ]
    names = [[other.archive.name for other in rivals] for rivals in rivals_of(items)]
    assert names == [[], ["0", "4"], [], ["5"], [], []]


def test_what_the_store_has_lost_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(IDS, "1", pack_ids(np.array([1, 2])))
    one, other = planned("1", (1, 2)), planned("2", (2, 3))
    assert left_out_of(store, one, [other]).unknown == ["2"]
    assert left_out_of(store, other, [one]).unknown == ["2"]
    assert left_out_of(store, planned("3", (1, 2), gone=True, superseded="lost"), []).unknown == ["3"]
    nothing = left_out_of(store, other, [])
    assert (nothing.key, len(nothing.ids), nothing.unknown) == ("", 0, ())
