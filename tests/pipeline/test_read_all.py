"""Archives are read where they must be, and planned again where the store lost something."""

from __future__ import annotations

from datetime import date
from itertools import count
from pathlib import Path

import pytest
from coming_and_going import Site

from grt_batch.ledger.account import Account
from grt_batch.pipeline.keys import ACCOUNT, IDS, account_key
from grt_batch.pipeline.planned import Planned, Step
from grt_batch.pipeline.read_all import in_turn, recheck
from grt_batch.pipeline.reduce_archive import ReduceOrder
from grt_batch.pipeline.unreadable import NUMBERS_LOST
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Archive


def test_an_archive_that_goes_away_while_it_is_read_is_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from grt_batch.pipeline import reduce_archive as pipeline

    reduce_archive, calls = pipeline.reduce_archive, count()

    def remove_then_reduce(order, *rest):
        if next(calls) == 0:
            Path(order.tar).unlink()
        return reduce_archive(order, *rest)

    monkeypatch.setattr(pipeline, "reduce_archive", remove_then_reduce)
    summary = site.run()
    assert summary.numbers["archives"]["incomplete"] == 1
    (went,) = [reason for state, reason in site.states().values() if state == "incomplete"]
    assert went.endswith(".tar.gz was removed during the run")
    assert not site.store.has(ACCOUNT, account_key("", site.config))


def planned(key: str, *, remembered: bool = False) -> Planned:
    archive = Archive("a", key, Path("1.tar.gz"), 5, (5, 0, 0), None, remembered=remembered)
    step = Step.REMOVED if remembered else Step.CACHED
    return Planned(archive, step, "as it was", key, Account("hash", 5))


def test_what_lost_its_account_is_read_again_and_the_rest_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(ACCOUNT, "1", Account("hash", 5).to_json())
    store.put(IDS, "1", b"")
    assert recheck(planned("1"), ["1"], store) == planned("1")
    assert recheck(planned("2"), ["2"], store).must_be_read
    assert recheck(planned("3", remembered=True), ["2"], store) == planned("3", remembered=True)


def test_what_cannot_be_read_again_has_lost_its_numbers(tmp_path: Path) -> None:
    lost = recheck(planned("1", remembered=True), ["1"], Store(tmp_path))
    assert (lost.step, lost.why, lost.counts) == (Step.REMOVED, NUMBERS_LOST, False)


def turns(**sizes: list[int]) -> list[str]:
    """In which order archives of these sizes are read, by instance, oldest first."""
    orders = [
        ReduceOrder(instance_id, str(number), "", size, (), date(2024, 6, 1))
        for instance_id, some in sizes.items()
        for number, size in enumerate(some)
    ]
    return [order.instance_id + order.archive for order in in_turn(orders)]


def test_the_largest_come_first_and_before_each_the_newer_ones_of_its_instance() -> None:
    assert turns(a=[1], b=[3], c=[2]) == ["b0", "c0", "a0"]
    assert turns(a=[5, 5, 5]) == ["a2", "a1", "a0"]
    assert turns(a=[9, 1, 2], b=[5]) == ["a2", "a1", "a0", "b0"]
    assert turns(a=[1, 9, 2], b=[5]) == ["a2", "a1", "b0", "a0"]
