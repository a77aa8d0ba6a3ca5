"""How long do tools run, and how much memory and CPU do they really need?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from grt_batch.joined import Field, Job, Record, Records
from grt_batch.ledger import Ledger
from grt_batch.measures import Count, Cube, Extent, Squares, Sum, code_of
from grt_batch.module import ALL_INSTANCES, INSTANCE, WINDOW_DAYS, Module, Partial, within
from grt_batch.modules.tools import PERIODS, TOOL_KEY
from grt_batch.records import SECONDS_SCALE
from grt_batch.sketch import BIN, BINS, bin_of, coarse, coarse_last, end, low, middle, order_statistics
from grt_batch.tables import Column, Table, Type

UNITS = {
    "runtime_seconds": "s",
    "memory_bytes": "B",
    "cpu_seconds": "s",
    "cores": "cores",
    "allocated_memory_bytes": "B",
    "core_seconds": "core s",
    "cpu_efficiency": "CPU time / core seconds",
    "memory_efficiency": "memory / allocated memory",
    "wait_seconds": "s",
    "input_bytes": "B",
    "output_bytes": "B",
}
"""The metrics, and their units."""

_DRAWN = ("runtime_seconds", "memory_bytes", "cpu_seconds")
"""The metrics of tool_histogram."""

_HISTOGRAM_STEP_BITS = 2
_PERCENTS = (25, 50, 75, 90, 95, 99)

_SEVENTH, _NANO, _ATTO = -SECONDS_SCALE, -9, -18
_ONES = 10**-_ATTO
"""The least unit of any metric goes so often into 1."""

_RATIOS = {_ATTO: (0.0, 4.0), _NANO: (4.0, 4e9), 0: (4e9, math.inf)}
"""In which unit a ratio is kept, by its size: in 63 bits, and from 1e-9 on with nine digits."""


class Measurement(Record):
    """One row a job in state ok and metric that is known of it: the integer `value` times 10 to the `exponent`."""

    kind = "measurements"
    metric = Field("metric", pl.Enum(list(UNITS)), "", "the metric")
    exponent = Field("exponent", pl.Int8(), "", "values are integers of 10 to this power, in the unit of the metric")
    value = Field("value", pl.Int64(), "10^exponent", "the value, not negative")
    bin = BIN


_KEYS = (Measurement.tool_id, Measurement.tool_version, Measurement.metric, Measurement.exponent)
SQUARES = Squares("squares", Measurement.value)
TOTALS = Cube(
    "totals",
    _KEYS,
    (Count("n"), Sum("total", Measurement.value), SQUARES, Extent("value", Measurement.value)),
    of=Measurement,
)
COUNTS = Cube("counts", (*_KEYS, Measurement.bin), (Count("jobs"),), of=Measurement)
_CUBES = (TOTALS, COUNTS)
_MEASURED = (
    Job.runtime,
    Job.memory,
    Job.cpu,
    Job.cores,
    Job.allocated_memory,
    Job.core_seconds,
    Job.wait,
    Job.input_bytes,
    Job.output_bytes,
)
RECENT = Cube("recent", (Job.tool_id, Job.tool_version, Job.day, *_MEASURED), (Count("jobs"),), lately=True)
"""The jobs in state ok of the last days, as they are: of so few, cubes by day would be larger than they."""

_WINDOW = max(days for days in PERIODS.values() if days)
_METRIC_KEY = (*TOOL_KEY, Measurement.metric.name)
_TOOL = (
    Column("instance_id", Type.TEXT, "the instance, or * for all together"),
    Column("tool_id", Type.TEXT, "full id of the tool; empty where the job has none"),
    Column("tool_version", Type.TEXT, "version of the tool; empty where the job has none"),
)
_METRIC = Column("metric", Type.TEXT, ", ".join(f"{metric} ({unit})" for metric, unit in UNITS.items()))
_UNIT = "unit of the metric"

TOOL_METRIC = Table(
    "tool_metric",
    "What the jobs of a tool in state ok needed: in all, and in the last 30 and 7 days.",
    (INSTANCE, "period", *_METRIC_KEY),
    (
        _TOOL[0],
        Column("period", Type.TEXT, "all, 30d or 7d: the UTC days of create_time up to the as-of day"),
        *_TOOL[1:],
        _METRIC,
        Column("n", Type.BIGINT, "jobs of which the metric is known"),
        Column("total", Type.NUMERIC, "exact sum; each efficiency in it has 9 significant digits", _UNIT, scale=None),
        Column("mean", Type.DOUBLE, "total / n", _UNIT),
        Column("minimum", Type.DOUBLE, "the least value", _UNIT),
        Column("maximum", Type.DOUBLE, "the greatest value", _UNIT),
        Column("stddev", Type.DOUBLE, "sample standard deviation (n - 1); null for one job", _UNIT),
        Column("variance", Type.DOUBLE, "sample variance (n - 1); null for one job", f"{_UNIT}, squared"),
        *(
            Column(f"p{percent}", Type.DOUBLE, f"value of rank ceil({percent} · n / 100), within 0.8 %", _UNIT)
            for percent in _PERCENTS
        ),
    ),
)
TOOL_HISTOGRAM = Table(
    "tool_histogram",
    f"How {', '.join(_DRAWN)} of the jobs of a tool in state ok are distributed: each power of two of 1e-7 s, B or ns"
    f" is cut into {1 << _HISTOGRAM_STEP_BITS} bins, and 0 has its own. Bins without jobs have no row.",
    (INSTANCE, *_METRIC_KEY, "low"),
    (
        *_TOOL,
        _METRIC,
        Column("low", Type.DOUBLE, "the values of the bin are this at least", _UNIT),
        Column("high", Type.DOUBLE, "the values of the bin are less than this, the low of the next bin", _UNIT),
        Column("jobs", Type.BIGINT, "jobs"),
    ),
)


class Metrics(Module):
    """How long do tools run, and how much memory and CPU do they really need?"""

    name = "metrics"
    version = 1
    cubes = (*_CUBES, RECENT)
    tables = (TOOL_METRIC, TOOL_HISTOGRAM)

    def aggregate(self, records: Records) -> Partial:
        """The partial of some jobs."""
        columns = [key.name for key in RECENT.keys]
        jobs = records[Job].lazy().filter(pl.col(Job.state.name) == "ok").select(columns).collect()
        # Other modules look back further.
        since = records.since and records.since + timedelta(days=WINDOW_DAYS - _WINDOW)
        return {**_measured(jobs), RECENT.name: RECENT.count(Records({Job: jobs}, since))}

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """The tables, each instance by itself and all together."""
        metrics, histograms = [], []
        for period, days in PERIODS.items():
            parts = _of_all(partial) if days is None else _of_last(partial, within(ledger, days))
            together = {cube.name: cube.merge([part[cube.name] for part in parts.values()]) for cube in _CUBES}
            for instance_id, part in {**parts, ALL_INSTANCES: together}.items():
                owner = pl.lit(instance_id).alias(INSTANCE)
                metrics.append(_metrics(part).with_columns(owner, pl.lit(period).alias("period")))
                if days is None:
                    histograms.append(_histogram(part[COUNTS.name]).with_columns(owner))
        return {TOOL_METRIC.name: pl.concat(metrics), TOOL_HISTOGRAM.name: pl.concat(histograms)}


def _of_all(partial: Partial) -> dict[str, Partial]:
    """TOTALS and COUNTS of each instance."""
    found: dict[str, Partial] = {}
    for cube in _CUBES:
        for instance_id, frame in _by_instance(partial[cube.name]).items():
            found.setdefault(instance_id, {})[cube.name] = frame
    return found


def _of_last(partial: Partial, days: pl.Expr) -> dict[str, Partial]:
    """TOTALS and COUNTS of each instance, of some of the last days."""
    found: dict[str, Partial] = {}
    for instance_id, frame in _by_instance(partial[RECENT.name].filter(days)).items():
        found[instance_id] = _measured(frame[np.repeat(np.arange(frame.height), frame["jobs"])])
    return found


def _by_instance(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by(INSTANCE, include_key=False, as_dict=True)
    return {instance_id: part for (instance_id,), part in parts.items()}


_Series = tuple[str, int, pl.Expr]
"""A metric, an exponent, and the values of it; null where they are not known, or have another exponent."""


def _series() -> list[_Series]:
    """All series, in the order of the cubes' keys."""
    return [
        ("runtime_seconds", _SEVENTH, Job.runtime.expr),
        ("memory_bytes", 0, Job.memory.expr),
        ("cpu_seconds", _NANO, Job.cpu.expr),
        ("cores", _SEVENTH, Job.cores.expr),
        ("allocated_memory_bytes", 0, Job.allocated_memory.expr),
        ("core_seconds", _SEVENTH, Job.core_seconds.expr),
        *_ratio_series("cpu_efficiency"),
        *_ratio_series("memory_efficiency"),
        ("wait_seconds", _SEVENTH, Job.wait.expr),
        ("input_bytes", 0, Job.input_bytes.expr),
        ("output_bytes", 0, Job.output_bytes.expr),
    ]


