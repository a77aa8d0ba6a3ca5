"""The pages of tools say what the tables say."""

from __future__ import annotations

import orjson
import polars as pl
import pytest

from grt_batch.pages import tools
from grt_batch.pages.report_tables import ReportTables
from grt_batch.pages.tools import ToolPages, tool_pages
from grt_batch.schema.tool_ids import TOOL_ID, TOOL_VERSION


@pytest.fixture(scope="module")
def made(shown: ReportTables) -> ToolPages:
    return tool_pages(shown)


def of(made: ToolPages, tool_id: str, part: str) -> list[list[object]]:
    return list(orjson.loads(made.pages[tool_id].get(part, "[]")))


def test_each_tool_has_a_page(made: ToolPages, shown: ReportTables) -> None:
    usage = shown.rows("tool_usage", of_all=True, columns=(TOOL_ID, TOOL_VERSION, "period", *tools.USAGE))
    whole = usage.filter(pl.col(TOOL_VERSION) == "*", pl.col("period") == "all")
    assert list(made.pages) == made.overview[TOOL_ID].to_list() == whole[TOOL_ID].to_list()
    assert made.overview["jobs"].to_list() == whole["jobs"].to_list()
    for tool_id, jobs in whole.select(TOOL_ID, "jobs").iter_rows():
        assert {row[0]: row[1] for row in of(made, tool_id, "usage")}["all"] == jobs
    assert made.overview["label"].is_unique().all()


def test_versions_add_up(made: ToolPages) -> None:
    for tool_id, jobs in made.overview.select(TOOL_ID, "jobs").iter_rows():
        listed = [row[1] for row in of(made, tool_id, "versions")]
        # A version that no public instance has used is not shown.
        assert 0 < sum(listed) <= jobs
        assert listed == sorted(listed, reverse=True)


def test_months_are_the_days_added_up(made: ToolPages, shown: ReportTables) -> None:
    days = shown.rows("tool_day", columns=("day", "state", "jobs"))
    known = days.filter(pl.col("day").is_not_null())
    for at, state in enumerate(("ok", "error"), start=1):
        in_pages = sum(int(row[at]) for tool_id in made.pages for row in of(made, tool_id, "months"))
        assert in_pages == known.filter(pl.col("state") == state)["jobs"].sum()


def test_bins_are_those_of_the_tables(made: ToolPages, shown: ReportTables) -> None:
    bins = shown.rows("tool_histogram", tools.EVERY_VERSION, of_all=True, columns=("jobs",))["jobs"].sum()
    assert sum(int(row[-1]) for tool_id in made.pages for row in of(made, tool_id, "histograms")) == bins
    inputs = shown.rows("tool_input", tools.EVERY_VERSION, of_all=True, columns=("jobs",))["jobs"].sum()
    assert sum(int(row[2]) for tool_id in made.pages for row in of(made, tool_id, "inputs")) == inputs


def test_the_most_popular_parameters(made: ToolPages, shown: ReportTables) -> None:
    values = shown.rows("param_value", tools.EVERY_VERSION, columns=(TOOL_ID, "name", "value", "jobs"))
    known = {row[:3]: row[3] for row in values.iter_rows()}
    seen = 0
    for tool_id in made.pages:
        rows = of(made, tool_id, "params")
        assert len(rows) <= tools.PARAMS
        for name, _, _, listed in rows:
            assert 0 < len(listed) <= tools.VALUES
            for value, jobs, _ in listed:
                if not value.endswith("…"):
                    assert known[tool_id, name, value] == jobs
                    seen += 1
            most = max(count for (tool, param, _), count in known.items() if (tool, param) == (tool_id, name))
            assert listed[0][1] == most
    assert seen > 100
