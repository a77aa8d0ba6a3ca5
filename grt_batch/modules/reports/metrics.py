"""How long do tools run, and how much memory and CPU do they really need?

Only jobs in state ok count. The metrics:

- runtime_seconds is what the exporter says; where it is missing, end_epoch - start_epoch;
- memory_bytes is memory.peak (cgroup v2), else memory.max_usage_in_bytes (v1); 0 and 2^62 or more are no measurements;
- cpu_seconds is cpu.stat.usage_usec (v2), else cpuacct.usage (v1, in ns);
- cores is galaxy_slots, allocated_memory_bytes galaxy_memory_mb · 2^20, core_seconds runtime · cores;
- cpu_efficiency is cpu_seconds / core_seconds, memory_efficiency memory_bytes / allocated_memory_bytes;
- wait_seconds is start_epoch - create_time, where that is not negative;
- input_bytes and output_bytes are the sums of the datasets whose size is known.

The version `*` is a tool over all its versions. Its percentiles and histograms are made of the jobs of all versions, as
those of the instance `*` are of the jobs of all instances.

Sums are exact; mean and variance follow from them, exact but for the last digit of a double: variance =
(n · Σx² - (Σx)²) / (n · (n - 1)), as PostgreSQL's var_samp. A percentile p is the value of rank ceil(p · n / 100),
within 1 %.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from grt_batch.aggregate.distributions import Distribution, Distributions, Ratio
from grt_batch.aggregate.measures import JobRows
from grt_batch.aggregate.statistics import BOUNDS_SCALE, Measured, histogram, statistics
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, INSTANCE_KEY, Module, Partial
from grt_batch.modules.helpers import PERIODS, TOOL_COLUMNS, TOOL_KEY, everywhere, places_within, repeated
from grt_batch.schema.records import Field, Job
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import OF_PUBLIC_INSTANCES

NEEDED = Distributions(
    "needed",
    keys=(Job.tool_id, Job.tool_version),
    of=(
        Distribution("runtime_seconds", Job.runtime),
        Distribution("memory_bytes", Job.memory),
        Distribution("cpu_seconds", Job.cpu),
        Distribution("cores", Job.cores),
        Distribution("allocated_memory_bytes", Job.allocated_memory),
        Distribution("core_seconds", Job.core_seconds),
        Distribution("cpu_efficiency", Ratio(Job.cpu, Job.core_seconds, "CPU time / core seconds")),
        Distribution("memory_efficiency", Ratio(Job.memory, Job.allocated_memory, "memory / allocated memory")),
        Distribution("wait_seconds", Job.wait),
        Distribution("input_bytes", Job.input_bytes),
        Distribution("output_bytes", Job.output_bytes),
    ),
    state="ok",
)


RECENT = JobRows(
    name="recent",
    fields=(*NEEDED.fields, Job.day),
    windowed=True,
    state="ok",
    days=max(days for days in PERIODS.values() if days),
)
"""The jobs in state ok of the last days, whose distributions follow once the window is known."""


_PERIOD = Field("period", pl.String(), "", "the key of PERIODS")


_BY_PERIOD = replace(NEEDED, keys=(INSTANCE_KEY, _PERIOD, *NEEDED.keys), state=None)
"""What jobs needed in each period, which follows once the window is known."""


_DRAWN = ("runtime_seconds", "memory_bytes", "cpu_seconds")
"""The metrics of tool_histogram."""


_HISTOGRAM_STEP_BITS = 1


_PERCENTS = (25, 50, 75, 90, 95, 99)


_METRIC_KEY = (*TOOL_KEY, NEEDED.metric.name)


_INSTANCE = Column("instance_id", Type.TEXT, "the instance, or * for all together")


_METRIC = Column("metric", Type.TEXT, ", ".join(f"{one.name} ({one.of.unit})" for one in NEEDED.of))


_UNIT = "unit of the metric"


TOOL_METRIC = Table(
    "tool_metric",
    "What the jobs of a tool in state ok needed: in all, and in the last 30 and 7 days.",
    (INSTANCE, "period", *_METRIC_KEY),
    (
        _INSTANCE,
        Column("period", Type.TEXT, "all, 30d or 7d: the UTC days of create_time up to the as-of day"),
        *TOOL_COLUMNS,
        _METRIC,
        Column("n", Type.BIGINT, "jobs whose metric is known"),
        Column(
            "total",
            Type.NUMERIC,
            "exact sum; efficiencies are kept with 18 decimals or 16 digits",
            _UNIT,
            scale=None,
        ),
        Column("mean", Type.DOUBLE, "total / n", _UNIT),
        Column("minimum", Type.NUMERIC, "the least value, exactly; of an efficiency, with 9 digits", _UNIT, scale=None),
        Column("maximum", Type.NUMERIC, "the greatest value, in the same way", _UNIT, scale=None),
        Column("stddev", Type.DOUBLE, "sample standard deviation (n - 1); null for one job", _UNIT),
        Column("variance", Type.DOUBLE, "sample variance (n - 1); null for one job", f"{_UNIT}, squared"),
        *(
            Column.estimate(
                f"p{percent}",
                Type.DOUBLE,
                f"value of rank ceil({percent} · n / 100), within 1 %",
                _UNIT,
                within=("minimum", "maximum"),
            )
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
        _INSTANCE,
        *TOOL_COLUMNS,
        _METRIC,
        Column("low", Type.NUMERIC, "the values of the bin are this at least", _UNIT, BOUNDS_SCALE),
        Column("high", Type.NUMERIC, "the values of the bin are less than this", _UNIT, BOUNDS_SCALE),
        Column("jobs", Type.BIGINT, "jobs"),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


class Metrics(Module):
    """How long do tools run, and how much memory and CPU do they really need?"""

    name = "metrics"
    cubes = (*NEEDED.cubes, RECENT)
    tables = (TOOL_METRIC, TOOL_HISTOGRAM)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the tables, for each instance and for all together, and so for each version and all versions."""
        whole, recent = _whole(partial), _recent(partial, ledger)
        return {
            TOOL_METRIC.name: statistics(Measured.concat([whole, recent]).each(everywhere), _PERCENTS),
            TOOL_HISTOGRAM.name: histogram(whole.each(everywhere), _DRAWN, _HISTOGRAM_STEP_BITS),
        }


def _whole(partial: Partial) -> Measured:
    """Return what the jobs of all days needed, in each instance."""
    cubes = {cube.name: repeated(partial.columns[cube.name], _PERIOD.name, "all") for cube in NEEDED.cubes}
    return Measured.of(_BY_PERIOD, cubes)


def _recent(partial: Partial, ledger: Ledger) -> Measured:
    """Return what the jobs of the periods of some days needed, in each instance."""
    jobs = partial.columns[RECENT.name]
    parts = [
        repeated(jobs.rows(places_within(jobs, ledger, days)), _PERIOD.name, period)
        for period, days in PERIODS.items()
        if days is not None
    ]
    return Measured.concat([Measured.of(_BY_PERIOD, _BY_PERIOD.add(rows)) for rows in parts])
