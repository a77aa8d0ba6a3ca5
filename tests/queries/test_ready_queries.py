"""Each of the ready queries runs on what a run published, and says what the tables say."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from calling import Call, query
from places import ROOT

from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.registry import discover
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import Parameter, Query, read
from grt_batch.queries.influx import as_influx
from grt_batch.sample import UNTIL

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


@pytest.fixture(scope="module")
def filled(server: str, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with what all modules publish of the sample."""
    name, folder = f"queries_{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("queries")
    administer(server, f"CREATE DATABASE {name}")
    url = psycopg2.extensions.make_dsn(server, dbname=name)
    config = Config(uploads=sample, reports=folder / "reports", work=folder / "work", database=url)
    with lock(config.work):
        execute(RunRequest(config=config, as_of=UNTIL, run_id="queries"), SerialExecutor(), lambda: nullcontext(url))
    yield url
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def administer(url: str, statement: str) -> None:
    link = psycopg2.connect(url)
    link.autocommit = True
    link.cursor().execute(statement)
    link.close()


@pytest.fixture(scope="module")
def popular(filled: str) -> str:
    """The id of the tool with the most jobs."""
    ((tool,),) = query(
        filled,
        "SELECT tool_id FROM grt.tool_usage WHERE instance_id = '*' AND tool_version = '*' AND period = 'all'"
        " ORDER BY jobs DESC LIMIT 1",
    )
    return str(tool)


@pytest.fixture
def ask(filled: str) -> Ask:
    """Asks a query, and gives its rows by column."""

    def rows(name: str, **given: str) -> list[dict[str, Any]]:
        found = QUERIES[name]
        answer = answers.ask(filled, found, found.values(given))
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    return rows


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


def test_instances_say_which_of_the_tools_they_miss(ask: Ask, filled: str, popular: str) -> None:
    ((name,),) = query(filled, f"SELECT DISTINCT name FROM grt.tool WHERE tool_id = '{popular}'")
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
        assert {row["tool_id"] for row in ask("tool-likely-broken")} == {popular}
        assert ask("tool-likely-broken", period="7d") == []
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
    assert sql[0].startswith("SELECT tool_id, tool_version, jobs")
    assert "lower('O''Hara')" in answer.err
    assert re.fullmatch(r"-- \d+\.\d ms, 0 rows", time)


# Tools over all their versions.

UNVERSIONED = "concat_ws('/', shed || '/repos', owner, repository, name)"
VERSIONED = [name for name, found in QUERIES.items() if "version" in {parameter.name for parameter in found.parameters}]
EVERYTHING = {"limit": "0", "min_jobs": "0", "min_runtime": "0", "min_memory": "0", "startmonth": "0001-01"}
"""The parameters with which a query leaves nothing out."""


def all_of(name: str, popular: str, **given: str) -> dict[str, str]:
    known = {parameter.name for parameter in QUERIES[name].parameters}
    return required(QUERIES[name], popular) | {key: text for key, text in EVERYTHING.items() if key in known} | given


@pytest.mark.parametrize("name", VERSIONED)
def test_a_version_is_asked_for_by_itself(ask: Ask, filled: str, popular: str, name: str) -> None:
    unversioned = dict(query(filled, f"SELECT tool_id, {UNVERSIONED} FROM grt.tool"))
    together, each = (ask(name, **all_of(name, popular, version=version)) for version in ("*", "each"))
    assert {row["tool_version"] for row in together} <= {"*"}
    assert {row["tool_id"] for row in together} <= set(unversioned.values())
    assert "*" not in {row["tool_version"] for row in each}
    assert {row["tool_id"] for row in each} <= set(unversioned)
    for version in {row["tool_version"] for row in each[:9]}:
        alone = {(row["tool_id"], row["jobs"]) for row in ask(name, **all_of(name, popular, version=version))}
        same = {(row["tool_id"], row["jobs"]) for row in each if row["tool_version"] == version}
        assert alone >= same if name == "tool-popularity" else alone == same


def test_all_versions_together_are_the_sum_of_each(ask: Ask, filled: str) -> None:
    unversioned = dict(query(filled, f"SELECT tool_id, {UNVERSIONED} FROM grt.tool"))
    for name in ("tool-usage", "tools-usage"):
        together = {row["tool_id"]: row["jobs"] for row in ask(name, limit="0")}
        added = Counter[str]()
        for row in ask(name, version="each", limit="0"):
            added[unversioned[row["tool_id"]]] += row["jobs"]
        assert together == added


