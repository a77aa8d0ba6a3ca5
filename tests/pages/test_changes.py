"""What has changed, and what is broken: the rows that the tables have of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from grt_batch.modules.base import INSTANCE
from grt_batch.pages import changes
from grt_batch.pages.report_tables import ReportTables
from grt_batch.pages.tools import EVERY_VERSION, ToolPages, tool_pages
from grt_batch.sample import UNTIL
from grt_batch.schema.tool_ids import TOOL_ID


def named(name: str) -> tuple[str, str]:
    return name, name


@pytest.fixture(scope="module")
def made(everything: ReportTables) -> ToolPages:
    return tool_pages(everything)


def tools_of(table: changes.Table) -> set[str]:
    (at,) = (at for at, (_, kind) in enumerate(table["columns"]) if kind == "tool")
    return {row[at][0] for row in table["rows"]}


def complete(table: changes.Table) -> list[tuple[Any, ...]]:
    assert all(len(row) == len(table["columns"]) for row in table["rows"])
    return list(table["rows"])


def test_changed_tools(everything: ReportTables) -> None:
    rows = complete(changes.changed_tools(everything, named, named))
    assert len(rows) == everything.rows("tool_change", columns=(INSTANCE,)).height
    # Each leads to the page of a tool, which is over all versions.
    usage = everything.rows("tool_usage", EVERY_VERSION, columns=(TOOL_ID,))
    assert {row[1][0] for row in rows} <= set(usage[TOOL_ID])
    assert {row[3] for row in rows} <= {"error rate", "runtime", "error rate and runtime"}
    sizes = [abs(row[6]) for row in rows if row[6] is not None]
    assert sizes == sorted(sizes, reverse=True)


def test_new_and_idle_tools(made: ToolPages) -> None:
    first, last = (dict(made.overview.select(TOOL_ID, name).iter_rows()) for name in ("first_job", "last_job"))
    # As seen from two days: what is new or idle depends on it.
    for as_of in (UNTIL, date(2024, 3, 1)):
        new, idle = (make(made, as_of, named) for make in (changes.new_tools, changes.idle_tools))
        complete(new), complete(idle)
        ages = {tool: (as_of - date.fromisoformat(first[tool][:10])).days for tool in first if first[tool]}
        assert tools_of(new) == {tool for tool, age in ages.items() if age < 30}
        ages = {tool: (as_of - date.fromisoformat(last[tool][:10])).days for tool in last if last[tool]}
        assert tools_of(idle) == {tool for tool, age in ages.items() if 30 <= age < 60}


def test_instance_changes(everything: ReportTables) -> None:
    table = changes.instance_changes(everything, UNTIL, named)
    months = everything.rows("instance_month", columns=(INSTANCE, "month", "jobs")).filter(
        pl.col("month").is_in(["2024-04", "2024-05"])
    )
    assert table["caption"] == "Jobs by instance in 2024-05, against 2024-04"
    assert sum(row[1] + row[2] for row in complete(table)) == months["jobs"].sum()


def test_broken_and_failing(everything: ReportTables) -> None:
    usage = everything.rows("tool_usage", columns=("period", "tool_version", "likely_broken"))
    recent = usage.filter(pl.col("period") == "30d", pl.col("tool_version") == "*")
    use = changes.recent_use(everything)
    broken = complete(changes.broken_tools(use, named, named))
    assert len(broken) == recent["likely_broken"].sum()
    failing = complete(changes.failing_tools(use, named, named))
    assert failing
    assert all(row[4] >= 0.2 and row[2] + row[3] >= 20 for row in failing)


def test_a_long_table_says_so() -> None:
    rows = pl.DataFrame({"jobs": range(changes.MOST + 1)})
    table = changes.table("Jobs", [("jobs", "count")], rows, lambda *row: row)
    assert (len(table["rows"]), table["caption"]) == (500, "Jobs (the first 500 of 501)")