def _ratio_series(name: str) -> list[_Series]:
    """The series of a ratio, from the column of its name."""
    ratio = pl.col(name)
    values = {exponent: (ratio * 10**-exponent).round().cast(pl.Int64, strict=False) for exponent in _RATIOS}
    return [
        (name, exponent, pl.when(ratio >= least, ratio < greater).then(values[exponent]))
        for exponent, (least, greater) in _RATIOS.items()
    ]


def _ratio(used: pl.Expr, given: pl.Expr) -> pl.Expr:
    """`used` / `given`, one division of IEEE 754; null where nothing was given."""
    return pl.when(given > 0).then(used.cast(pl.Float64) / given.cast(pl.Float64))


def _measured(jobs: pl.DataFrame) -> Partial:
    """TOTALS and COUNTS of jobs in state ok.

    They are what `Cube.add` gives of the measurements, in a third of the time: the jobs are sorted by their tool once,
    so that groups are slices; and a bin is one integer with its tool, so that equal ones are runs when sorted.
    """
    series = _series()
    jobs = jobs.with_columns(
        _ratio(Job.cpu.expr, Job.core_seconds.expr.cast(pl.Float64) * 100).alias("cpu_efficiency"),
        _ratio(Job.memory.expr, Job.allocated_memory.expr).alias("memory_efficiency"),
        code_of(jobs, (Job.tool_id, Job.tool_version)).alias("tool"),
    ).sort("tool")
    jobs = jobs.with_columns(pl.col("tool").rle_id().cast(pl.Int64).set_sorted())
    totals: list[pl.DataFrame] = []
    places: list[pl.Series] = []
    for number, (_, _, value) in enumerate(series):
        known = jobs.select("tool", value.alias(Measurement.value.name)).drop_nulls()
        sums = known.group_by("tool").agg(part for measure in TOTALS.measures for part in measure.add())
        totals.append(sums.with_columns(pl.lit(number, pl.Int64).alias("series")))
        place = (pl.col("tool") * len(series) + number) * BINS + bin_of(Measurement.value.expr)
        places.append(known.select(place).to_series())
    runs = pl.concat(places).sort().rle().struct
    owners = runs.field("value") // BINS
    counts = pl.DataFrame(
        {
            "tool": owners // len(series),
            "series": owners % len(series),
            BIN.name: runs.field("value") % BINS,
            "jobs": runs.field("len"),
        }
    )
    tools = jobs.group_by("tool").agg(pl.col(TOOL_KEY).first()).sort("tool")
    tools = tools.select(Job.tool_id.expr, Job.tool_version.expr)
    return {
        TOTALS.name: _named(TOTALS, pl.concat(totals).sort("tool", "series"), tools, series),
        COUNTS.name: _named(COUNTS, counts, tools, series),
    }