def days(filled: str) -> list[dict[str, Any]]:
    """The rows of tool_day, with the id of the tool without its version."""
    columns = ("instance_id", "day", "state", "jobs", "core_seconds", "cpu_seconds", "unversioned", "name")
    rows = query(
        filled,
        f"SELECT instance_id, day, state, jobs, core_seconds, cpu_seconds, {UNVERSIONED}, name"
        " FROM grt.tool_day JOIN grt.tool USING (tool_id, tool_version)",
    )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_the_use_of_tools_by_month_is_that_of_the_days(ask: Ask, filled: str, popular: str) -> None:
    jobs, cores = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in days(filled):
        if row["day"]:
            month = f"{row['day']:%Y-%m}", row["unversioned"]
            jobs[month] += row["jobs"]
            cores[month] += row["core_seconds"] or 0
    monthly = {(row["month"], row["tool_id"]): row for row in ask("tpt-tool-cpu", limit="0")}
    assert {month: row["jobs"] for month, row in monthly.items()} == jobs
    assert all(float(cores[month]) / 3600 == pytest.approx(row["core_hours"] or 0) for month, row in monthly.items())
    per_month = ask("tools-usage-per-month", startmonth="0001-01", limit="0")
    assert {(row["month"], row["tool_id"]): row["jobs"] for row in per_month} == jobs
    of_one = {month: n for month, n in jobs.items() if popular.lower() in month[1].lower()}
    over_time = ask("tool-usage-over-time", tool=popular, limit="0")
    assert {(row["month"], row["tool_id"]): row["jobs"] for row in over_time} == of_one
    (year, *_) = sorted({month[:4] for month, _ in jobs})
    of_year = ask("tools-usage", year=year, limit="0")
    assert sum(row["jobs"] for row in of_year) == sum(n for (month, _), n in jobs.items() if month[:4] == year)
    same_year = ask("tpt-tool-cpu", startyear=year, endyear=year, limit="0")
    assert {row["month"][:4] for row in same_year} == {year}


def test_months_are_those_of_a_year_unless_others_are_asked_for(ask: Ask, filled: str) -> None:
    months = sorted({f"{row['day']:%Y-%m}" for row in days(filled) if row["day"]})
    last = f"{int(months[-1][:4]) - (months[-1][5:] != '12')}-{int(months[-1][5:]) % 12 + 1:02}"
    found = {row["month"] for row in ask("tools-usage-per-month", limit="0")}
    assert found == {month for month in months if month >= last}
    found = {row["month"] for row in ask("tools-usage-per-month", startmonth=months[0], endmonth=months[2], limit="0")}
    assert found == set(months[:3])


def test_tools_are_listed_by_any_of_their_names(ask: Ask, filled: str) -> None:
    ((full, unversioned, owner, name),) = query(
        filled, f"SELECT tool_id, {UNVERSIONED}, owner, name FROM grt.tool WHERE owner IS NOT NULL ORDER BY 1 LIMIT 1"
    )
    for tool in (full, unversioned, f"{owner}/{name}", name):
        for asked in ("tools-usage", "tools-usage-per-month"):
            rows = ask(asked, **all_of(asked, "", tools=f"no_such_tool, {tool}"))
            assert {row["tool_id"] for row in rows} == {unversioned}
        assert ask("instances-with-tools", tools=tool)


# Other queries that gxadmin has.


def test_the_states_of_each_day_are_those_of_its_jobs(ask: Ask, filled: str) -> None:
    counts: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in days(filled):
        if row["day"]:
            counts[row["day"]][row["state"]] += row["jobs"]
    rows = {row.pop("date"): row for row in ask("job-state-stats", days="9999999")}
    assert set(rows) == set(counts)
    for day, row in rows.items():
        assert row.pop("jobs") == counts[day].total()
        other = row.pop("other")
        assert row == {state: counts[day][state] for state in row}
        assert other == counts[day].total() - sum(row.values())
    last = max(counts)
    assert {row["date"] for row in ask("job-state-stats", days="7")} == {day for day in counts if (last - day).days < 7}


