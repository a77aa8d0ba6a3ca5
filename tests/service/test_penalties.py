"""An address waits longer with each wrong key, and nobody else does."""

from __future__ import annotations

import pytest

from grt_batch.service import penalties
from grt_batch.service.penalties import FIRST_DELAY, LONGEST_DELAY, Penalties


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_delays_grow_up_to_a_limit(clock: Clock) -> None:
    known = Penalties(clock)
    assert known.delay("10.0.0.1") == 0
    delays = []
    for count in range(1, 2000):
        assert known.note("10.0.0.1") == count
        delays.append(known.delay("10.0.0.1"))
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY
    assert known.delay("10.0.0.2") == 0


def test_a_right_key_or_time_is_forgiveness(clock: Clock) -> None:
    known = Penalties(clock)
    known.note("10.0.0.1")
    known.forgive("10.0.0.1")
    known.forgive("10.0.0.1")
    assert known.delay("10.0.0.1") == 0
    known.note("10.0.0.1")
    known.note("10.0.0.1")
    clock.now += 901
    assert known.delay("10.0.0.1") == 0
    assert known.note("10.0.0.1") == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("x" * 100, "x" * 200, True),
        ("", "", True),
    ],
)
def test_what_one_owner_has_is_one_address(clock: Clock, one: str, other: str, same: bool) -> None:
    known = Penalties(clock)
    known.note(one)
    assert (known.delay(other) > 0) == same


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalties, "_MOST_ADDRESSES", 10)
    known = Penalties(clock)
    for number in range(100):
        known.note("10.0.0.1")
        known.note(f"10.1.0.{number}")
    assert known.delay("10.0.0.1") == LONGEST_DELAY
    assert [known.delay(f"10.1.0.{number}") > 0 for number in (90, 91, 99)] == [False, True, True]
