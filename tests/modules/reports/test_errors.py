"""What changed in the last 30 days, against plain Python and the textbook's formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import polars as pl
import pytest
from build import examples
from by_hand import counted_of, records
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.core.config_file import load
from grt_batch.core.errors import BadConfig
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import concat_instances
from grt_batch.modules.reports.errors import JOBS, RUNTIMES, TOOL_CHANGE, Errors, two_proportions
from grt_batch.schema.tables import render

AS_OF = date(2024, 6, 30)
BEFORE, AFTER = 30, 0
"""Days before the as-of day on which a period ends."""
SECOND = 10**7

Row = dict[str, Any]


def jobs(
    ago: int | None,
    ok: int,
    error: int = 0,
    *,
    runtime: int | None = None,
    tool: str | None = "cut",
    version: str = "1.0",
    state: str = "ok",
) -> list[Row]:
    """So many jobs in `state` and in error of one day, all of the same runtime in 1e-7 s."""
    day = None if ago is None else AS_OF - timedelta(days=ago)
    row = {"day": day, "tool_id": tool, "tool_version": None if tool is None else version}
    return [row | {"state": state, "runtime": runtime}] * ok + [row | {"state": "error", "runtime": SECOND}] * error


Key = tuple[str, str, str]
"""An instance, a tool and its version."""


def changes(instances: Mapping[str, Iterable[Row]], **config: Any) -> dict[Key, Row]:
    """The rows of the table."""
    module = Errors()
    partials = {instance_id: counted_of(module, records(rows)) for instance_id, rows in instances.items()}
    merged = concat_instances(module.cubes, partials)
    frames = module.rows(merged, Ledger(AS_OF, Config(**config), ()))
    assert frames.keys() == {TOOL_CHANGE.name}
    bounded(frames[TOOL_CHANGE.name])
    frame = TOOL_CHANGE.frame(frames[TOOL_CHANGE.name]).drop(TOOL_CHANGE.bounds)
    return {tuple(row[name] for name in TOOL_CHANGE.key): row for row in frame.iter_rows(named=True)}  # type: ignore[misc]


def bounded(frame: pl.DataFrame) -> None:
    """Check that the medians lie between the bounds that the frame has besides the columns of the table."""
    for period in ("before", "after"):
        for low, median, high in frame.select(f"{name}_{period}" for name in BOUNDED).iter_rows():
            assert (low is None) == (median is None) == (high is None)
            assert median is None or low <= median <= high


BOUNDED = ("first_runtime", "runtime_p50", "last_runtime")


def change(*rows: list[Row], **config: Any) -> Row | None:
    """What changed of the one version of the one tool on the one instance; those of all together say the same."""
    found = changes({"a": [row for part in rows for row in part]}, **config)
    if not found:
        return None
    assert {(key[0], key[2]) for key in found} == {(name, version) for name in "a*" for version in ("1.0", "*")}
    one = found["a", "cut", "1.0"]
    for key, row in found.items():
        assert row == one | dict(zip(TOOL_CHANGE.key, key, strict=True))
    return one


def test_a_tool_that_began_to_fail() -> None:
    row = change(jobs(BEFORE, 90, 10), jobs(AFTER, 70, 30))
    # z = 0.2 / √(0.2 · 0.8 · (1/100 + 1/100))
    assert row == {
        "instance_id": "a", "tool_id": "cut", "tool_version": "1.0",
        "jobs_before": 100, "jobs_after": 100, "error_before": 10, "error_after": 30,
        "error_rate_before": 0.1, "error_rate_after": 0.3, "error_rate_change": 0.2,
        "z": pytest.approx(3.5355339059, rel=1e-10), "p_value": pytest.approx(0.000406952017, rel=1e-9),
        "runs_before": 0, "runs_after": 0, "runtime_p50_before": None, "runtime_p50_after": None,
        "runtime_ratio": None, "runtime_p_value": None, "changed": "error_rate",
    }  # fmt: skip


def test_a_tool_that_works_again_and_takes_longer() -> None:
    row = change(jobs(BEFORE, 30, 30, runtime=100), jobs(AFTER, 60, runtime=50))
    assert row is not None
    assert row["z"] < 0 and row["error_rate_change"] == -0.5
    assert (row["runs_before"], row["runs_after"]) == (30, 60)
    assert (row["runtime_p50_before"], row["runtime_p50_after"]) == (100 / SECOND, 50 / SECOND)
    assert (row["runtime_ratio"], row["changed"]) == (0.5, "error_rate runtime")


@pytest.mark.parametrize(
    ("first", "last", "counted"), [(31, 0, (1, 1)), (59, 29, (1, 1)), (60, 30, (1, 0)), (30, -1, (1, 0))]
)
def test_the_periods_are_of_30_days_to_the_as_of_day(first: int, last: int, counted: tuple[int, int]) -> None:
    row = change(jobs(40, 20), jobs(5, 10, 10), jobs(first, 0, 1), jobs(last, 0, 1), jobs(None, 50, 50))
    assert row is not None
    before, after = row["error_before"], row["error_after"] - 10
    # What is 60 days ago counts in no period, what is 30 days ago in the first.
    assert (before, after) == counted


def test_only_ok_and_error_are_finished_and_only_ok_has_a_runtime() -> None:
    rows = [jobs(BEFORE, 20, runtime=10), jobs(AFTER, 20, 20, runtime=10), jobs(AFTER, 90, state="failed", runtime=90)]
    row = change(*rows, jobs(AFTER, 5, runtime=None))
    assert row is not None
    assert (row["jobs_after"], row["runs_after"], row["runtime_ratio"]) == (45, 20, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "config"),
    [
        pytest.param((19, 0), (0, 40), {}, id="too few jobs before"),
        pytest.param((40, 0), (0, 19), {}, id="too few jobs after"),
        pytest.param((0, 0), (0, 40), {}, id="a new tool"),
        pytest.param((40, 0), (0, 0), {}, id="a tool that is gone"),
        pytest.param((40, 0), (40, 0), {}, id="no error at all"),
        pytest.param((0, 40), (0, 40), {}, id="nothing but errors"),
        pytest.param((30, 10), (24, 16), {}, id="by chance"),
        pytest.param((99_000, 1_000), (96_001, 3_999), {}, id="less than 5 points"),
        pytest.param((90, 10), (70, 30), {"change_min_rate": 21}, id="less than configured"),
        pytest.param((90, 10), (70, 30), {"change_p_value": 0.0004}, id="not as sure as configured"),
        pytest.param((90, 10), (70, 30), {"change_min_jobs": 101}, id="not as many as configured"),
    ],
)
def test_the_error_rate_did_not_change(before: tuple[int, int], after: tuple[int, int], config: Row) -> None:
    assert change(jobs(BEFORE, *before), jobs(AFTER, *after), **config) is None


@pytest.mark.parametrize(
    ("before", "after", "config"),
    [
        ((20, 0), (0, 20), {}),
        ((19, 0), (0, 19), {"change_min_jobs": 19}),
        ((99_000, 1_000), (94_000, 6_000), {}),
        ((99_000, 1_000), (96_001, 3_999), {"change_min_rate": 2}),
        ((30, 10), (24, 16), {"change_p_value": 0.2}),
    ],
)
def test_the_error_rate_changed(before: tuple[int, int], after: tuple[int, int], config: Row) -> None:
    row = change(jobs(BEFORE, *before), jobs(AFTER, *after), **config)
    assert row is not None and row["changed"] == "error_rate"


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [(2, 3, 1.5), (3, 2, 2 / 3), (10, 15, 1.5), (10, 100, 10.0), (5, 0, 0.0), (100, 1, 0.01)],
)
def test_the_runtime_changed(before: int, after: int, ratio: float) -> None:
    row = change(jobs(BEFORE, 20, runtime=before), jobs(AFTER, 20, runtime=after))
    assert row is not None
    assert (row["runtime_ratio"], row["changed"]) == (ratio, "runtime")
    # Without any error there is nothing to test.
    assert (row["z"], row["p_value"], row["error_rate_change"]) == (None, None, 0.0)


@pytest.mark.parametrize(("before", "after"), [(20, 29), (29, 20), (0, 5), (0, 0), (7, 7)])
def test_the_runtime_did_not_change(before: int, after: int) -> None:
    assert change(jobs(BEFORE, 20, runtime=before), jobs(AFTER, 20, runtime=after)) is None


def test_how_much_longer_and_of_how_many_runs_is_configured() -> None:
    rows = [jobs(BEFORE, 20, runtime=20), jobs(AFTER, 20, runtime=29)]
    assert change(*rows, change_runtime_percent=45) is not None
    assert change(*rows, change_runtime_percent=46) is None
    few = [jobs(BEFORE, 20, runtime=20), jobs(AFTER, 19, runtime=90), jobs(AFTER, 60)]
    assert change(*few) is None
    assert change(*few, change_min_jobs=19) is not None


def test_a_median_that_chance_alone_may_move_is_no_change() -> None:
    before = jobs(BEFORE, 11, runtime=10) + jobs(BEFORE, 10, runtime=90)
    after = jobs(AFTER, 10, runtime=10) + jobs(AFTER, 11, runtime=90)
    assert change(before, after) is None
    row = change(before, after, change_p_value=1.0)
    assert row is not None
    # 10 of 21 and 11 of 21 are above 10, the median of all.
    assert (row["runtime_ratio"], row["changed"]) == (9.0, "runtime")
    assert row["runtime_p_value"] == pytest.approx(textbook(10, 11, 21, 21)[1], rel=1e-9)


def test_a_median_from_0_is_given_without_a_ratio() -> None:
    row = change(jobs(BEFORE, 20, runtime=0), jobs(AFTER, 20, 20, runtime=5))
    assert row is not None
    assert (row["runtime_p50_before"], row["runtime_ratio"], row["changed"]) == (0.0, None, "error_rate")


def test_instances_are_added_up_and_a_job_without_a_tool_is_one_too() -> None:
    found = changes({
        "a": jobs(BEFORE, 10) + jobs(AFTER, 0, 10) + jobs(BEFORE, 20, tool=None) + jobs(AFTER, 0, 20, tool=None),
        "b": jobs(BEFORE, 10, runtime=4) + jobs(AFTER, 1, 10) + jobs(AFTER, 40, tool="new"),
    })  # fmt: skip
    tools = {("*", "cut", "1.0"), ("*", "", ""), ("a", "", "")}
    assert found.keys() == tools | {(*key[:2], "*") for key in tools}
    row = found["*", "cut", "1.0"]
    assert (row["jobs_before"], row["jobs_after"], row["error_after"], row["runs_before"]) == (20, 21, 20, 10)


def test_a_tool_may_change_because_another_version_is_used() -> None:
    shed = "shed/repos/iuc/bwa/bwa"
    old, new = ({"tool": f"{shed}/{version}", "version": version} for version in "12")
    rows = [*jobs(BEFORE, 30, runtime=10, **old), *jobs(AFTER, 25, runtime=90, **new), *jobs(AFTER, 5, 25, **old)]
    found = changes({"a": rows, "b": []})
    assert found.keys() == {(name, *tool) for name in "a*" for tool in ((shed, "*"), (f"{shed}/1", "1"))}
    row = found["a", shed, "*"]
    counts = ("jobs_before", "jobs_after", "error_after", "runs_before", "runs_after")
    assert tuple(row[name] for name in counts) == (30, 55, 25, 30, 25)
    assert (row["runtime_p50_before"], row["runtime_p50_after"]) == (10 / SECOND, 90 / SECOND)
    assert row["changed"] == "error_rate runtime"


def test_a_median_lies_between_the_runtimes() -> None:
    """The middle of a bin may not."""
    row = change(jobs(BEFORE, 20, runtime=10**9), jobs(AFTER, 20, runtime=2 * 10**9 + 1))
    assert row is not None
    assert (row["runtime_p50_before"], row["runtime_p50_after"]) == (100, (2 * 10**9 + 1) / SECOND)


def test_medians_are_written_as_the_extremes_where_rounding_would_leave_them() -> None:
    rows = [*jobs(BEFORE, 20, runtime=123_456_789), *jobs(AFTER, 20, runtime=987_654_321)]
    module = Errors()
    found = module.rows(
        concat_instances(module.cubes, {"a": counted_of(module, records(rows))}), Ledger(AS_OF, Config(), ())
    )
    line = b"".join(render(TOOL_CHANGE, TOOL_CHANGE.frame(found[TOOL_CHANGE.name]))).decode().splitlines()[0]
    row = dict(zip(TOOL_CHANGE.schema, line.split("\t"), strict=True))
    assert (row["runtime_p50_before"], row["runtime_p50_after"]) == ("12.3456789", "98.7654321")
    assert row["runtime_ratio"] == "8"


def test_no_jobs_give_no_rows() -> None:
    assert changes({"a": []}) == {}


def test_the_cubes_are_of_the_last_days_alone() -> None:
    since = AS_OF - timedelta(days=59)
    rows = jobs(60, 3, 3, runtime=9) + jobs(59, 2, 1, runtime=9) + jobs(None, 4, runtime=9)
    partial = counted_of(Errors(), records(rows, since=since))
    assert partial[JOBS.name]["jobs"].tolist() == [1, 2]
    assert RUNTIMES.frame(partial[RUNTIMES.name]).rows() == [(since, "cut", "1.0", 9, 2)]


DAYS = st.sampled_from([None, -1, 0, 3, 29, 30, 31, 59, 60])
STATES = st.sampled_from(["ok", "ok", "error", "running"])
ONE = st.tuples(DAYS, STATES, st.none() | st.integers(0, 40))


@examples(100)
@given(made=st.lists(ONE, min_size=5, max_size=60))
def test_all_is_as_plain_python_has_it(made: list[tuple[int | None, str, int | None]]) -> None:
    rows = [row for ago, state, runtime in made for row in jobs(ago, 1, state=state, runtime=runtime)]
    found = change(rows, change_min_jobs=2, change_p_value=0.5, change_min_rate=0)
    windows = [
        [job for job in made if job[0] is not None and ago <= job[0] < ago + 30 and job[1] in ("ok", "error")]
        for ago in (BEFORE, AFTER)
    ]
    n, x = [len(window) for window in windows], [sum(job[1] == "error" for job in window) for window in windows]
    runs = [sorted(job[2] for job in window if job[1] == "ok" and job[2] is not None) for window in windows]
    medians = [values[(len(values) - 1) // 2] if values else None for values in runs]
    changed = []
    if min(n) >= 2 and 0 < sum(x) < sum(n):
        z, p_value = textbook(*x, *n)
        assert two_proportions((x[0], x[1]), (n[0], n[1])) == (
            pytest.approx(z, abs=1e-12),
            pytest.approx(p_value, rel=1e-9),
        )
        changed += ["error_rate"] * (p_value <= 0.5)
    if min(map(len, runs)) >= 2 and medians[0]:
        middle = sorted([*runs[0], *runs[1]])[(len(runs[0]) + len(runs[1]) - 1) // 2]
        longer = [sum(value > middle for value in values) for values in runs]
        moved = sum(longer) > 0 and textbook(*longer, *map(len, runs))[1] <= 0.5
        changed += ["runtime"] * (moved and not 2 / 3 < medians[1] / medians[0] < 1.5)
    if not changed:
        assert found is None
        return
    assert found is not None
    assert found["changed"] == " ".join(changed)
    for place, end in enumerate(("before", "after")):
        assert (found[f"jobs_{end}"], found[f"error_{end}"]) == (n[place], x[place])
        assert (found[f"runs_{end}"], found[f"error_rate_{end}"]) == (len(runs[place]), x[place] / n[place])
        median = medians[place]
        assert found[f"runtime_p50_{end}"] == (None if median is None else median / SECOND)


def textbook(x1: int, x2: int, n1: int, n2: int) -> tuple[float, float]:
    """NIST/SEMATECH e-Handbook 7.3.3, as it stands there but for the sign."""
    pooled = (x1 + x2) / (n1 + n2)
    z = (x2 / n2 - x1 / n1) / sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    return z, 2 * NormalDist().cdf(-abs(z))


def test_a_z_beyond_all_tables_has_the_p_value_0() -> None:
    z, p_value = two_proportions((0, 10**9), (10**9, 10**9))
    assert (z, p_value) == (pytest.approx(sqrt(2 * 10**9)), 0.0)


def test_the_p_value_of_the_configuration_is_a_probability(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    for text, value in (("1", 1.0), ("1e-9", 1e-9), ("0.05", 0.05)):
        file.write_text(f"[reports]\nchange_p_value = {text}\n")
        read = load(file, environment={}).change_p_value
        assert (type(read), read) == (float, value)
    for text in ("0", "0.0", "-0.1", "1.1", "nan", "inf", "true", "'0.1'", "[0.1]"):
        file.write_text(f"[reports]\nchange_p_value = {text}\n")
        with pytest.raises(BadConfig) as caught:
            load(file, environment={})
        assert caught.value.file == str(file)
        assert "change_p_value" in str(caught.value.what)
    assert load(environment={"GRT_BATCH_CHANGE_P_VALUE": "0.2"}).change_p_value == 0.2
