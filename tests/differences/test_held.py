"""The sets that the gate holds back, as their folders say."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from grt_batch.core.errors import CannotWrite, NothingHeld
from grt_batch.differences.findings import Finding
from grt_batch.differences.held import as_held, discard, held_set, held_sets

FOUND = Finding("gate_jobs_fell", "a", 33.25, "instance a has 4 of 6 jobs, 33.2 % less")
SUMMARY = {
    "run_id": "1",
    "as_of": "2024-06-30",
    "started": "2024-06-30 03:00:00.000000",
    "finished": "2024-06-30 03:01:00.000000",
    "modules": ["tools"],
    "jobs": 6,
}


def write(reports: Path, name: str, **changes: object) -> Path:
    folder = reports / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps(as_held({**SUMMARY, **changes}, [FOUND], ("a",), forget=True, without_cold=True))
    )
    return folder


def test_a_held_set_says_why_and_what_was_asked_for(tmp_path: Path) -> None:
    folder = write(tmp_path, "held/2024-06-30")
    held = held_set(tmp_path)
    assert (held.folder, held.run_id, held.as_of, held.finished) == (
        folder,
        "1",
        date(2024, 6, 30),
        SUMMARY["finished"],
    )
    assert (held.modules, held.instances, held.forget, held.findings) == (("tools",), ("a",), True, (FOUND,))
    assert held.without_cold
    assert not held.settled


def test_what_a_later_run_has_published_is_settled(tmp_path: Path) -> None:
    write(tmp_path, "held/2024-06-30")
    write(tmp_path, "latest", started="2024-06-29 03:00:00.000000")
    assert not held_set(tmp_path).settled
    (tmp_path / "latest" / "run.json").write_text(json.dumps({**SUMMARY, "started": "2024-07-01 03:00:00.000000"}))
    with pytest.raises(NothingHeld):
        held_set(tmp_path)
    assert held_set(tmp_path, date(2024, 6, 30)).settled


def test_sets_are_found_by_their_dates(tmp_path: Path) -> None:
    assert held_sets(tmp_path) == []
    with pytest.raises(NothingHeld, match="held"):
        held_set(tmp_path)
    for day in ("2024-06-30", "2024-06-29"):
        write(tmp_path, f"held/{day}", as_of=day)
    (tmp_path / "held" / "2024-07-01").mkdir()
    (tmp_path / "held" / "2024-07-02").mkdir()
    (tmp_path / "held" / "2024-07-02" / "run.json").write_text("{")
    assert [held.as_of.day for held in held_sets(tmp_path)] == [29, 30]
    assert held_set(tmp_path).as_of.day == 30
    assert held_set(tmp_path, date(2024, 6, 29)).as_of.day == 29
    with pytest.raises(NothingHeld):
        held_set(tmp_path, date(2024, 7, 1))


def test_a_set_is_discarded(tmp_path: Path) -> None:
    folder = write(tmp_path, "held/2024-06-30")
    held = held_set(tmp_path)
    discard(held)
    assert not folder.exists()
    with pytest.raises(CannotWrite):
        discard(held)
