"""How long do the jobs of a tool wait before they run, in the last 30 days?

wait_share is the part of their time, from creation to end, that they waited. Only jobs with a known wait count.
"""

from __future__ import annotations

import polars as pl

from grt_batch.modules import (
    INSTANCE,
    OF_PUBLIC_INSTANCES,
    Column,
    Count,
    Cube,
    Job,
    Ledger,
    Module,
    Partial,
    Sum,
    Table,
    Type,
    bin_field,
    known_sum,
    quantiles,
    with_all_instances,
    within,
)

# Jobs by day, tool and bin of the wait: percentiles come from the jobs in each bin. A windowed cube keeps only the days
# that a window can reach.
WAITS = Cube(
    "waits",
    (Job.day, Job.tool_id, bin_field(Job.wait)),
    (Count("jobs"), Sum("wait", Job.wait), Sum("runtime", Job.runtime)),
    windowed=True,
)
KEY = (INSTANCE, "tool_id")
TOOL_WAIT = Table(
    "tool_wait",
    "How long the jobs of a tool waited before they ran, in the last 30 days.",
    key=KEY,
    columns=(
        Column("instance_id", Type.TEXT, "the instance, or * for all together"),
        Column("tool_id", Type.TEXT, "full id of the tool"),
        Column("jobs", Type.BIGINT, "jobs with a known wait", "jobs"),
        Column.estimate("wait_p50", Type.DOUBLE, "median of the wait, within 1 %", "s"),
        Column.estimate("wait_p95", Type.DOUBLE, "95th percentile of the wait, within 1 %", "s"),
        Column(
            "wait_share",
            Type.DOUBLE,
            "wait / (wait + runtime), over all jobs; null without any runtime, and where both are 0",
        ),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


class ToolWait(Module):
    """How long do the jobs of a tool wait before they run, in the last 30 days?"""

    name = "tool_wait"
    cubes = (WAITS,)
    tables = (TOOL_WAIT,)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Make the table: each instance by itself, and all of them together."""
        waits = with_all_instances(partial["waits"].filter(within(ledger, 30)))
        sums = waits.group_by(KEY).agg(known_sum(pl.col("jobs", "wait", "runtime")))
        rows = sums.join(quantiles(waits, KEY, (50, 95)), on=KEY)
        whole = pl.col("wait") + pl.col("runtime")
        # Sums and percentiles are exact integers in 1e-7 s; `in_units` gives seconds.
        wait_share = pl.when(whole > 0).then(pl.col("wait") / whole)
        return {
            "tool_wait": rows.with_columns(
                Job.wait.in_units(pl.col("p50")).alias("wait_p50"),
                Job.wait.in_units(pl.col("p95")).alias("wait_p95"),
                wait_share.alias("wait_share"),
            )
        }
