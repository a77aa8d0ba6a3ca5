"""What the ready queries say of tools, of all versions and of each, and under the names that gxadmin has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from calling import query
from places import ROOT

from grt_batch.queries.definitions import read

QUERIES = read(ROOT / "config" / "sql")

Ask = Callable[..., list[dict[str, Any]]]


# Tools over all their versions.

UNVERSIONED = "concat_ws('/', shed || '/repos', owner, repository, name)"
VERSIONED = [name for name, found in QUERIES.items() if "version" in {parameter.name for parameter in found.parameters}]
EVERYTHING = {"limit": "0", "min_jobs": "0", "min_runtime": "0", "min_memory": "0", "startmonth": "0001-01"}
"""The parameters with which a query leaves nothing out."""


def all_of(name: str, popular: str, **given: str) -> dict[str, str]:
    known = {parameter.name for parameter in QUERIES[name].parameters}
    required = {parameter.name: popular for parameter in QUERIES[name].parameters if parameter.default is None}
    return required | {key: text for key, text in EVERYTHING.items() if key in known} | given


@pytest.mark.parametrize("name", VERSIONED)
def test_a_version_is_asked_for_by_itself(ask: Ask, filled: str, popular: str, name: str) -> None:
    unversioned = dict(query(filled, f"SELECT tool_id, {UNVERSIONED} FROM grt.tool"))
    together, each = (ask(name, **all_of(name, popular, version=version)) for version in ("*", "each"))
    assert {row["tool_version"] for row in together} <= {"*"}
    assert {row["tool_id"] for row in together} <= set(unversioned.values())
    assert "*" not in {row["tool_version"] for row in each}
    assert {row["tool_id"] for row in each} <= set(unversioned)
    for version in {row["tool_version"] for row in each[:9]}:
        alone = {(row["tool_id"], row.get("jobs")) for row in ask(name, **all_of(name, popular, version=version))}
        same = {(row["tool_id"], row.get("jobs")) for row in each if row["tool_version"] == version}
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
        if min(found["input_bytes"][0], found["runtime_seconds"][0]) >= 5
        if found["input_bytes"][1] > 0 and found["runtime_seconds"][1] > 0
    }
    rows = ask("good-for-pulsar", limit="0")
    assert {row["tool_id"]: row["score"] for row in rows} == pytest.approx(scores)
    assert [row["score"] for row in rows] == sorted(scores.values())


def test_tools_run_for_long_in_total_or_by_their_median(ask: Ask, filled: str) -> None:
    known = {tool: found["runtime_seconds"] for tool, found in metrics(filled, "n", "total", "p50").items()}
    for by, place in (("total", 1), ("median", 2)):
        rows = ask("tool-runtimes", by=by, min_jobs="5", limit="0")
        assert {row["tool_id"] for row in rows} == {tool for tool, values in known.items() if values[0] >= 5}
        longest = [float(known[row["tool_id"]][place]) for row in rows]
        assert longest == sorted(longest, reverse=True)


def test_what_is_idle_is_what_was_given_less_what_was_used(ask: Ask, filled: str) -> None:
    expected = {}
    for tool, found in metrics(filled, "n", "total", "mean").items():
        cores, cpu, allocated, memory = (
            float(found[name][2]) if name in found else None
            for name in ("core_seconds", "cpu_seconds", "allocated_memory_bytes", "memory_bytes")
        )
        idle = unused = None
        if cores and cpu is not None:
            idle = float(found["core_seconds"][1]) / 3600 * (1 - min(1, cpu / cores))
        if allocated is not None and memory is not None:
            unused = float(found["runtime_seconds"][1]) / 3600 * max(0, allocated - memory) / 1e9
        if found["runtime_seconds"][0] >= 5 and (idle, unused) != (None, None):
            expected[tool] = [value if value is None else pytest.approx(value, rel=1e-6) for value in (idle, unused)]
    assert expected
    for by, column in (("cores", "idle_core_hours"), ("memory", "unused_memory_gb_hours")):
        rows = ask("tool-waste", by=by, limit="0")
        assert {row["tool_id"]: [row["idle_core_hours"], row["unused_memory_gb_hours"]] for row in rows} == expected
        known = [row[column] for row in rows if row[column] is not None]
        assert known == sorted(known, reverse=True)
        assert all(row[column] is None for row in rows[len(known) :])
