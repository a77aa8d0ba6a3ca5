"""How long do tools run, and how much memory and CPU do they really need?

Only jobs in state ok count. Of the metrics

- runtime_seconds is what the exporter says; where it is missing, end_epoch - start_epoch;
- memory_bytes is memory.peak (cgroup v2), else memory.max_usage_in_bytes (v1); 0 and 2^62 or more are no measurements;
- cpu_seconds is cpu.stat.usage_usec (v2), else cpuacct.usage (v1, in ns);
- cores is galaxy_slots, allocated_memory_bytes galaxy_memory_mb · 2^20, core_seconds runtime · cores;
- cpu_efficiency is cpu_seconds / core_seconds, memory_efficiency memory_bytes / allocated_memory_bytes;
- wait_seconds is start_epoch - create_time, where that is not negative;
- input_bytes and output_bytes are the sums of the datasets whose size is known.

Sums are exact; mean and variance follow from them, exact but for the last digit of a double: variance =
(n · Σx² - (Σx)²) / (n · (n - 1)), as PostgreSQL's var_samp. A percentile p is the value of rank ceil(p · n / 100),
within 0.8 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.aggregate.measures import Count, Cube, Extent, JobRows, Squares, Sum
from grt_batch.aggregate.sketch import BIN, coarse, coarse_last, end, low, middle, order_statistics
from grt_batch.frames.composite_keys import Integers, key_order
from grt_batch.frames.dictionaries import alike, filled
from grt_batch.kernels.sketch import Tally, tally
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, WINDOW_DAYS, Module, Partial
from grt_batch.modules.helpers import PERIODS, TOOL_KEY, within
from grt_batch.schema.members import NULL, SECONDS_SCALE
from grt_batch.schema.records import Field, Job, Record, Records
from grt_batch.schema.tables import Column, Table, Type, exact_text
from grt_batch.schema.visibility import OF_PUBLIC_INSTANCES

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


_HISTOGRAM_STEP_BITS = 1


_PERCENTS = (25, 50, 75, 90, 95, 99)


_SEVENTH, _NANO, _ATTO = -SECONDS_SCALE, -9, -18


_ONES = 10**-_ATTO
"""The least unit of any metric goes so often into 1."""


_RATIOS = {
    exponent: (9.0 * 10 ** (15 + exponent) if exponent > _ATTO else 0.0, 9.0 * 10 ** (18 + exponent))
    for exponent in range(_ATTO, 1, 3)
}
"""In which unit a ratio is kept, by its size: in 63 bits, and from 9 on with as many digits as a double has."""


class Measurement(Record):
    """One row a job in state ok and metric that is known of it: the integer `value` times 10 to the `exponent`."""

    kind = "measurements"
    metric = Field("metric", pl.Enum(list(UNITS)), "", "the metric")
    exponent = Field("exponent", pl.Int8(), "", "values are integers of 10 to this power, in the unit of the metric")
    value = Field("value", pl.Int64(), "10^exponent", "the value, not negative")
    bin = BIN


_KEYS = (Measurement.metric, Measurement.tool_id, Measurement.tool_version, Measurement.exponent)


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


RECENT = JobRows(name="recent", fields=(Job.tool_id, Job.tool_version, Job.day, *_MEASURED), windowed=True)
"""The jobs in state ok of the last days: TOTALS and COUNTS of them are for the window to tell."""


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
        Column(
            "total",
            Type.NUMERIC,
            "exact sum, of efficiencies with 18 decimals or 16 digits",
            _UNIT,
            scale=None,
        ),
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
    visibility=OF_PUBLIC_INSTANCES,
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
    visibility=OF_PUBLIC_INSTANCES,
)


class Metrics(Module):
    """How long do tools run, and how much memory and CPU do they really need?"""

    name = "metrics"
    cubes = (*_CUBES, RECENT)
    tables = (TOOL_METRIC, TOOL_HISTOGRAM)

    def aggregate(self, records: Records) -> Partial:
        """The partial of some jobs."""
        columns = RECENT.schema().names()
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
        frames = {TOOL_METRIC.name: metrics, TOOL_HISTOGRAM.name: histograms}
        return {name: pl.concat(alike(parts, TOOL_KEY)) for name, parts in frames.items()}


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
        found[instance_id] = _measured(frame)
    return found


def _by_instance(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = frame.partition_by(INSTANCE, include_key=False, as_dict=True)
    return {instance_id: part for (instance_id,), part in parts.items()}


_METRICS: Mapping[str, tuple[int, pl.Expr]] = {
    "runtime_seconds": (_SEVENTH, Job.runtime.expr),
    "memory_bytes": (0, Job.memory.expr),
    "cpu_seconds": (_NANO, Job.cpu.expr),
    "cores": (_SEVENTH, Job.cores.expr),
    "allocated_memory_bytes": (0, Job.allocated_memory.expr),
    "core_seconds": (_SEVENTH, Job.core_seconds.expr),
    "wait_seconds": (_SEVENTH, Job.wait.expr),
    "input_bytes": (0, Job.input_bytes.expr),
    "output_bytes": (0, Job.output_bytes.expr),
}
"""The metrics that are integers, the exponents of their units, and their values."""


_EFFICIENCIES: Mapping[str, tuple[pl.Expr, pl.Expr]] = {
    "cpu_efficiency": (Job.cpu.expr, Job.core_seconds.expr.cast(pl.Float64) * 100),
    "memory_efficiency": (Job.memory.expr, Job.allocated_memory.expr),
}
"""The metrics that are ratios: what was used, and what was given."""


_Series = tuple[str, int, Integers]
"""A metric, an exponent, and the values, NULL where they are not known or have another exponent."""


def _series(jobs: pl.DataFrame) -> Iterator[_Series]:
    """The values of each metric, by their exponents."""
    values = jobs.select(value.fill_null(NULL).alias(metric) for metric, (_, value) in _METRICS.items())
    # One division of IEEE 754; null where nothing was given.
    ratios = jobs.select(
        pl.when(given > 0).then(used.cast(pl.Float64) / given.cast(pl.Float64)).alias(metric)
        for metric, (used, given) in _EFFICIENCIES.items()
    )
    for metric in UNITS:
        if metric in _METRICS:
            yield metric, _METRICS[metric][0], values[metric].to_numpy()
            continue
        ratio = ratios[metric]
        for exponent, (least, greater) in _RATIOS.items():
            inside = ratio.is_between(least, greater, closed="left")
            if inside.any():
                scaled = (ratio * 10**-exponent).round().cast(pl.Int64, strict=False)
                yield metric, exponent, scaled.set(~inside, None).fill_null(NULL).to_numpy()


def _measured(jobs: pl.DataFrame) -> Partial:
    """TOTALS and COUNTS of jobs in state ok: what `Cube.add` gives of the measurements, in less time. The jobs are
    sorted by their tool once, so that a tool is a slice of them."""
    if not jobs.height:
        return {cube.name: cube.empty() for cube in _CUBES}
    jobs = jobs.with_columns(filled(jobs[name]) for name in TOOL_KEY)
    order, begins = key_order(jobs, TOOL_KEY)
    jobs, tools = jobs[order], jobs.select(TOOL_KEY)[order[begins]]
    begins = np.append(begins, jobs.height)
    tallies = {(metric, exponent): tally(begins, values) for metric, exponent, values in _series(jobs)}
    return {
        TOTALS.name: _named(TOTALS, _totals(tallies.values()), tools, list(tallies)),
        COUNTS.name: _named(COUNTS, _counts(tallies.values()), tools, list(tallies)),
    }


def _totals(tallies: Collection[Tally]) -> pl.DataFrame:
    """The measures of TOTALS, by the numbers of `series` and `tool`."""
    some = [np.flatnonzero(found.n) for found in tallies]

    def column(values: Callable[[Tally], npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        return np.concatenate([values(found)[places] for found, places in zip(tallies, some, strict=True)])

    sums = column(lambda found: found.sums)
    words = pl.DataFrame({f"{place}{end}": sums[:, place, end] for place in range(4) for end in range(2)})
    exact = words.cast(pl.Int128).select(pl.col(f"{place}0") * (1 << 32) + pl.col(f"{place}1") for place in range(4))
    return pl.DataFrame(
        {
            "series": np.repeat(np.arange(len(some)), [len(places) for places in some]),
            "tool": np.concatenate(some),
            "n": column(lambda found: found.n),
            "first_value": column(lambda found: found.least),
            "last_value": column(lambda found: found.greatest),
            **dict(zip(("total", *SQUARES.schema()), exact, strict=True)),
        }
    )


def _counts(tallies: Collection[Tally]) -> pl.DataFrame:
    """The measure of COUNTS, by the numbers of `series` and `tool`, and by bin."""
    return pl.DataFrame(
        {
            "series": np.repeat(np.arange(len(tallies)), [len(found.bin) for found in tallies]),
            "tool": np.concatenate([found.group for found in tallies]),
            BIN.name: np.concatenate([found.bin for found in tallies]),
            "jobs": np.concatenate([found.count for found in tallies]),
        }
    )


def _named(cube: Cube, rows: pl.DataFrame, tools: pl.DataFrame, series: Sequence[tuple[str, int]]) -> pl.DataFrame:
    """A frame of a cube, from rows with the numbers of `series`, metrics and exponents, and of `tools` in place of its
    keys."""
    metrics = list(UNITS)
    numbers = np.array([metrics.index(metric) for metric, _ in series])[rows["series"].to_numpy()]
    # A ratio has several series: those of a tool stand together.
    order = np.argsort(numbers * tools.height + rows["tool"].to_numpy(), kind="stable")
    rows, numbers = rows[order], numbers[order]
    exponents = pl.Series(Measurement.exponent.name, [exponent for _, exponent in series], Measurement.exponent.type)
    return cube.typed(
        rows.with_columns(
            pl.Series(Measurement.metric.name, metrics, Measurement.metric.type)[numbers],
            exponents[rows["series"]],
            *(tools[name][rows["tool"]] for name in TOOL_KEY),
        )
    )


def _metrics(part: Partial) -> pl.DataFrame:
    """The rows of TOOL_METRIC, from TOTALS and COUNTS."""
    # Both are in the order of their keys, and have the same of them.
    row = pl.struct(_METRIC_KEY).rle_id().alias("row")
    middles = middle(pl.col(BIN.name)) / _ones()
    percentiles = order_statistics(part[COUNTS.name].with_columns(row), ("row",), _PERCENTS, middles)
    rows = _exact(part[TOTALS.name].with_columns(row)).join(percentiles, on="row", maintain_order="left")
    return rows.drop("row").with_columns(
        # What stands for a bin may lie beyond all values that are in it.
        *(pl.col(f"p{percent}").clip("minimum", "maximum") for percent in _PERCENTS),
    )


def _exact(totals: pl.DataFrame) -> pl.DataFrame:
    """For each `row` its key, and all that follows from sums and extremes. The variance is (n · Σx² - (Σx)²) /
    (n · (n - 1)), as in PostgreSQL; both products are exact."""
    squares = sum(pl.col(name).cast(pl.Float64) * 2.0**bits for name, bits in zip(_SQUARES, (64, 33, 0), strict=True))
    alone = pl.col("row").is_unique()
    fits = totals.select(alone & (squares * pl.col("n") < 2.0**124)).to_series()
    of_exponent = totals.filter(fits).partition_by(Measurement.exponent.name)
    return pl.concat([*map(_exact_128, of_exponent), _exact_any(totals.filter(~fits))]).sort("row")


_SQUARES = tuple(SQUARES.schema())


def _exact_128(totals: pl.DataFrame) -> pl.DataFrame:
    """Of rows of one exponent whose products fit in 128 bits: nearly all."""
    n, total, unit = pl.col("n"), pl.col("total"), _ones()
    high, mixed, low = (pl.col(name) for name in _SQUARES)
    # A factor and not a shift: these are 128 bits.
    square = high * (1 << 64) + mixed * (1 << 33) + low
    spread = (n.cast(pl.Int128) * square - total * total).cast(pl.Float64)
    exact = totals.with_columns(
        (total.cast(pl.Float64) / n / unit).alias("mean"),
        (pl.col("first_value") / unit).alias("minimum"),
        (pl.col("last_value") / unit).alias("maximum"),
        pl.when(n > 1).then(spread / (n.cast(pl.Float64) * (n - 1)) / unit / unit).alias("variance"),
    )
    return exact.select(
        "row",
        *_METRIC_KEY,
        "n",
        exact_text(total, -totals[Measurement.exponent.name][0]).alias("total"),
        pl.col("mean").clip("minimum", "maximum"),
        "minimum",
        "maximum",
        "variance",
        pl.col("variance").sqrt().alias("stddev"),
    )


def _exact_any(totals: pl.DataFrame) -> pl.DataFrame:
    """Of any rows, with Python's integers."""
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
    drawn = counts.filter(Measurement.metric.expr.is_in(_DRAWN)).with_columns(
        coarse(pl.col(BIN.name), _HISTOGRAM_STEP_BITS).alias("first")
    )
    order, begins = key_order(drawn, (*_METRIC_KEY, "first"))
    jobs = np.add.reduceat(drawn["jobs"].to_numpy()[order], begins)
    last = coarse_last(pl.col(BIN.name), _HISTOGRAM_STEP_BITS)
    return drawn[order[begins]].select(
        *_METRIC_KEY, (low(pl.col("first")) / _ones()).alias("low"), (end(last) / _ones()).alias("high"), jobs=jobs
    )


def _ones() -> pl.Expr:
    """How many units of `exponent` are 1."""
    exponents = {exponent for exponent, _ in _METRICS.values()} | _RATIOS.keys()
    ones = {exponent: float(10**-exponent) for exponent in exponents}
    return Measurement.exponent.expr.replace_strict(ones, return_dtype=pl.Float64)
