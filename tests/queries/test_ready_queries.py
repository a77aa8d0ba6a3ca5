"""Each of the ready queries runs on what a run published, and says what the tables say."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from calling import Call, query
from places import ROOT

from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.registry import discover
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import Parameter, Query, read
from grt_batch.queries.influx import as_influx

FOLDER = ROOT / "config" / "sql"
QUERIES = read(FOLDER)
TABLES = {RUN.name, ARCHIVE.name} | {
    table.name for module in discover().values() if not module.opt_in for table in module.tables
}
MAY_BE_EMPTY = {"tool-likely-broken"}
"""What the sample need not show."""
INPUTS_REMAIN = ("parameters-against-inputs", "top")
"""Without values of parameters there are still the inputs."""
NOTHING = (
    {"month": "0001-01", "number": "1e300", "count": str(2**63 - 1)}
    | dict.fromkeys(("top", "months", "weeks", "days", "endyear"), "0")
    | {"startmonth": "9999-12"}
)
"""By its name or else its kind, the value of a parameter for which there are no rows; else it is NOWHERE."""
NOWHERE = "no 'such' \\%s"
OF_GXADMIN = {
    "good-for-pulsar", "job-state-stats", "monthly-cpu-stats", "monthly-cpu-years", "monthly-data", "monthly-jobs",
    "queue-time", "tool-errors", "tool-last-used-date", "tool-likely-broken", "tool-memory-efficiency",
    "tool-memory-per-inputs", "tool-metrics", "tool-new-errors", "tool-popularity", "tool-usage",
    "tool-usage-over-time", "tools-usage", "tools-usage-per-month", "total-jobs", "tpt-tool-cpu",
}  # fmt: skip
"""The names that admins know from gxadmin."""

Ask = Callable[..., list[dict[str, Any]]]


# Every query.


def required(found: Query, popular: str) -> dict[str, str]:
    return {parameter.name: popular for parameter in found.parameters if parameter.default is None}


def test_admins_find_the_names_they_know() -> None:
    assert set(QUERIES) >= OF_GXADMIN


def test_every_query_reads_published_tables() -> None:
    missing = {name: sorted(set(answers.tables_of(it)) - TABLES) for name, it in QUERIES.items()}
    assert {name: tables for name, tables in missing.items() if tables} == {}


@pytest.mark.parametrize("found", QUERIES.values(), ids=lambda found: found.name)
def test_every_query_answers(filled: str, popular: str, found: Query) -> None:
    if not set(answers.tables_of(found)) <= TABLES:
        pytest.skip("its tables are not published yet")
    required = {parameter.name for parameter in found.parameters if parameter.default is None}
    values = found.values(dict.fromkeys(required, popular))
    answer = answers.ask(filled, found, values)
    assert len(set(answer.columns)) == len(answer.columns) > 0
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", column) for column in answer.columns)
    assert answer.rows or found.name in MAY_BE_EMPTY
    assert answers.ask(filled, found, values).rows == answer.rows
    records = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    assert [list(row) for row in json.loads(answers.as_json(answer))] == [list(row) for row in records]
    assert len(list(csv.reader(io.StringIO(answers.as_csv(answer).decode(), newline="")))) == len(records) + 1
    assert answers.as_tsv(answer).count(b"\n") == len(records) + 1
    lines, left_out = as_influx(found, answer)
    assert lines.count(b"\n") == len({line.partition(b" ")[0] for line in lines.replace(b"\\ ", b"").splitlines()})
    assert left_out == 0


@pytest.mark.parametrize(
    ("found", "parameter"),
    [
        pytest.param(found, parameter, id=f"{found.name}-{parameter.name}")
        for found in QUERIES.values()
        for parameter in found.parameters
        if parameter.name != "limit" and "|" not in parameter.kind and (found.name, parameter.name) != INPUTS_REMAIN
    ],
)
def test_every_parameter_is_heeded(filled: str, popular: str, found: Query, parameter: Parameter) -> None:
    """An instance, a tool or a year that nothing has gives nothing, whatever signs are in it."""
    text = NOTHING.get(parameter.name, NOTHING.get(parameter.kind, NOWHERE))
    values = found.values({**required(found, popular), parameter.name: text})
    assert answers.ask(filled, found, values).rows == []


def test_a_limit_is_heeded(ask: Ask, filled: str) -> None:
    ((tools,),) = query(
        filled,
        "SELECT count(*) FROM grt.tool_usage WHERE instance_id = '*' AND tool_version = '*' AND period = 'all'",
    )
    assert len(ask("tool-usage", limit="3")) == 3
    assert len(ask("tool-usage", limit="0")) == tools > 50
    assert ask("tool-usage", limit="3") == ask("tool-usage", limit="0")[:3]


def test_a_tool_is_found_by_a_part_of_its_id_in_any_case(ask: Ask, popular: str) -> None:
    assert {row["tool_id"] for row in ask("tool-usage", tool=popular[1:-1].upper(), limit="0")} >= {popular}


def test_all_ways_to_count_the_jobs_agree(ask: Ask, filled: str) -> None:
    ((jobs,),) = query(filled, "SELECT sum(jobs) FROM grt.instance")
    for name in (
        "monthly-jobs", "monthly-cpu-years", "monthly-cpu-stats", "monthly-data", "total-jobs", "instance-popularity",
        "instance-statistics",
    ):  # fmt: skip
        assert sum(row["jobs"] for row in ask(name)) == jobs, name
    for version in ("*", "each"):
        assert sum(row["jobs"] for row in ask("tool-usage", version=version, limit="0")) == jobs
        assert sum(row["jobs"] for row in ask("tools-usage", version=version, limit="0")) == jobs
    assert sum(row["jobs_ever"] for row in ask("tool-popular-recently", limit="0")) <= jobs


def test_shares_add_up_to_one(ask: Ask) -> None:
    assert sum(row["share_of_jobs"] for row in ask("total-jobs")) == pytest.approx(1)
    assert sum(row["share_of_jobs"] or 0 for row in ask("instance-popularity")) == pytest.approx(1)
    assert sum(row["share_of_errors"] for row in ask("tool-errors", limit="0")) == pytest.approx(1)
    assert sum(row["share_of_jobs"] for row in ask("tool-popular-recently", limit="0")) == pytest.approx(1)


def test_an_instance_has_its_own_numbers(ask: Ask, filled: str) -> None:
    instance, jobs = query(filled, "SELECT instance_id, jobs FROM grt.instance ORDER BY jobs LIMIT 1")[0]
    assert sum(row["jobs"] for row in ask("monthly-jobs", instance=instance)) == jobs
    assert sum(row["jobs"] for row in ask("total-jobs", instance=instance)) == jobs
    assert [row["jobs"] for row in ask("instance-statistics", instance=instance)] == [jobs]
    assert [row["jobs"] for row in ask("instance-exports", instance=instance)] == [jobs]


def test_a_month_is_of_its_year(ask: Ask) -> None:
    assert {row["month"][:4] for row in ask("monthly-jobs", year="2024")} == {"2024"}


def test_the_months_have_their_most_popular_tools(ask: Ask) -> None:
    rows = ask("tool-popularity", months="3", top="2")
    assert [row["rank"] for row in rows] == [1, 2] * 3
    assert [row["month"] for row in rows] == sorted((row["month"] for row in rows), reverse=True)
    assert all(first["jobs"] >= second["jobs"] for first, second in zip(rows[::2], rows[1::2], strict=True))


def test_instances_say_which_of_the_tools_they_miss(ask: Ask, popular: str) -> None:
    name = popular.rpartition("/")[2]
    for tool in (popular, name):
        rows = ask("instances-with-tools", tools=f"{tool}, no_such_tool,{tool}")
        assert rows
        assert {(row["tools"], row["missing"]) for row in rows} == {(1, "no_such_tool")}
        assert len({row["instance_id"] for row in rows}) == len(rows)


def test_what_is_likely_broken_is_found(ask: Ask, filled: str, popular: str) -> None:
    """The sample has no such tool, so one is made."""
    one = f"WHERE tool_id = '{popular}' AND instance_id = '*' AND period = '30d'"
    query(filled, f"UPDATE grt.tool_usage SET likely_broken = true {one}")
    try:
        assert {row["tool_id"] for row in ask("tool-likely-broken", version="*")} == {popular}
        assert ask("tool-likely-broken") == ask("tool-likely-broken", period="7d", version="*") == []
    finally:
        query(filled, f"UPDATE grt.tool_usage SET likely_broken = false {one}")


def test_the_values_of_a_parameter_are_as_many_as_asked_for(ask: Ask) -> None:
    rows = ask("popular-parameters", top="2", limit="0")
    assert {row["rank"] for row in rows} == {1, 2}
    assert all(0 < row["share_of_jobs"] <= 1 for row in rows)
    (parameter, *_) = {row["parameter"] for row in rows}
    assert {row["parameter"] for row in ask("popular-parameters", parameter=parameter, limit="0")} >= {parameter}


def test_parameters_stand_beside_inputs(ask: Ask, popular: str) -> None:
    rows = ask("parameters-against-inputs", tool=popular)
    assert {row["kind"] for row in rows} == {"parameter", "input"}
    bins = [row for row in rows if row["kind"] == "input" and row["tool_version"] == rows[-1]["tool_version"]]
    assert sum(row["share_of_jobs"] for row in bins) == pytest.approx(1)


def test_a_parameter_that_fails_more_often_does_so(ask: Ask) -> None:
    rows = ask("parameter-errors", least="8")
    assert all(row["error_rate"] > row["tool_error_rate"] and row["jobs"] >= 8 for row in rows)


def test_a_histogram_holds_the_jobs_of_its_metric(ask: Ask, popular: str) -> None:
    bins, (measured, *_) = (
        ask(name, tool=popular, metric="memory_bytes", limit="0") for name in ("tool-histogram", "tool-metrics")
    )
    bins = [row for row in bins if row["tool_version"] == measured["tool_version"]]
    assert sum(row["jobs"] for row in bins) == measured["jobs"]
    assert bins[-1]["share_up_to"] == pytest.approx(1)


def test_debug_shows_the_sql_as_sent_and_its_time(call: Call, filled: str) -> None:
    plain = call("query", "tool-usage", "--param", "tool=O'Hara", "--database", filled)
    answer = call("query", "tool-usage", "--param", "tool=O'Hara", "--database", filled, "--debug")
    assert answer.out == plain.out
    *sql, time = answer.err.splitlines()
    assert sql[:2] == ["SELECT", "    tool_id,"]
    assert "tool_id ~* 'O''Hara'" in answer.err
    assert re.fullmatch(r"-- \d+\.\d ms, 0 rows", time)


def test_no_version_is_all_versions_together(call: Call, filled: str) -> None:
    asked = ["query", "tool-new-errors", "--param", "weeks=30", "--database", filled]
    together = call(*asked, "--no-version")
    assert together.code == 0
    assert together == call(*asked, "--param", "version=*") != call(*asked)
