"""What authors of reports build on, each by itself."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from by_hand import records

from grt_batch.aggregate.distributions import Distribution, Distributions
from grt_batch.aggregate.measures import Count, Cube
from grt_batch.aggregate.statistics import statistics
from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, concat_instances, of_instances
from grt_batch.modules.helpers import (
    TOOL_KEY,
    error_rate,
    everywhere,
    hours,
    measured_everywhere,
    of_all_versions,
    outcomes,
    places_within,
    repeated,
    with_all_instances,
    with_all_instances_and_versions,
    with_all_versions,
    within,
)
from grt_batch.schema.records import Job

AS_OF = date(2024, 6, 30)
STATES = Cube("states", (Job.tool_id, Job.state), (Count("jobs"),))


def counted(**jobs: int) -> Columns:
    """The cube of so many jobs of the tool cut in each state."""
    names = [name for name, count in jobs.items() for _ in range(count)]
    texts = {"tool_id": pl.String, "state": pl.String}
    return STATES.add(Columns.of(pl.DataFrame({"tool_id": ["cut"] * len(names), "state": names}, schema=texts)))


def test_a_window_ends_with_the_as_of_day_or_some_days_before() -> None:
    days = pl.DataFrame({"day": [None, *(AS_OF - timedelta(days=ago) for ago in range(-1, 9))]})
    ledger = Ledger(AS_OF, Config(), ())
    for length, ago, expected in ((3, 0, range(3)), (2, 3, (3, 4))):
        found = [AS_OF - timedelta(days=ago) for ago in expected]
        assert days.filter(within(ledger, length, ago=ago))["day"].to_list() == found
        places = places_within(Columns.of(days), ledger, length, ago=ago)
        assert days["day"][places].to_list() == found


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ({"ok": 3, "error": 1, "running": 4}, (8, 3, 1, 0.25)),
        ({"error": 2}, (2, 0, 2, 1.0)),
        ({"new": 2}, (2, 0, 0, None)),
    ],
)
def test_outcomes_and_their_rate(jobs: dict[str, int], expected: tuple[object, ...]) -> None:
    rows = STATES.frame(counted(**jobs)).group_by("tool_id").agg(outcomes()).with_columns(error_rate())
    assert rows.select("jobs", "ok", "error", "error_rate").row(0) == expected


def test_hours_are_in_the_unit_of_the_field() -> None:
    sums = pl.DataFrame({"core_seconds": [9 * 10**10, 0], "cpu_seconds": [9 * 10**12, 0]})
    found = sums.select(hours(pl.col("core_seconds"), Job.core_seconds), hours(pl.col("cpu_seconds"), Job.cpu))
    assert found.rows() == [(2.5, 2.5), (0.0, 0.0)]


def test_all_instances_are_one_more() -> None:
    partials = {"a": {"states": counted(ok=1)}, "b": {"states": counted(ok=2, error=1)}, "c": {"states": counted()}}
    partial = concat_instances([STATES], partials)
    rows = with_all_instances(partial["states"]).group_by(INSTANCE, "tool_id").agg(outcomes())
    added = {row[INSTANCE]: (row["jobs"], row["ok"], row["error"]) for row in rows.iter_rows(named=True)}
    assert added == {"a": (1, 1, 0), "b": (3, 2, 1), "*": (4, 3, 1)}


VERSIONS = Cube("versions", (Job.tool_id, Job.tool_version), (Count("jobs"),))
SHED = "toolshed.g2.bx.psu.edu/repos/iuc/bwa_mem2/bwa_mem2"


def of_versions(*jobs: tuple[str | None, str | None]) -> Columns:
    """The cube of jobs of these tools in these versions."""
    schema = {"tool_id": pl.String, "tool_version": pl.String}
    return VERSIONS.add(Columns.of(pl.DataFrame(jobs, schema=schema, orient="row")))


@pytest.mark.parametrize(
    ("full", "plain"),
    [
        (f"{SHED}/2.2.1", SHED),
        (f"{SHED}/2.2.1+galaxy0", SHED),
        (f"{SHED}/", SHED),
        (SHED, SHED),
        ("localhost:9009/shed/repos/a b/c/d\n/e:f+g", "localhost:9009/shed/repos/a b/c/d\n"),
        ("toolshed/repos/iuc/bwa_mem2", "toolshed/repos/iuc/bwa_mem2"),
        ("toolshed/repos/iuc/bwa_mem2/bwa/1/2", "toolshed/repos/iuc/bwa_mem2/bwa/1/2"),
        ("/repos/iuc/bwa_mem2/bwa/1", "/repos/iuc/bwa_mem2/bwa/1"),
        ("Cut1", "Cut1"),
        ("$1/${name}", "$1/${name}"),
        ("", ""),
    ],
)
def test_the_id_over_all_versions_has_none(full: str, plain: str) -> None:
    rows = with_all_versions(VERSIONS.frame(of_versions((full, "1"))))
    assert {row[:2] for row in rows.rows()} == {(full, "1"), (plain, "*")}


def test_all_versions_are_one_more_in_frames_and_in_columns() -> None:
    first = of_versions((f"{SHED}/1", "1"), (f"{SHED}/2", "2"), ("Cut1", "1"), ("Cut1", None))
    other = of_versions((f"{SHED}/2", "2"), (f"{SHED}/3", None), (None, None), (SHED, "4"))
    partial = concat_instances([VERSIONS], {"a": {"versions": first}, "b": {"versions": other}})
    rows = with_all_instances_and_versions(partial["versions"]).group_by(INSTANCE, *TOOL_KEY).agg(pl.col("jobs").sum())
    added = {row[:3]: row[3] for row in rows.rows()}
    assert {key[0]: jobs for key, jobs in added.items() if key[1:] == (SHED, "*")} == {"a": 2, "b": 3, "*": 5}
    assert {key: jobs for key, jobs in added.items() if key[0] == "*" and key[1] in ("", "Cut1")} == {
        ("*", "", ""): 1,
        ("*", "", "*"): 1,
        ("*", "Cut1", ""): 1,
        ("*", "Cut1", "1"): 1,
        ("*", "Cut1", "*"): 2,
    }
    cube = of_instances(VERSIONS)
    merged = cube.frame(cube.rolled_up(everywhere(partial.columns["versions"])))
    assert {row[:3]: row[3] for row in merged.rows()} == added


def test_rows_over_all_versions_keep_their_columns_and_dictionaries_in_order() -> None:
    frame = VERSIONS.frame(of_versions(("b", "1"), ("a", "2")))
    rows = with_all_versions(frame)
    assert rows.columns == frame.columns
    assert all(rows.schema[name].categories.is_sorted() for name in TOOL_KEY)
    assert with_all_versions(frame.clear()).height == 0
    assert with_all_versions(VERSIONS.frame(VERSIONS.empty())).height == 0
    assert everywhere(repeated(VERSIONS.empty(), INSTANCE, "a")).height == 0


def test_two_versions_of_a_tool_are_one_over_all_versions() -> None:
    rows = VERSIONS.frame(of_all_versions(of_versions((f"{SHED}/1", "1"), (f"{SHED}/2", "2"))))
    assert rows.rows() == [(SHED, "*", 1), (SHED, "*", 1)]


RUNTIMES = Distributions("runtimes", (Job.tool_id, Job.tool_version), (Distribution("runtime", Job.runtime),))


def test_distributions_are_those_of_each_instance_and_version_and_of_all() -> None:
    def of(*runtimes: int, version: str) -> dict[str, Columns]:
        jobs = [{"tool_id": "a", "tool_version": version, "runtime": runtime * 10**7} for runtime in runtimes]
        return RUNTIMES.add(records(jobs)[Job])

    parts = {"one": of(1, 3, version="1"), "two": of(2, version="2")}
    rows = statistics(measured_everywhere(RUNTIMES, concat_instances(RUNTIMES.cubes, parts)), (50,))
    assert {row[:3]: row[3] for row in rows.select(INSTANCE, "tool_version", "n", "total").rows()} == {
        ("*", "*", 3): "6",
        ("*", "1", 2): "4",
        ("*", "2", 1): "2",
        ("one", "*", 2): "4",
        ("one", "1", 2): "4",
        ("two", "*", 1): "2",
        ("two", "2", 1): "2",
    }


def test_distributions_without_versions_are_those_of_each_instance_and_of_all() -> None:
    of_states = Distributions("runtimes", (Job.state,), (Distribution("runtime", Job.runtime),))
    counted = {name: of_states.add(records([{"state": "ok", "runtime": 10**7}])[Job]) for name in ("one", "two")}
    rows = statistics(measured_everywhere(of_states, concat_instances(of_states.cubes, counted)), (50,))
    assert sorted(rows.select(INSTANCE, "state", "n").rows()) == [("*", "ok", 2), ("one", "ok", 1), ("two", "ok", 1)]
