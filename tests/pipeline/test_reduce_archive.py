"""An archive is reduced once: what the store has is not made again, and what it lost is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from build import HEADERS, line, write_archive
from coming_and_going import compute_nothing

from grt_batch.core.config import Config
from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import StoreDamaged
from grt_batch.frames.ipc import unpack_frames
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.keys import ACCOUNT, PARTIAL, REJECT_FILE, SUPERSEDED, account_key, partial_key
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome, job_ids
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job
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
    frame = unpack_frames(raw)[next(cube.name for cube in TOOLS.cubes if not cube.windowed)]
    return int(frame.select(pl.col("jobs").sum()).item())


def test_what_was_read_is_in_the_store(order: ReduceOrder, store: Store) -> None:
    outcome = carry_out(order, store)
    assert order.place == "a/1"
    assert outcome.key == account_key(file_sha256(Path(order.tar)), Config())
    assert all(store.has(kind, outcome.key) for kind in (ACCOUNT, REJECT_FILE, Job.kind))
    ids = job_ids(store, outcome.key)
    assert ids is not None
    assert ids.to_list() == [1, 2, 3]
    assert job_ids(store, "of no archive") is None
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


def test_superseded_jobs_are_left_out_without_reading_again(order: ReduceOrder, store: Store) -> None:
    key = carry_out(order, store).key
    store.put(SUPERSEDED, "some", pl.Series([2, 9], dtype=pl.Int64).to_numpy().tobytes())
    carry_out(replace(order, tar="", key=key, superseded="some"), store)
    assert jobs_in(store, key, "some") == 2


def test_lost_records_are_read_again_where_there_is_a_file(order: ReduceOrder, store: Store) -> None:
    key = carry_out(order, store).key
    for kind in (Job.kind, PARTIAL):
        for entry in list(store.entries()):
            if entry.kind == kind:
                store.drop(kind, entry.key)
    carry_out(replace(order, key=key), store)
    assert jobs_in(store, key) == 3
    store.drop(ACCOUNT, key)
    with pytest.raises(StoreDamaged):
        carry_out(replace(order, key=key, tar=""), store)


def test_a_file_that_went_away_leaves_nothing(order: ReduceOrder, store: Store) -> None:
    Path(order.tar).unlink()
    outcome = order.carry_out(Config(), store, run_here, lambda _: None)
    assert (outcome.key, outcome.account.sha256) == ("", "")
    assert list(store.entries()) == []
