"""An archive is reduced once: what the store has is not made again, and what it lost is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from build import HEADERS, line, write_archive
from coming_and_going import compute_nothing

from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.keys import ACCOUNT, IDS, PARTIAL, REJECT_FILE, SUPERSEDED, account_key, partial_key
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.pipeline.repeats import Rival, load_ids, superseded_key
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import Kind
from grt_batch.store.job_ids import pack_ids
from grt_batch.store.store import Store

SINCE = date(2024, 6, 1)
(TOOLS,) = chosen(("tools",))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def order(tmp_path: Path) -> ReduceOrder:
    jobs = b"".join(line(i, "tool", "1", "ok", "2024-06-02 10:00:00") for i in (1, 2, 3))
    tar = write_archive(tmp_path / "a", "1", {Kind.JOBS: HEADERS[Kind.JOBS] + jobs})
    return ReduceOrder("a", "1", str(tar), tar.stat().st_size, ("tools",), SINCE)


def carry_out(order: ReduceOrder, store: Store) -> ReduceOutcome:
    """The outcome; all bytes of the file are told of, however little of it is read."""
    told: list[int] = []
    outcome = order.carry_out(Config(), store, run_here, told.append)
    assert sum(told) == order.bytes
    return outcome


def jobs_in(store: Store, key: str, superseded: str = "") -> int:
    """The jobs that a partial counts."""
    raw = store.get(PARTIAL, partial_key(key, TOOLS, superseded, SINCE))
    assert raw is not None
    counted = TOOLS.unpack(raw)[next(cube.name for cube in TOOLS.cubes if not cube.windowed)]
    return int(counted["jobs"].sum())


def test_what_was_read_is_in_the_store(order: ReduceOrder, store: Store) -> None:
    outcome = carry_out(order, store)
    assert order.place == "a/1"
    assert outcome.key == account_key(file_sha256(Path(order.tar)), Config())
    assert {entry.kind for entry in store.entries()} == {ACCOUNT, IDS, REJECT_FILE, PARTIAL}
    ids = load_ids(store, IDS, outcome.key)
    assert ids is not None
    assert ids.tolist() == [1, 2, 3]
    assert jobs_in(store, outcome.key) == 3


@pytest.mark.parametrize("known", ["key", "claimed_sha256"])
def test_what_is_known_is_not_made_again(
    order: ReduceOrder, store: Store, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carry_out(order, store)
    compute_nothing(monkeypatch)
    values = {"key": first.key, "claimed_sha256": first.account.sha256}
    assert carry_out(replace(order, **{known: values[known]}), store) == first
    with pytest.raises(AssertionError, match="computed before"):
        carry_out(replace(order, again=True), store)


def test_jobs_that_others_count_are_left_out(order: ReduceOrder, store: Store) -> None:
    """The partial with all jobs was made before; of rivals that the store does not know nothing is left out."""
    key = carry_out(order, store).key
    store.put(IDS, "newer", pack_ids(np.array([2, 3, 9])))
    store.put(IDS, "removed", pack_ids(np.array([1, 3])))
    store.put(SUPERSEDED, "left out", pack_ids(np.array([3])))
    rivals = Rival("newer"), Rival("removed", "left out"), Rival("not read yet")
    outcome = carry_out(replace(order, key=key, rivals=rivals), store)
    assert outcome.superseded == superseded_key(np.array([1, 2, 3]))
    assert load_ids(store, SUPERSEDED, outcome.superseded).tolist() == [1, 2, 3]  # type: ignore[union-attr]
    assert jobs_in(store, key, outcome.superseded) == 0
    only = carry_out(replace(order, key=key, rivals=rivals[:1]), store)
    assert jobs_in(store, key, only.superseded) == 1
    assert jobs_in(store, key) == 3


def test_what_must_leave_out_no_more_than_before_is_not_read(
    order: ReduceOrder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carry_out(order, store)
    store.put(IDS, "newer", pack_ids(np.array([4, 5])))
    compute_nothing(monkeypatch)
    assert carry_out(replace(order, key=first.key, rivals=(Rival("newer"),)), store) == first


@pytest.mark.parametrize("kind", [ACCOUNT, IDS, PARTIAL])
def test_what_the_store_lost_is_read_again(order: ReduceOrder, store: Store, kind: str) -> None:
    first = carry_out(order, store)
    before = {(entry.kind, entry.key) for entry in store.entries()}
    for entry in list(store.entries()):
        if entry.kind == kind:
            store.drop(kind, entry.key)
    assert carry_out(replace(order, key=first.key), store) == first
    assert {(entry.kind, entry.key) for entry in store.entries()} == before


def test_another_file_under_the_name_is_another_archive(order: ReduceOrder, store: Store) -> None:
    key = carry_out(order, store).key
    tar = write_archive(Path(order.tar).parent, "1", {Kind.JOBS: line(7, "tool", "1", "ok", "2024-06-02 10:00:00")})
    changed = replace(order, key=key, bytes=tar.stat().st_size, again=True)
    outcome = carry_out(changed, store)
    assert outcome.key != key
    assert (jobs_in(store, outcome.key), jobs_in(store, key)) == (1, 3)


def test_a_damaged_archive_is_read_once(order: ReduceOrder, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tar = Path(order.tar)
    tar.write_bytes(tar.read_bytes()[:-9])
    damaged = replace(order, bytes=tar.stat().st_size, claimed_sha256=file_sha256(tar))
    outcome = carry_out(damaged, store)
    assert outcome.account.quarantine
    assert {entry.kind for entry in store.entries()} == {ACCOUNT}
    compute_nothing(monkeypatch)
    assert carry_out(damaged, store) == outcome


def test_a_file_that_went_away_leaves_nothing(order: ReduceOrder, store: Store) -> None:
    Path(order.tar).unlink()
    outcome = order.carry_out(Config(), store, run_here, lambda _: None)
    assert (outcome.key, outcome.account.sha256) == ("", "")
    assert list(store.entries()) == []
