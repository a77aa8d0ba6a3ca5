"""Which tools run: their origin, their outcomes and their hours, by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import concat_instances
from grt_batch.modules.reports.tools import TOOL, TOOL_DAY, TOOL_USAGE, Tools
from grt_batch.schema.records import Job, Records

AS_OF = date(2024, 6, 30)
HOUR = 3600
STAR = "toolshed.g2.bx.psu.edu/repos/iuc/rgrnastar/rna_star/2.7.10b"
Row = dict[str, Any]


def jobs(count: int = 1, *, ago: int | None = 0, tool: str | None = "cut", state: str = "ok", **more: Any) -> list[Row]:
    """Jobs of one tool, created on the same day at noon."""
    day = None if ago is None else AS_OF - timedelta(days=ago)
    created = None if day is None else datetime(day.year, day.month, day.day, 12)
    version = None if tool is None else "1.0"
    return [
        {"day": day, "create_time": created, "tool_id": tool, "tool_version": version, "state": state, **more}
    ] * count


def tables(**instances: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each table."""
    module = Tools()
    schema = {field.name: field.type for field in Job.fields()}
    partials = {}
    for instance_id, rows in instances.items():
        frame = pl.DataFrame(list(rows), schema=schema)
        texts = ("tool_id", "tool_version", "state")
        frame = frame.with_columns(frame[name].cast(pl.Enum(frame[name].drop_nulls().unique())) for name in texts)
        partials[instance_id] = module.aggregate(Records({Job: frame}))
    ledger = Ledger(AS_OF, Config(), ())
    frames = module.rows(concat_instances(module.cubes, partials), ledger)
    return {table.name: table.frame(frames[table.name]).to_dicts() for table in module.tables}


def usage(*rows: list[Row], period: str = "all", instance_id: str = "a") -> Row:
    """How much the one tool was used."""
    found = tables(a=[job for part in rows for job in part])[TOOL_USAGE.name]
    (row,) = (row for row in found if (row["instance_id"], row["period"]) == (instance_id, period))
    return row


@pytest.mark.parametrize(
    ("tool_id", "parts"),
    [
        (STAR, ("toolshed.g2.bx.psu.edu", "iuc", "rgrnastar", "rna_star")),
        ("a.org/shed/repos/me/mine/it", ("a.org/shed", "me", "mine", "it")),
        ("upload1", (None, None, None, "upload1")),
        ("a.org/repos/me/mine", (None, None, None, "a.org/repos/me/mine")),
        (None, (None, None, None, "")),
    ],
)
def test_the_origin_of_a_tool_is_in_its_id(tool_id: str | None, parts: tuple[str | None, ...]) -> None:
    (row,) = tables(a=jobs(2, tool=tool_id), b=jobs(tool=tool_id))[TOOL.name]
    assert row["tool_id"] == (tool_id or "")
    assert tuple(row[name] for name in ("shed", "owner", "repository", "name")) == parts


@pytest.mark.parametrize(
    ("ok", "error", "broken"),
    [(0, 4, False), (0, 5, True), (1, 19, False), (1, 20, True), (5, 95, False), (5, 96, True)],
)
def test_a_tool_is_likely_broken_from_five_jobs_on_and_above_95_percent(ok: int, error: int, broken: bool) -> None:
    row = usage(jobs(ok), jobs(error, state="error"), jobs(9, state="new"))
    assert (row["jobs"], row["ok"], row["error"], row["other"]) == (ok + error + 9, ok, error, 9)
    assert row["error_rate"] == error / (ok + error)
    assert row["likely_broken"] == broken


def test_periods_end_with_the_as_of_day() -> None:
    days = [None, -1, 0, 6, 7, 29, 30]
    rows = [job for ago in days for job in jobs(ago=ago)]
    assert {period: usage(rows, period=period)["jobs"] for period in ("all", "30d", "7d")} == {
        "all": 7,
        "30d": 4,
        "7d": 2,
    }
    row = usage(rows, period="30d")
    assert (row["first_job"], row["last_job"]) == (datetime(2024, 6, 1, 12), datetime(2024, 6, 30, 12))


def test_hours_are_of_the_cores_and_of_what_was_measured() -> None:
    used = {"core_seconds": 2 * HOUR * Job.core_seconds.one, "cpu": HOUR * Job.cpu.one}
    row = usage(jobs(3, **used), jobs(state="error"))
    assert (row["core_hours"], row["cpu_hours"]) == (6, 3)


def test_all_instances_are_one_more_and_counted() -> None:
    found = tables(a=jobs(2), b=jobs(3, ago=40) + jobs(tool="cat"))[TOOL_USAGE.name]
    counts = {(row["instance_id"], row["period"], row["tool_id"]): (row["jobs"], row["instances"]) for row in found}
    assert counts["*", "all", "cut"] == (5, 2)
    assert counts["*", "30d", "cut"] == (2, 1)
    assert counts["b", "all", "cut"] == (3, 1)
    assert ("b", "30d", "cut") not in counts
    assert counts["*", "7d", "cat"] == (1, 1)


def test_days_are_those_of_each_instance_alone() -> None:
    found = tables(a=jobs(2) + jobs(state="error") + jobs(ago=None), b=jobs())[TOOL_DAY.name]
    rows = [(row["instance_id"], row["day"], row["state"], row["jobs"]) for row in found]
    assert rows == [("a", None, "ok", 1), ("a", AS_OF, "error", 1), ("a", AS_OF, "ok", 2), ("b", AS_OF, "ok", 1)]