def _named(cube: Cube, rows: pl.DataFrame, tools: pl.DataFrame, series: Sequence[_Series]) -> pl.DataFrame:
    """A frame of a cube, from rows with the numbers of `tool` and `series` in place of its keys."""
    metrics, exponents, _ = zip(*series, strict=True)
    keys = (
        *(tools[name].gather(rows["tool"]) for name in TOOL_KEY),
        pl.Series(Measurement.metric.name, metrics, Measurement.metric.type).gather(rows["series"]),
        pl.Series(Measurement.exponent.name, exponents, Measurement.exponent.type).gather(rows["series"]),
    )
    return rows.with_columns(keys).select(cube.schema().names()).cast(cube.schema())


def _metrics(part: Partial) -> pl.DataFrame:
    """The rows of TOOL_METRIC, from TOTALS and COUNTS."""
    # Both are in the order of their keys, and have the same of them.
    row = pl.struct(_METRIC_KEY).rle_id().alias("row")
    middles = middle(pl.col(BIN.name)) / _ones()
    percentiles = order_statistics(part[COUNTS.name].with_columns(row), ("row",), _PERCENTS, middles)
    rows = _exact(part[TOTALS.name].with_columns(row)).join(percentiles, on="row", maintain_order="left")
    return rows.drop("row").with_columns(
        Measurement.metric.expr.cast(pl.String),
        # What stands for a bin may lie beyond all values that are in it.
        *(pl.col(f"p{percent}").clip("minimum", "maximum") for percent in _PERCENTS),
    )


