"""What authors of reports build on, each by itself."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from grt_batch.aggregate.measures import Count, Cube
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, concat_instances
from grt_batch.modules.helpers import (
    by_instance,
    error_rate,
    hours,
    outcomes,
    put_together,
    rows_of_each,
    with_all_instances,
    with_all_merged,
    within,
)
from grt_batch.schema.records import Job

AS_OF = date(2024, 6, 30)
STATES = Cube("states", (Job.tool_id, Job.state), (Count("jobs"),))


def counted(**jobs: int) -> pl.DataFrame:
    """The cube of so many jobs of the tool cut in each state."""
    names = [name for name, count in jobs.items() for _ in range(count)]
    texts = {"tool_id": pl.String, "state": pl.String}
    return STATES.add(pl.DataFrame({"tool_id": ["cut"] * len(names), "state": names}, schema=texts))


def test_a_window_ends_with_the_as_of_day_or_some_days_before() -> None:
    days = pl.DataFrame({"day": [None, *(AS_OF - timedelta(days=ago) for ago in range(-1, 9))]})
    ledger = Ledger(AS_OF, Config(), ())
    assert days.filter(within(ledger, 3))["day"].to_list() == [AS_OF - timedelta(days=ago) for ago in range(3)]
    assert days.filter(within(ledger, 2, ago=3))["day"].to_list() == [AS_OF - timedelta(days=ago) for ago in (3, 4)]


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ({"ok": 3, "error": 1, "running": 4}, (8, 3, 1, 0.25)),
        ({"error": 2}, (2, 0, 2, 1.0)),
        ({"new": 2}, (2, 0, 0, None)),
    ],
)
def test_outcomes_and_their_rate(jobs: dict[str, int], expected: tuple[object, ...]) -> None:
    rows = counted(**jobs).group_by("tool_id").agg(outcomes()).with_columns(error_rate())
    assert rows.select("jobs", "ok", "error", "error_rate").row(0) == expected


def test_hours_are_in_the_unit_of_the_field() -> None:
    sums = pl.DataFrame({"core_seconds": [9 * 10**10, 0], "cpu_seconds": [9 * 10**12, 0]})
    found = sums.select(hours(pl.col("core_seconds"), Job.core_seconds), hours(pl.col("cpu_seconds"), Job.cpu))
    assert found.rows() == [(2.5, 2.5), (0.0, 0.0)]


def test_all_instances_are_one_more_whether_rows_or_cubes_are_added_up() -> None:
    partials = {"a": {"states": counted(ok=1)}, "b": {"states": counted(ok=2, error=1)}, "c": {"states": counted()}}
    partial = concat_instances([STATES], partials)
    rows = with_all_instances(partial["states"]).group_by(INSTANCE, "tool_id").agg(outcomes())
    added = {row[INSTANCE]: (row["jobs"], row["ok"], row["error"]) for row in rows.iter_rows(named=True)}
    parts = by_instance(partial, [STATES])
    assert {name: part["states"]["jobs"].sum() for name, part in parts.items()} == {"a": 1, "b": 3}
    merged = rows_of_each(
        with_all_merged(parts, [STATES]), lambda part: part["states"].group_by("tool_id").agg(outcomes())
    )
    assert {row[INSTANCE]: (row["jobs"], row["ok"], row["error"]) for row in merged.iter_rows(named=True)} == added
    assert added == {"a": (1, 1, 0), "b": (3, 2, 1), "*": (4, 3, 1)}


def test_nothing_together_is_nothing() -> None:
    assert with_all_merged({}, [STATES])["*"]["states"].equals(STATES.empty())


def test_frames_of_other_dictionaries_are_put_together() -> None:
    frames = [pl.DataFrame({"tool": texts}, schema={"tool": pl.Enum(texts)}) for texts in (["b", "a"], ["c"])]
    assert put_together(frames)["tool"].cast(pl.String).to_list() == ["b", "a", "c"]