def test_what_nobody_measured_is_unknown(ask: Ask, filled: str) -> None:
    instances = query(filled, "SELECT instance_id, max(cpu_hours) FROM grt.instance_month GROUP BY 1")
    for instance, hours in instances:
        for name, column in (("monthly-cpu-stats", "cpu_hours"), ("monthly-cpu-years", "cpu_years")):
            measured = {row[column] for row in ask(name, instance=instance)} - {None}
            assert (not measured) == (hours is None), instance


def test_years_of_computing_have_365_days(ask: Ask) -> None:
    for row in ask("monthly-cpu-stats"):
        assert row["core_hours"] == pytest.approx(row["core_years"] * 365 * 24)


def test_new_tools_that_fail_are_found(ask: Ask, filled: str) -> None:
    used = query(
        filled,
        "SELECT tool_id, tool_version, first_job, last_job, error FROM grt.tool_usage"
        " WHERE instance_id = '*' AND period = 'all'",
    )
    since = max(last for _, _, _, last, _ in used if last) - timedelta(weeks=30)
    new = {(tool_id, version) for tool_id, version, first, _, error in used if first and first > since and error}
    assert new
    found = [row for version in ("*", "each") for row in ask("tool-new-errors", weeks="30", version=version, limit="0")]
    assert {(row["tool_id"], row["tool_version"]) for row in found} == new


def test_tools_that_are_killed_for_memory_are_found(ask: Ask, filled: str) -> None:
    used = query(
        filled,
        "SELECT tool_id, jobs, oom FROM grt.tool_usage"
        " WHERE instance_id = '*' AND tool_version = '*' AND period = 'all' AND oom > 0",
    )
    rows = ask("tool-oom", limit="0")
    assert {(row["tool_id"], row["jobs"], row["oom"]) for row in rows} == set(used) != set()
    assert all(row["share_of_jobs"] == row["oom"] / row["jobs"] for row in rows)
    assert [row["oom"] for row in rows] == sorted((row["oom"] for row in rows), reverse=True)
    for name in ("tool-usage", "tool-errors", "tool-memory-per-inputs"):
        assert "oom" in ask(name, **all_of(name, rows[0]["tool_id"]))[0]


def metrics(filled: str, *columns: str) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Columns of tool_metric, by tool and metric."""
    found: dict[str, dict[str, tuple[Any, ...]]] = defaultdict(dict)
    for tool_id, metric, *values in query(
        filled,
        f"SELECT tool_id, metric, {', '.join(columns)} FROM grt.tool_metric"
        " WHERE instance_id = '*' AND tool_version = '*' AND period = 'all' AND n > 0",
    ):
        found[tool_id][metric] = tuple(values)
    return found


@pytest.mark.parametrize("minimums", [(0, 0, 0), (5, 300, 8), (20, 0, 1), (0, 60.5, 0)])
def test_memory_efficiency_has_its_minimums(ask: Ask, filled: str, minimums: tuple[float, float, float]) -> None:
    jobs, runtime, memory = minimums
    expected = {
        tool
        for tool, found in metrics(filled, "n", "p50").items()
        if found.get("memory_efficiency", (-1,))[0] >= jobs
        if runtime == 0 or found["runtime_seconds"][1] >= runtime
        if memory == 0 or found["allocated_memory_bytes"][1] >= memory * 1e9
    }
    given = {"min_jobs": str(jobs), "min_runtime": str(runtime), "min_memory": str(memory)}
    assert {row["tool_id"] for row in ask("tool-memory-efficiency", **given, limit="0")} == expected


def test_tools_that_read_little_for_long_are_good_for_pulsar(ask: Ask, filled: str) -> None:
    scores = {
        tool: found["input_bytes"][1] / found["runtime_seconds"][1]
        for tool, found in metrics(filled, "n", "mean").items()
        if {"input_bytes", "runtime_seconds"} <= set(found)
        if min(found["input_bytes"][0], found["runtime_seconds"][0]) >= 5 and found["input_bytes"][1] > 0
    }
    rows = ask("good-for-pulsar", limit="0")
    assert {row["tool_id"]: row["score"] for row in rows} == pytest.approx(scores)
    assert [row["score"] for row in rows] == sorted(scores.values())