def _exact(totals: pl.DataFrame) -> pl.DataFrame:
    """For each `row` its key, and all that follows from sums and extremes: in integers up to the one division, which is
    rounded correctly, and the root. The variance is (n · Σx² - (Σx)²) / (n · (n - 1)), as in PostgreSQL."""
    begins = np.flatnonzero(np.diff(totals["row"].cast(pl.Int64), prepend=-1))
    units = np.array([10 ** (exponent - _ATTO) for exponent in totals[Measurement.exponent.name]], object)

    def each(combine: np.ufunc, values: Sequence[int], unit: Any = 1) -> list[int]:
        found: list[int] = combine.reduceat(np.array(values, object) * unit, begins).tolist()
        return found

    n = each(np.add, totals["n"].to_list())
    total = each(np.add, totals["total"].to_list(), units)
    squares = each(np.add, SQUARES.exact(totals), units**2)
    least = each(np.minimum, totals["first_value"].to_list(), units)
    greatest = each(np.maximum, totals["last_value"].to_list(), units)
    variance = [
        (count * square - sum_ * sum_) / (count * (count - 1) * _ONES**2) if count > 1 else None
        for count, sum_, square in zip(n, total, squares, strict=True)
    ]
    found = {
        "n": n,
        "total": [_decimal(sum_) for sum_ in total],
        "mean": [sum_ / (count * _ONES) for count, sum_ in zip(n, total, strict=True)],
        "minimum": [value / _ONES for value in least],
        "maximum": [value / _ONES for value in greatest],
        "variance": variance,
        "stddev": [None if value is None else math.sqrt(value) for value in variance],
    }
    exact = pl.DataFrame(found, schema={name: TOOL_METRIC.schema[name] for name in found})
    return pl.concat([totals[begins].select("row", *_METRIC_KEY), exact], how="horizontal")


def _decimal(value: int) -> str:
    """The decimal text of 1 / _ONES, without zeros at its end."""
    whole, part = divmod(value, _ONES)
    return f"{whole}.{part:0{-_ATTO}}".rstrip("0").rstrip(".")


def _histogram(counts: pl.DataFrame) -> pl.DataFrame:
    """The rows of TOOL_HISTOGRAM, from COUNTS."""
    first, last = (edge(pl.col(BIN.name), _HISTOGRAM_STEP_BITS) for edge in (coarse, coarse_last))
    drawn = counts.filter(Measurement.metric.expr.is_in(_DRAWN)).with_columns(
        (low(first) / _ones()).alias("low"), (end(last) / _ones()).alias("high")
    )
    rows = drawn.group_by(*_METRIC_KEY, "low", "high").agg(pl.col("jobs").sum())
    return rows.with_columns(Measurement.metric.expr.cast(pl.String))


def _ones() -> pl.Expr:
    """How many units of `exponent` are 1."""
    ones = {exponent: float(10**-exponent) for exponent in (0, _SEVENTH, _NANO, _ATTO)}
    return Measurement.exponent.expr.replace_strict(ones, return_dtype=pl.Float64)
