"""A run has a name of its own, which begins with its start."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.pipeline.request import RunRequest, new_run_id


def test_the_id_of_a_run_begins_with_its_start_and_is_its_own() -> None:
    started = datetime(2024, 6, 30, 10, 20, 30, 456)
    one, other = new_run_id(started), new_run_id(started)
    assert one != other
    assert one.startswith("20240630T102030-")
    assert one == Path(one).name
    assert sorted([one, new_run_id(datetime(2024, 7, 1))])[0] == one


def test_a_run_starts_when_it_is_requested_in_utc_without_a_zone() -> None:
    first, second = (RunRequest(Config(), date(2024, 6, 30)) for _ in range(2))
    assert first.started <= second.started
    assert first.started.tzinfo is None
