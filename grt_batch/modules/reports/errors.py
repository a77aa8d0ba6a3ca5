"""Which tools have begun to fail, or to take longer or shorter, in the last 30 days?

Error rates are compared by the two-proportion z-test. Medians of a few widely spread runtimes differ much without any
change, so a changed median must also pass Mood's median test, which compares the shares of the runs that
lie above the median of both periods, by the same z-test (A. M. Mood, "Introduction to the Theory of Statistics", 1950).

The version `*` is a tool over all its versions: it may change because another version is used.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from grt_batch.aggregate.binned import Binned
from grt_batch.aggregate.grouping import Groups
from grt_batch.aggregate.measures import Count, Cube, Extent
from grt_batch.aggregate.sketch import bin_field
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, INSTANCE_KEY, Module, Partial
from grt_batch.modules.helpers import (
    TOOL_COLUMNS,
    TOOL_KEY,
    everywhere,
    in_state,
    jobs_in,
    places_within,
    with_all_instances_and_versions,
    within,
)
from grt_batch.schema.records import WINDOW_DAYS, Job
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import Evidence, OfPublicInstances

JOBS = Cube(
    "jobs",
    (Job.day, Job.tool_id, Job.tool_version, Job.state),
    (Count("jobs"), Extent("runtime", Job.runtime)),
    windowed=True,
)


RUNTIMES = Cube(
    "runtimes",
    (Job.day, Job.tool_id, Job.tool_version, bin_field(Job.runtime)),
    (Count("jobs"),),
    windowed=True,
    state="ok",
)


PERIOD_DAYS = WINDOW_DAYS // 2
"""The days of each of the two periods that are compared: the windowed cubes reach back to both."""


_KEY = (INSTANCE, *TOOL_KEY)


_BEFORE, _AFTER = f"in the {PERIOD_DAYS} days before those", f"in the last {PERIOD_DAYS} days"


_EXTENTS = ("first_runtime", "last_runtime")


_BOUNDS = dict.fromkeys((f"{end}_{period}" for period in ("before", "after") for end in _EXTENTS), pl.Float64())
"""Columns of the frame alone, in seconds: what runtime_p50_before and runtime_p50_after lie between."""


def _median(period: str) -> Column:
    return Column.estimate(
        f"runtime_p50_{period}",
        Type.DOUBLE,
        f"median of runs_{period}, within 1 %; null without any",
        "s",
        within=(f"first_runtime_{period}", f"last_runtime_{period}"),
    )


TOOL_CHANGE = Table(
    "tool_change",
    f"Tools whose error rate or median runtime has changed: the last {PERIOD_DAYS} UTC days of create_time, the"
    f" as-of day the last of them, against the {PERIOD_DAYS} days before. The keys change_… of the configuration say"
    " what a change is.",
    _KEY,
    (
        Column("instance_id", Type.TEXT, "the instance, or * for all together"),
        *TOOL_COLUMNS,
        Column("jobs_before", Type.BIGINT, f"jobs in state ok or error {_BEFORE}"),
        Column("jobs_after", Type.BIGINT, f"jobs in state ok or error {_AFTER}"),
        Column("error_before", Type.BIGINT, "those of jobs_before in state error"),
        Column("error_after", Type.BIGINT, "those of jobs_after in state error"),
        Column("error_rate_before", Type.DOUBLE, "error_before / jobs_before"),
        Column("error_rate_after", Type.DOUBLE, "error_after / jobs_after"),
        Column("error_rate_change", Type.DOUBLE, "error_rate_after - error_rate_before"),
        Column("z", Type.DOUBLE, "two-proportion z statistic, positive for more errors; null where none or all failed"),
        Column("p_value", Type.DOUBLE, "how likely such a z or a larger one is by chance, either way, for one tool"),
        Column("runs_before", Type.BIGINT, f"jobs in state ok with a runtime {_BEFORE}"),
        Column("runs_after", Type.BIGINT, f"jobs in state ok with a runtime {_AFTER}"),
        *(_median(period) for period in ("before", "after")),
        Column.estimate(
            "runtime_ratio",
            Type.DOUBLE,
            "runtime_p50_after / runtime_p50_before; null where that is 0 or null",
            error=0.02,
        ),
        Column(
            "runtime_p_value",
            Type.DOUBLE,
            "Mood's median test: how likely such shares of longer runs are by chance; null where all are alike",
        ),
        Column("changed", Type.TEXT, "what changed: error_rate, runtime, or both with a space between"),
    ),
    visibility=OfPublicInstances(
        # An instance has a row only where its own numbers changed: any instance with finished jobs has contributed.
        Evidence("tool_usage", "other.period = '30d' AND other.ok + other.error > 0")
    ),
)


class Errors(Module):
    """Which tools have begun to fail, or to take longer or shorter, in the last 30 days?"""

    name = "errors"
    settings = ("change_min_jobs", "change_p_value", "change_min_rate", "change_runtime_percent")
    cubes = (JOBS, RUNTIMES)
    tables = (TOOL_CHANGE,)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the table, from tools in both periods: one that is new or gone did not change."""
        runtimes, jobs = _runtimes(partial, ledger), partial[JOBS.name]

        def period(ago: int) -> pl.DataFrame:
            runs = _runs(runtimes.each(lambda runs: runs.rows(places_within(runs, ledger, PERIOD_DAYS, ago=ago))))
            rows = _finished(jobs.filter(within(ledger, PERIOD_DAYS, ago=ago))).join(runs, on=_KEY, how="left")
            # The value that stands for a bin may lie beyond all values in it.
            return rows.with_columns(pl.col("runs", "longer").fill_null(0), pl.col("p50").clip(*_EXTENTS))

        before, after = period(PERIOD_DAYS), period(0)
        both = before.join(after, on=_KEY, suffix="_after").filter(
            pl.min_horizontal("jobs", "jobs_after") >= ledger.config.change_min_jobs
        )
        changes = (_change(row, ledger.config) for row in both.iter_rows(named=True))
        rows = [change for change in changes if change["changed"]]
        return {TOOL_CHANGE.name: pl.DataFrame(rows, schema={**TOOL_CHANGE.schema, **_BOUNDS})}


