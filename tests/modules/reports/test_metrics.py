"""What tools needed, against Python's fractions and sorted lists."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from build import examples, plain
from by_hand import counted_of, records
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.distributions import Measurement
from grt_batch.aggregate.measures import Cube
from grt_batch.aggregate.sketch import bin_of
from grt_batch.aggregate.statistics import BOUNDS_SCALE
from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, concat_instances
from grt_batch.modules.reports.metrics import NEEDED, RECENT, TOOL_HISTOGRAM, TOOL_METRIC, Metrics
from grt_batch.schema.records import WINDOW_DAYS
from grt_batch.schema.tables import render

AS_OF = date(2024, 6, 30)
SECOND = 10**7
PERCENTS = (25, 50, 75, 90, 95, 99)
LAST = 2**63 - 1
VALUES = st.integers(0, LAST) | st.integers(0, 62).flatmap(lambda bits: st.integers(0, 1 << bits))

Row = dict[str, Any]


def job(
    *,
    ago: int | None = 0,
    tool: str | None = "cut",
    version: str | None = "1.0",
    state: str = "ok",
    **measured: int | None,
) -> Row:
    """A job of a day before the as-of day, and what was measured of it, in the units of `Job`."""
    day = None if ago is None else AS_OF - timedelta(days=ago)
    version = None if tool is None else version
    return {"day": day, "tool_id": tool, "tool_version": version, "state": state, **measured}


def tables(instances: Mapping[str, Iterable[Row]], since: date | None = None) -> dict[str, pl.DataFrame]:
    """The tables, as they are published."""
    module = Metrics()
    partials = {instance_id: counted_of(module, records(rows, since=since)) for instance_id, rows in instances.items()}
    merged = concat_instances(module.cubes, partials)
    frames = module.rows(merged, Ledger(AS_OF, Config(), ()))
    return {table.name: table.frame(frames.pop(table.name)) for table in module.tables} | frames


def metrics(*rows: Row, period: str = "all", instance_id: str = "a", tool: str = "cut") -> dict[str, Row]:
    """The rows of the one version of a tool, by metric; all versions together say the same."""
    frame = tables({"a": rows})[TOOL_METRIC.name].filter(instance_id=instance_id, period=period, tool_id=tool)
    together, of_version = (frame.filter((pl.col("tool_version") == "*") == every) for every in (True, False))
    assert together.drop("tool_version").equals(of_version.drop("tool_version"))
    return {row["metric"]: row for row in of_version.iter_rows(named=True)}


def memory(values: Sequence[int]) -> Row:
    """The row of memory_bytes of such jobs."""
    return metrics(*(job(memory=value) for value in values))["memory_bytes"]


def order_statistic(values: Sequence[int], percent: int) -> int:
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def variance(values: Sequence[Fraction | int]) -> Fraction:
    """The sample variance by its definition."""
    mean = Fraction(sum(values)) / len(values)
    return sum(((value - mean) ** 2 for value in values), Fraction(0)) / (len(values) - 1)


def test_every_metric_is_in_its_unit() -> None:
    rows = metrics(
        job(
            runtime=15 * SECOND // 2,
            memory=3 << 30,
            cpu=4_500_000_000,
            cores=2 * SECOND,
            allocated_memory=4 << 30,
            core_seconds=15 * SECOND,
            wait=1,
            input_bytes=0,
            output_bytes=7,
        )
    )
    names = [one.name for one in NEEDED.of]
    wanted = ["7.5", str(3 << 30), "4.5", "2", str(4 << 30), "15", "0.3", "0.75", "0.0000001", "0", "7"]
    assert {name: row["maximum"] for name, row in rows.items()} == dict(zip(names, wanted, strict=True))
    for name, value in zip(names, wanted, strict=True):
        assert (rows[name]["n"], rows[name]["stddev"], rows[name]["variance"]) == (1, None, None)
        assert {rows[name][column] for column in ("total", "minimum")} == {value}
        assert {rows[name][column] for column in ("mean", "p25", "p50", "p99")} == {float(value)}


def test_what_is_not_known_is_not_counted() -> None:
    rows = metrics(job(), job(runtime=SECOND), job(runtime=3 * SECOND, memory=None))
    assert rows.keys() == {"runtime_seconds"}
    assert (rows["runtime_seconds"]["n"], rows["runtime_seconds"]["total"]) == (2, "4")


def test_only_jobs_in_state_ok_count() -> None:
    found = tables({"a": [job(runtime=SECOND), *(job(runtime=5, state=state) for state in ("error", "running"))]})
    assert set(found[TOOL_METRIC.name]["total"]) == {"1"}
    assert set(found[TOOL_HISTOGRAM.name]["jobs"]) == {1}
    for frame in tables({"a": [job(runtime=5, state="error")]}).values():
        assert frame.is_empty()


def test_a_job_without_a_tool_is_of_the_empty_one() -> None:
    rows = metrics(job(tool=None, runtime=1), job(tool="", runtime=2) | {"tool_version": ""}, tool="")
    assert (rows["runtime_seconds"]["tool_version"], rows["runtime_seconds"]["n"]) == ("", 2)


@pytest.mark.parametrize("since", [None, AS_OF - timedelta(days=WINDOW_DAYS - 1)])
def test_a_period_ends_with_the_as_of_day(since: date | None) -> None:
    """Each job says by its runtime in seconds how many days ago it was."""
    days = [-1, 0, 6, 7, 29, 30, 59, 60, 400]
    rows = [*(job(ago=ago, runtime=(ago + 1) * SECOND) for ago in days), job(ago=None, runtime=1000 * SECOND)]
    frame = tables({"a": rows}, since)[TOOL_METRIC.name]
    expected = {"7d": [0, 6], "30d": [0, 6, 7, 29], "all": [*days, 999]}
    for row in frame.iter_rows(named=True):
        of_period = expected[row["period"]]
        assert (row["n"], row["total"]) == (len(of_period), str(sum(ago + 1 for ago in of_period)))
    of_version = frame.filter(pl.col("tool_version") != "*")
    assert sorted(of_version.select(INSTANCE, "period").rows()) == sorted((i, p) for i in "a*" for p in expected)


def test_a_partial_keeps_no_more_days_than_its_periods_need() -> None:
    rows = [job(ago=ago, runtime=1) for ago in range(100)]
    partial = counted_of(Metrics(), records(rows, since=AS_OF - timedelta(days=WINDOW_DAYS - 1)))
    assert RECENT.frame(partial[RECENT.name])["day"].sort().to_list() == [
        AS_OF - timedelta(days=ago) for ago in range(29, -1, -1)
    ]


def test_all_instances_are_as_one_that_has_all_jobs() -> None:
    one = [job(runtime=i * SECOND, memory=i * i, ago=i) for i in range(40)]
    other = [job(runtime=SECOND, memory=5, tool=tool) for tool in ("cut", "sort")]
    for name, frame in tables({"a": one, "b": other}).items():
        together = frame.filter(instance_id="*").drop(INSTANCE)
        assert together.height > 0
        assert together.equals(tables({"c": one + other})[name].filter(instance_id="c").drop(INSTANCE))


def test_all_versions_are_as_one_that_has_all_jobs() -> None:
    tool = "shed/repos/iuc/bwa/bwa"
    one = [job(runtime=i * SECOND, memory=i * i, ago=i, tool=f"{tool}/{i % 3}", version=str(i % 3)) for i in range(40)]
    other = [job(runtime=9 * SECOND, memory=5, tool=tool, version=version) for version in (None, "2")]
    found = tables({"a": one, "b": other})
    same = {"tool_id": tool, "tool_version": "all"}
    expected = tables({"a": [row | same for row in one], "b": [row | same for row in other]})
    for name, frame in found.items():
        together = plain(frame).filter(tool_version="*", tool_id=tool).drop("tool_version")
        assert together.height > 0
        assert together.equals(plain(expected[name]).filter(tool_version="all").drop("tool_version"))
    of_all = found[TOOL_METRIC.name].filter(tool_version="*", period="all", metric="runtime_seconds")
    assert of_all["n"].to_list() == [42, 40, 2]


@examples(25)
@given(values=st.lists(VALUES, min_size=2, max_size=50))
def test_sums_are_exact_and_what_follows_from_them_is_but_for_the_last_digit(values: list[int]) -> None:
    row = memory(values)
    assert (row["n"], row["total"]) == (len(values), str(sum(values)))
    assert (row["minimum"], row["maximum"]) == (str(min(values)), str(max(values)))
    assert row["mean"] == pytest.approx(float(Fraction(sum(values), len(values))), rel=1e-15)
    assert row["variance"] == pytest.approx(float(variance(values)), rel=1e-15)
    assert row["stddev"] == math.sqrt(row["variance"])


@pytest.mark.parametrize("value", [0, 1, 10**9 + 7, 2**62 - 1, LAST])
def test_a_constant_does_not_vary_however_large_it_is(value: int) -> None:
    row = memory([value] * 1000)
    assert (row["variance"], row["stddev"], row["total"]) == (0, 0, str(1000 * value))
    assert {row[f"p{percent}"] for percent in PERCENTS} == {row["mean"]} == {float(value)}


def test_a_small_spread_around_a_large_value_is_seen() -> None:
    row = memory([2**62, 2**62 + 1, 2**62 + 2] * 1000)
    assert row["variance"] == pytest.approx(float(variance([0, 1, 2] * 1000)), rel=1e-15)


SHAPES = {
    "skewed": [i**7 for i in range(1, 400)],
    "constant": [123_456_789] * 57,
    "two points": [5] * 89 + [10**15] * 11,
    "mostly zero": [0] * 950 + list(range(10**6, 10**6 + 50)),
    "huge": [LAST - i * 2**50 for i in range(1000)],
    "one": [10**12 + 1],
    "small": [i % 13 for i in range(100)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_percentiles_are_within_1_percent_of_the_order_statistic(shape: str) -> None:
    values = SHAPES[shape]
    row = memory(values)
    for percent in PERCENTS:
        exact = order_statistic(values, percent)
        assert abs(row[f"p{percent}"] - exact) <= 0.01 * exact
        assert float(row["minimum"]) <= row[f"p{percent}"] <= float(row["maximum"])


def efficiency(*jobs: tuple[int | None, int | None]) -> Row | None:
    """The row of memory_efficiency of jobs that used and were given so many bytes."""
    return metrics(*(job(memory=used, allocated_memory=given) for used, given in jobs)).get("memory_efficiency")


def test_the_spread_of_large_efficiencies_has_nine_digits_too() -> None:
    used = [5_100_000_000_000, 5_200_000_000_000, 5_300_000_000_001]
    row = efficiency(*((value, 10**12) for value in used))
    assert row is not None
    assert math.isclose(row["variance"], variance([Fraction(value, 10**12) for value in used]), rel_tol=1e-9)


@pytest.mark.parametrize("unknown", [(None, 5), (5, None), (5, 0), (0, 0), (None, None)])
def test_an_efficiency_needs_both_and_something_given(unknown: tuple[int | None, int | None]) -> None:
    assert efficiency(unknown) is None
    row = efficiency(unknown, (1, 4))
    assert row is not None
    assert (row["n"], row["total"]) == (1, "0.25")


def test_the_efficiency_of_the_cpu_is_that_of_the_core_seconds() -> None:
    row = metrics(job(cpu=3_000_000_000, core_seconds=4 * SECOND), job(cpu=7, core_seconds=0))["cpu_efficiency"]
    assert (row["n"], row["total"], row["p50"]) == (1, "0.75", 0.75)


GIVEN = (1, 2, 7, 10**6, 2**31, 10**10, 2**39)


@examples(40)
@given(
    jobs=st.lists(
        st.tuples(st.integers(2**10, 2**62 - 1) | st.integers(2**10, 2**40), st.sampled_from(GIVEN)),
        min_size=2,
        max_size=20,
    )
)
def test_efficiencies_of_every_size_have_nine_digits(jobs: list[tuple[int, int]]) -> None:
    row = efficiency(*jobs)
    exact = [Fraction(used, given) for used, given in jobs]
    assert row is not None
    assert row["n"] == len(jobs)
    for name, value in ("total", sum(exact)), ("mean", sum(exact) / len(exact)):
        assert abs(Fraction(row[name]) - value) <= value / 10**9
    for name, value in ("minimum", min(exact)), ("maximum", max(exact)):
        assert abs(Fraction(row[name]) - value) <= value / (2 * 10**8)
    # Nine digits of it, as long as the values themselves have them after their last common one.
    assert math.isclose(row["stddev"], math.sqrt(variance(exact)), rel_tol=1e-9, abs_tol=1e-15 * float(max(exact)))
    for percent in PERCENTS:
        wanted = sorted(exact)[-(-percent * len(exact) // 100) - 1]
        assert abs(Fraction(row[f"p{percent}"]) - wanted) <= wanted / 100


def histogram(**measured: Sequence[int]) -> dict[str, list[tuple[Fraction, Fraction, int]]]:
    """low, high and jobs of the bins, by metric."""
    rows = [job(**{name: value}) for name, values in measured.items() for value in values]
    found: dict[str, list[tuple[Fraction, Fraction, int]]] = {}
    one = 10**BOUNDS_SCALE
    frame = tables({"a": rows})[TOOL_HISTOGRAM.name].filter(instance_id="a", tool_version="1.0")
    for row in frame.iter_rows(named=True):
        found.setdefault(row["metric"], []).append((Fraction(row["low"], one), Fraction(row["high"], one), row["jobs"]))
    return found


def test_a_histogram_is_of_three_metrics_in_their_units() -> None:
    found = histogram(runtime=[0, SECOND], memory=[0, 4096], cpu=[0, 10**9], wait=[5], cores=[5], input_bytes=[5])
    assert found == {
        "runtime_seconds": [(0, Fraction("1e-7"), 1), (Fraction("0.8388608"), Fraction("1.2582912"), 1)],
        "memory_bytes": [(0, 1, 1), (4096, 6144, 1)],
        "cpu_seconds": [(0, Fraction("1e-9"), 1), (Fraction("0.805306368"), Fraction("1.073741824"), 1)],
    }


def test_bins_of_a_histogram_touch_and_are_two_in_a_power_of_two() -> None:
    bins = histogram(memory=range(1024, 4096))["memory_bytes"]
    assert [low for low, _, _ in bins] == [1024, 1536, 2048, 3072]
    assert [high for _, high, _ in bins] == [low for low, _, _ in bins[1:]] + [4096]
    assert all(jobs == high - low for low, high, jobs in bins)


@examples(20)
@given(values=st.lists(VALUES, min_size=1, max_size=30))
def test_every_job_is_in_the_bin_of_its_value(values: list[int]) -> None:
    bins = histogram(memory=values)["memory_bytes"]
    inside = [sum(low <= value < high for value in values) for low, high, _ in bins]
    assert inside == [jobs for _, _, jobs in bins]
    assert sum(inside) == len(values)


def test_the_largest_value_has_a_bin() -> None:
    assert histogram(memory=[LAST])["memory_bytes"] == [(3 << 61, 1 << 63, 1)]


def test_a_partial_is_what_the_cubes_give_of_the_measurements() -> None:
    rows = [job(tool="ab"[i % 2], ago=i % 9, runtime=i * i, memory=LAST - i, wait=i % 3 or None) for i in range(200)]
    units = (("runtime_seconds", -7, "runtime"), ("memory_bytes", 0, "memory"), ("wait_seconds", -7, "wait"))
    measurements = [
        {**row, "metric": metric, "exponent": exponent, "value": row[name]}
        for row in rows
        for metric, exponent, name in units
        if row[name] is not None
    ]
    order = (Measurement.tool_id, Measurement.tool_version, NEEDED.metric, Measurement.exponent, Measurement.value)
    schema = {field.name: field.type for field in order}
    frame = pl.DataFrame(measurements, schema=schema).with_columns(bin_of(Measurement.value.expr))
    partial = counted_of(Metrics(), records(rows))
    for cube in NEEDED.cubes:
        expected = Cube(cube.name, cube.keys, cube.measures).add(Columns.of(frame))
        assert plain(cube.frame(partial[cube.name])).equals(plain(cube.frame(expected)))


def written(*rows: Row) -> dict[str, dict[str, str]]:
    """What is written of the metrics of some jobs of a tool: by metric, the text of each column."""
    found = tables({"a": rows})[TOOL_METRIC.name].filter(period="all", instance_id="a", tool_version="*")
    lines = b"".join(render(TOOL_METRIC, found, null="")).decode().splitlines()
    texts = [dict(zip(TOOL_METRIC.schema, line.split("\t"), strict=True)) for line in lines]
    return {row["metric"]: row for row in texts}


def test_totals_and_extremes_are_written_with_all_their_digits() -> None:
    found = written(*[job(memory=LAST, runtime=LAST, cpu=12_345_678_123_456_789)] * 40)
    assert found["memory_bytes"]["total"] == "368934881474191032280"
    assert found["runtime_seconds"]["total"] == "36893488147419.103228"
    assert found["runtime_seconds"]["minimum"] == "922337203685.4775807"
    assert found["cpu_seconds"]["maximum"] == "12345678.123456789"
    for row in found.values():
        # Rounded to four digits they would lie beyond.
        assert {row[f"p{percent}"] for percent in PERCENTS} == {row["minimum"]} == {row["maximum"]}


def test_derived_numbers_are_written_with_nine_digits_and_percentiles_with_four() -> None:
    row = written(*(job(runtime=seconds * SECOND + 1) for seconds in range(1000, 101_000, 100)))["runtime_seconds"]
    assert (row["mean"], row["stddev"], row["variance"]) == ("50950", "28881.9436", "834166667")
    for percent in PERCENTS:
        assert math.isclose(float(row[f"p{percent}"]), 900 + 1000 * percent, rel_tol=0.01)
        assert len(row[f"p{percent}"].rstrip("0")) <= 4


@examples(40)
@given(
    values=st.lists(VALUES | st.integers(10**12, 10**12 + 10**9), min_size=1, max_size=20), given=st.sampled_from(GIVEN)
)
def test_what_is_written_of_percentiles_is_in_order_and_between_the_extremes(values: list[int], given: int) -> None:
    rows = written(
        *(
            job(memory=value, runtime=value, cpu=value, core_seconds=value // given, allocated_memory=given)
            for value in values
        )
    )
    for row in rows.values():
        ordered = [Fraction(row[name]) for name in ("minimum", *(f"p{percent}" for percent in PERCENTS), "maximum")]
        assert ordered == sorted(ordered)


def test_bounds_of_bins_are_written_exactly() -> None:
    frame = tables({"a": [job(runtime=LAST, cpu=LAST, memory=LAST), job(runtime=2**50, cpu=2**50)]})[
        TOOL_HISTOGRAM.name
    ]
    text = b"".join(render(TOOL_HISTOGRAM, frame.filter(instance_id="a", tool_version="*"))).decode()
    assert [line.split("\t")[3:6] for line in text.splitlines()] == [
        ["cpu_seconds", "1125899.906842624", "1688849.860263936"],
        ["cpu_seconds", "6917529027.641081856", "9223372036.854775808"],
        ["memory_bytes", "6917529027641081856", "9223372036854775808"],
        ["runtime_seconds", "112589990.6842624", "168884986.0263936"],
        ["runtime_seconds", "691752902764.1081856", "922337203685.4775808"],
    ]
