"""What a run does with an archive, by what is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.ledger.account import Account
from grt_batch.pipeline.planned import Planned, Step
from grt_batch.pipeline.repeats import Rival
from grt_batch.uploads.scan import Archive


def planned(step: Step, *, read: bool, again: bool = False, gone: bool = False) -> Planned:
    archive = Archive("a", "1", Path("1.tar.gz"), 5, (5, 0, 0), None, remembered=gone)
    return Planned(archive, step, "", "key" if read else "", Account("hash", 5) if read else None, "ids", again)


@pytest.mark.parametrize("step", Step, ids=lambda step: step.value)
def test_what_is_not_known_is_read_where_there_is_a_file(step: Step) -> None:
    assert planned(step, read=False).is_unread == (step in (Step.NEW, Step.CHANGED))
    assert not planned(step, read=True).must_be_read
    assert planned(step, read=True, again=True).must_be_read
    assert planned(step, read=True).counts == (step is not Step.QUARANTINED)
    assert not planned(step, read=False).counts


def test_what_is_gone_counts_no_more_than_it_did() -> None:
    assert planned(Step.CACHED, read=True).rival == Rival("key")
    assert planned(Step.REMOVED, read=True, gone=True).rival == Rival("key", "ids")