def _runtimes(partial: Partial, ledger: Ledger) -> Binned:
    """Return the runtimes of both periods, for each instance and tool; `runs` has how many are in each run, and how
    many of them are longer than the median of both periods."""
    runtimes = Binned.of(partial.columns[RUNTIMES.name], (*_KEY, Job.day.name))
    runtimes = runtimes.each(lambda runs: everywhere(runs.rows(places_within(runs, ledger, WINDOW_DAYS))))
    median = runtimes.percentiles(_KEY, (50,))["p50"]
    count, longer = runtimes.above(median[Groups.of(runtimes.runs, _KEY).group])
    return runtimes.each(lambda runs: runs.extended({"runs": count, "longer": longer}))


def _runs(runtimes: Binned) -> pl.DataFrame:
    """Return for each instance and tool: runs, those that are longer, and their median p50 in the integers of
    `Job.runtime`."""
    groups = Groups.of(runtimes.runs, _KEY)
    return runtimes.quantiles((INSTANCE_KEY, Job.tool_id, Job.tool_version), (50,)).with_columns(
        pl.Series(name, groups.added(runtimes.runs[name])) for name in ("runs", "longer")
    )


def _finished(jobs: pl.DataFrame) -> pl.DataFrame:
    """Return for each instance and tool jobs, those that are ok or error, error, and the extent of the runtime."""
    ok = in_state("ok")
    of_each = jobs.group_by(_KEY).agg(
        pl.col("first_runtime").filter(ok).min(),
        pl.col("last_runtime").filter(ok).max(),
        jobs=jobs_in("ok") + jobs_in("error"),
        error=jobs_in("error"),
    )
    extent = pl.col("first_runtime").min(), pl.col("last_runtime").max()
    return with_all_instances_and_versions(of_each).group_by(_KEY).agg(pl.col("jobs", "error").sum(), *extent)


def _change(row: dict[str, Any], config: Config) -> dict[str, Any]:
    """Return a row of the table; `changed` is empty where nothing changed."""
    jobs, error = (row["jobs"], row["jobs_after"]), (row["error"], row["error_after"])
    runs, p50 = (row["runs"], row["runs_after"]), (row["p50"], row["p50_after"])
    # The difference of the rates times the product of the jobs is an integer.
    difference, whole = error[1] * jobs[0] - error[0] * jobs[1], jobs[0] * jobs[1]
    z, p_value = two_proportions(error, jobs)
    _, runtime_p_value = two_proportions((row["longer"], row["longer_after"]), runs)
    changes = {
        "error_rate": p_value is not None
        and p_value <= config.change_p_value
        and abs(difference) * 100 >= config.change_min_rate * whole,
        "runtime": min(runs) >= config.change_min_jobs
        and runtime_p_value is not None
        and runtime_p_value <= config.change_p_value
        and _differ(*p50, config.change_runtime_percent),
    }
    return {
        **{name: row[name] for name in _KEY},
        "jobs_before": jobs[0],
        "jobs_after": jobs[1],
        "error_before": error[0],
        "error_after": error[1],
        "error_rate_before": error[0] / jobs[0],
        "error_rate_after": error[1] / jobs[1],
        "error_rate_change": difference / whole,
        "z": z,
        "p_value": p_value,
        "runs_before": runs[0],
        "runs_after": runs[1],
        "runtime_p50_before": _seconds(p50[0]),
        "runtime_p50_after": _seconds(p50[1]),
        "runtime_ratio": p50[1] / p50[0] if p50[0] and runs[1] else None,
        "runtime_p_value": runtime_p_value,
        "changed": " ".join(what for what, is_so in changes.items() if is_so),
        **{f"{end}_before": _seconds(row[end]) for end in _EXTENTS},
        **{f"{end}_after": _seconds(row[f"{end}_after"]) for end in _EXTENTS},
    }


def _seconds(runtime: int | None) -> float | None:
    return None if runtime is None else runtime / Job.runtime.one


def _differ(before: int, after: int, percent: int) -> bool:
    """Whether the larger exceeds the smaller by `percent` or more; false where `before` is 0."""
    smaller, larger = sorted((before, after))
    return before > 0 and larger * 100 >= smaller * (100 + percent)


def two_proportions(x: tuple[int, int], n: tuple[int, int]) -> tuple[float, float] | tuple[None, None]:
    """Return z and the two-sided p-value of x[1] of n[1] against x[0] of n[0].

    Both are None where an n is 0, and where the x together are 0 or all of the n.

    The statistic, with the pooled proportion, is that of the NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3,
    https://www.itl.nist.gov/div898/handbook/prc/section3/prc33.htm, multiplied out: the counts stay exact up to one
    division and one root. The p-value is 2 · (1 - Φ(|z|)) = erfc(|z| / √2).
    """
    all_x, all_n = sum(x), sum(n)
    if all_x in (0, all_n) or 0 in n:
        return None, None
    z = (x[1] * n[0] - x[0] * n[1]) * math.sqrt(all_n / (n[0] * n[1] * all_x * (all_n - all_x)))
    # The last digits of erfc depend on the C library; without them a report is the same on every machine.
    return z, float(f"{math.erfc(abs(z) / math.sqrt(2)):.12g}")
