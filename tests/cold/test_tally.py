"""The sums of a call, and its exit code."""

from __future__ import annotations

import pytest

from grt_batch.cold.store import Failed, Refused
from grt_batch.cold.tally import PATIENCE, Tally
from grt_batch.core.errors import ColdRefused


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def tally(said: list[str]) -> Tally:
    return Tally(said.append, lambda text: said.append(f"! {text}"))


def test_each_archive_has_a_line(tally: Tally, said: list[str]) -> None:
    tally.takes("a/1", "moved", 1)
    tally.takes("a/2", "moved", 20)
    tally.says("a/3", "under way")
    tally.fails("a/4", Failed("no"))
    assert said == ["a/1: moved (1 byte)", "a/2: moved (20 bytes)", "a/3: under way", "! a/4: no"]
    assert (tally.done, tally.bytes, tally.failures) == (2, 21, "; 1 archive failed")


def test_all_is_well(tally: Tally) -> None:
    assert (tally.code(), tally.failures) == (0, "")


def test_some_have_failed(tally: Tally) -> None:
    tally.takes("a/1", "moved", 1)
    tally.fails("a/2", Refused("no"))
    assert tally.code() == 1


def test_all_were_refused(tally: Tally) -> None:
    tally.fails("a/1", Refused("the bucket is closed"))
    with pytest.raises(ColdRefused, match="the bucket is closed"):
        tally.code()
    assert tally.code(others=1) == 1


def test_a_store_that_answered_has_not_refused_everything(tally: Tally) -> None:
    tally.fails("a/1", Refused("no"))
    tally.fails("a/2", Failed("its own fault"))
    assert tally.code() == 1


def test_it_gives_up_after_some_refusals_in_a_row(tally: Tally) -> None:
    for _ in range(PATIENCE - 1):
        tally.fails("a", Refused("no"))
    tally.takes("b", "moved", 1)
    for _ in range(PATIENCE):
        assert not tally.gives_up
        tally.fails("a", Refused("no"))
    assert tally.gives_up
