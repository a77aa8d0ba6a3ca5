"""Which tools run: their origin, their outcomes and their hours, by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from by_hand import counted_of, records

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import concat_instances
from grt_batch.modules.reports.tools import TOOL, TOOL_DAY, TOOL_USAGE, Tools
from grt_batch.schema.records import Job

AS_OF = date(2024, 6, 30)
HOUR = 3600
STAR = "toolshed.g2.bx.psu.edu/repos/iuc/rgrnastar/rna_star/2.7.10b"
Row = dict[str, Any]


def jobs(
    count: int = 1,
    *,
    ago: int | None = 0,
    tool: str | None = "cut",
    version: str | None = "1.0",
    state: str = "ok",
    **more: Any,
) -> list[Row]:
    """Jobs of one tool, created on the same day at noon."""
    day = None if ago is None else AS_OF - timedelta(days=ago)
    created = None if day is None else datetime(day.year, day.month, day.day, 12)
    version = None if tool is None else version
    return [
        {"day": day, "create_time": created, "tool_id": tool, "tool_version": version, "state": state, **more}
    ] * count


def tables(**instances: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each table."""
    module = Tools()
    partials = {instance_id: counted_of(module, records(rows)) for instance_id, rows in instances.items()}
    ledger = Ledger(AS_OF, Config(), ())
    frames = module.all_rows(concat_instances(module.cubes, partials), ledger)
    return {table.name: table.frame(frames[table.name]).to_dicts() for table in module.tables}


def usage(*rows: list[Row], period: str = "all", instance_id: str = "a") -> Row:
    """How much the one version of the one tool was used; all versions together say the same."""
    found = tables(a=[job for part in rows for job in part])[TOOL_USAGE.name]
    together, row = (row for row in found if (row["instance_id"], row["period"]) == (instance_id, period))
    assert together == row | {"tool_version": "*"}
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


def test_a_sum_of_nothing_that_was_measured_is_null() -> None:
    row = usage(jobs(3), jobs(state="error", ago=9))
    assert (row["core_hours"], row["cpu_hours"], row["oom"]) == (None, None, None)
    row = usage(jobs(3, cpu=0, oom=False), jobs(state="error", core_seconds=0))
    assert (row["core_hours"], row["cpu_hours"], row["oom"]) == (0, 0, 0)
    names = ("runtime_seconds", "core_seconds", "cpu_seconds", "input_bytes", "output_bytes")
    of_day = tables(a=jobs(2), b=jobs(2, input_bytes=0) + jobs(runtime=7))[TOOL_DAY.name]
    assert [tuple(row[name] for name in names) for row in of_day] == [(None,) * 5, (7, None, None, 0, None)]


def test_jobs_killed_for_memory_count_where_something_could_tell() -> None:
    row = usage(jobs(2, state="error", oom=True), jobs(4, oom=False), jobs(oom=True, ago=50), jobs(9))
    assert (row["jobs"], row["error"], row["oom"]) == (16, 2, 3)
    assert usage(jobs(oom=True, ago=50), jobs(9), period="30d")["oom"] is None


def test_a_tool_over_all_versions_is_one_more() -> None:
    star = STAR.rpartition("/")[0]
    found = tables(
        a=jobs(2, tool=STAR, version="2.7.10b", cpu=HOUR * Job.cpu.one, oom=True)
        + jobs(3, tool=f"{star}/2.7.8a", version="2.7.8a", state="error", ago=20)
        + jobs(tool=f"{star}/2.7.8a", version=None),
        b=jobs(4, tool=STAR, version="2.7.10b", ago=40) + jobs(2, version="2.0") + jobs(),
        c=jobs(tool=star, version="3"),
    )
    assert {row["tool_version"] for name in (TOOL.name, TOOL_DAY.name) for row in found[name]}.isdisjoint("*")
    rows = {
        (row["instance_id"], row["period"], row["tool_id"]): row
        for row in found[TOOL_USAGE.name]
        if row["tool_version"] == "*"
    }
    assert {key for key in rows if key[1] == "all"} == {
        (instance_id, "all", tool) for instance_id, tool in (("a", star), ("b", star), ("c", star), ("b", "cut"))
    } | {("*", "all", star), ("*", "all", "cut")}
    columns = ("jobs", "ok", "error", "error_rate", "oom", "instances", "cpu_hours")
    assert {key[0]: tuple(row[name] for name in columns) for key, row in rows.items() if key[1:] == ("all", star)} == {
        "a": (6, 3, 3, 0.5, 2, 1, 2.0),
        "b": (4, 4, 0, 0.0, None, 1, None),
        "c": (1, 1, 0, 0.0, None, 1, None),
        "*": (11, 8, 3, 3 / 11, 2, 3, 2.0),
    }
    assert rows["*", "all", star]["first_job"].date() == AS_OF - timedelta(days=40)
    assert (rows["*", "30d", star]["jobs"], rows["*", "30d", star]["instances"]) == (7, 2)
    assert rows["b", "all", "cut"]["jobs"] == 3


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
