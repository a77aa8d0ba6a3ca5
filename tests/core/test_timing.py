"""No second counts twice, and none is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from grt_batch.core import timing
from grt_batch.core.config import Config
from grt_batch.core.timing import Clock, Stage
from grt_batch.pipeline.request import RunSummary


class Hands:
    """The time, which goes on when a test says so. The CPU is busy for half of it."""

    def __init__(self) -> None:
        self.now = 100.0

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: hands.now)
    monkeypatch.setattr(timing.time, "time", lambda: 1e9 + hands.now)
    return hands


@pytest.fixture
def clock(hands: Hands) -> Clock:
    clock = Clock(cpu=lambda: hands.now / 2)
    clock.recording = True
    return clock


def told(clock: Clock, what: str) -> dict[str, Any]:
    found: dict[str, Any] = clock.snapshot()[what]
    return found


def test_a_stage_stops_the_one_around_it(hands: Hands, clock: Clock) -> None:
    hands.pass_(50)
    with clock.stage(Stage.LEAD):
        hands.pass_(1)
        with clock.stage(Stage.GUNZIP, 10):
            hands.pass_(2)
            with clock.stage(Stage.READ):
                hands.pass_(4)
            clock.count(Stage.READ, 7)
            hands.pass_(8)
        hands.pass_(16)
    hands.pass_(50)
    assert told(clock, "seconds") == {"lead": 17, "gunzip": 10, "read": 4}
    assert told(clock, "cpu_seconds") == {"lead": 8.5, "gunzip": 5, "read": 2}
    assert told(clock, "bytes") == {"gunzip": 10, "read": 7}
    assert told(clock, "times") == {"lead": 1, "gunzip": 1, "read": 1}
    assert clock.whole == {Stage.LEAD: 31}
    spans = {span.stage: (span.begin - 1e9, span.seconds) for span in clock.spans}
    assert spans == {Stage.READ: (153, 4), Stage.GUNZIP: (151, 14), Stage.LEAD: (150, 31)}


def test_a_stage_within_itself_is_one(hands: Hands, clock: Clock) -> None:
    with clock.stage(Stage.STORE), clock.stage(Stage.STORE, 5):
        hands.pass_(3)
    assert clock.snapshot() == {
        "seconds": {"store": 3}, "cpu_seconds": {"store": 1.5}, "bytes": {"store": 5}, "times": {"store": 1},
    }  # fmt: skip
    assert len(clock.spans) == 1


def test_what_fails_is_counted_and_over(hands: Hands, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError), clock.stage(Stage.LEAD), clock.stage(Stage.JOIN):
        hands.pass_(3)
        raise ZeroDivisionError
    hands.pass_(5)
    with clock.stage(Stage.PLAN):
        hands.pass_(7)
    assert told(clock, "seconds") == {"join": 3, "plan": 7}


def test_a_stage_that_is_open_is_told_as_far_as_it_is(hands: Hands, clock: Clock) -> None:
    with clock.stage(Stage.REDUCE):
        hands.pass_(3)
        assert told(clock, "seconds") == {"reduce": 3}
        hands.pass_(4)
    assert told(clock, "seconds") == {"reduce": 7}


def test_what_another_thread_did_counts_beside(hands: Hands, clock: Clock) -> None:
    other = Clock(cpu=lambda: 0)
    other.recording = True
    with clock.stage(Stage.TABLES), other.stage(Stage.COPY, 9, "tool"):
        hands.pass_(3)
    clock.add(other)
    assert told(clock, "seconds") == {"tables": 3, "copy": 3}
    assert told(clock, "bytes") == {"copy": 9}
    assert {span.stage: span.thread for span in clock.spans} == {Stage.TABLES: 0, Stage.COPY: 1}


def test_nothing_is_recorded_unless_it_is_asked_for(hands: Hands) -> None:
    clock = Clock()
    with clock.stage(Stage.PLAN):
        hands.pass_(1)
    assert not clock.spans


@pytest.mark.parametrize("stage", Stage)
def test_the_docs_say_what_a_stage_is(stage: Stage) -> None:
    assert f"\n| `{stage.value}` |" in (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def reports_bytes(reports: Path) -> int:
    """Of all tables, without headers; null is two bytes longer in a COPY."""
    files = [file.read_bytes() for file in (reports / "latest").glob("*.tsv")]
    return sum(len(file) - file.index(b"\n") - 1 for file in files)


def test_a_serial_run_tells_the_seconds_and_bytes_of_its_stages(
    config: Config, run_here: Callable[..., RunSummary]
) -> None:
    numbers = run_here(config).numbers
    (rank,) = numbers["stages"]
    assert (rank["rank"], rank["role"]) == (0, "serial")
    assert json.loads((config.reports / "latest" / "run.json").read_bytes())["stages"] == [rank]
    seconds, size = rank["seconds"], rank["bytes"]
    assert size["read"] == numbers["bytes"] == sum(file.stat().st_size for file in config.uploads.rglob("*.tar.gz"))
    assert size["gunzip"] == size["join"] == numbers["text_bytes"]
    assert 0.9 * size["gunzip"] < size["decode"] < size["gunzip"]
    assert size["tables"] == size["tsv"] == size["copy"] >= reports_bytes(config.reports)
    stored = sum(file.stat().st_size for file in (config.work / "store").rglob("*") if file.is_file())
    assert size["store"] <= stored < 1.1 * size["store"]
    assert rank["times"]["lead"] == numbers["archives"]["published"]
    assert {stage.value for stage in Stage} - seconds.keys() <= {"help", "send", "receive", "export", "plan"}
    assert sum(seconds.values()) - seconds["copy"] <= sum(numbers["seconds"].values())
    assert numbers["seconds_of_all_ranks"].keys() == seconds.keys()
