"""Which tools run, how often, with what success, and what do they cost?

error_rate = error / (ok + error). A tool is likely broken when more than 4 jobs are ok or error, and over 95 % of these
error. Core hours are runtime · cores, added up; CPU hours the CPU time that was measured; both are null where no job
was measured, which is not 0. The periods are UTC days of create_time, the as-of day the last of them; a job without
create_time counts in `all` only.

The version `*` is a tool over all its versions, also where there is only one: its tool_id has no version at its end. A
job was killed for memory when the cgroup (v2) counted a kill. Under v1 nobody counts: a job in state error whose memory
came to 98 % of its limit at least is taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from grt_batch.aggregate.measures import Count, Cube, Extent, Sum, known_sum
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, Module, Partial
from grt_batch.modules.helpers import (
    PERIODS,
    TOOL_COLUMNS,
    TOOL_KEY,
    error_rate,
    hours,
    outcomes,
    with_all_instances_and_versions,
    within,
)
from grt_batch.schema.records import Job
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.tool_ids import SHED_ID
from grt_batch.schema.visibility import OF_PUBLIC_INSTANCES, Evidence, FromPublicInstances

DAY = Cube(
    "day",
    (Job.day, Job.tool_id, Job.tool_version, Job.state),
    (
        Count("jobs"),
        Sum("runtime_seconds", Job.runtime),
        Sum("core_seconds", Job.core_seconds),
        Sum("cpu_seconds", Job.cpu),
        Sum("input_bytes", Job.input_bytes),
        Sum("output_bytes", Job.output_bytes),
        Sum("oom", Job.oom),
        Extent("job", Job.create_time),
    ),
)


_TOOL = (
    Column("tool_id", Type.TEXT, "full id of the tool; empty where the job has none"),
    Column("tool_version", Type.TEXT, "version of the tool; empty where the job has none"),
)


_INSTANCE = Column("instance_id", Type.TEXT, "the instance, or * for all together")


TOOL = Table(
    "tool",
    "Every tool that a job ran, and what its id says about its origin.",
    TOOL_KEY,
    (
        *_TOOL,
        Column("shed", Type.TEXT, "host of the Tool Shed; null for a tool that is part of the server"),
        Column("owner", Type.TEXT, "owner of the repository"),
        Column("repository", Type.TEXT, "repository in the Tool Shed"),
        Column("name", Type.TEXT, "the tool's short name"),
    ),
    visibility=FromPublicInstances(Evidence("tool_usage", "other.period = 'all'")),
)


TOOL_DAY = Table(
    "tool_day",
    "Jobs and what they used, by day of creation, tool and state. Sums are exact.",
    ("instance_id", "day", *TOOL_KEY, "state"),
    (
        Column("instance_id", Type.TEXT, "the instance"),
        Column("day", Type.DATE, "day of create_time; null for jobs without one", "UTC"),
        *_TOOL,
        Column("state", Type.TEXT, "state of the jobs"),
        Column("jobs", Type.BIGINT, "jobs"),
        Column.sum_of(Job.runtime, "runtime_seconds", "runtime; null where no job has it"),
        Column.sum_of(Job.core_seconds, "core_seconds", "runtime × cores; null where no job has both"),
        Column.sum_of(Job.cpu, "cpu_seconds", "CPU time; null where no job has it"),
        Column.sum_of(Job.input_bytes, "input_bytes", "input datasets; null where no size is known"),
        Column.sum_of(Job.output_bytes, "output_bytes", "output datasets; null where no size is known"),
    ),
    nullable=("day",),
    visibility=OF_PUBLIC_INSTANCES,
    of_instances=True,
    by_year="day",
)


TOOL_USAGE = Table(
    "tool_usage",
    "How much a tool is used and how often it fails: in all, and in the last 30 and 7 days.",
    ("instance_id", "period", *TOOL_KEY),
    (
        _INSTANCE,
        Column("period", Type.TEXT, "all, 30d or 7d: the UTC days of create_time up to the as-of day"),
        *TOOL_COLUMNS,
        Column("jobs", Type.BIGINT, "jobs"),
        Column("ok", Type.BIGINT, "jobs in state ok"),
        Column("error", Type.BIGINT, "jobs in state error"),
        Column("other", Type.BIGINT, "jobs in any other state"),
        Column("error_rate", Type.DOUBLE, "error / (ok + error); null without either"),
        Column("likely_broken", Type.BOOLEAN, "more than 4 jobs are ok or error, and over 95 % of them error"),
        Column("oom", Type.BIGINT, "jobs that were killed for memory; null where nothing could tell of any job"),
        Column("instances", Type.BIGINT, "instances that ran it"),
        Column("core_hours", Type.DOUBLE, "runtime × cores; null where no job has both", "core h"),
        Column("cpu_hours", Type.DOUBLE, "CPU time; null where no job has it", "h"),
        Column("first_job", Type.TIMESTAMP, "first create_time", "UTC"),
        Column("last_job", Type.TIMESTAMP, "last create_time", "UTC"),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


class Tools(Module):
    """Which tools run, how often, with what success, and what do they cost?"""

    name = "tools"
    cubes = (DAY,)
    tables = (TOOL, TOOL_DAY, TOOL_USAGE)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the tables of tools, from one cube."""
        day = partial[DAY.name]
        periods = [
            _usage(day if days is None else day.filter(within(ledger, days)), period)
            for period, days in PERIODS.items()
        ]
        return {TOOL.name: _tools(day), TOOL_USAGE.name: pl.concat(periods)}

    def instance_rows(self, partial: Partial, instances: Sequence[InstanceEntry]) -> dict[str, pl.DataFrame]:
        """Return what tools did day by day: the rows of the same cube."""
        return {TOOL_DAY.name: partial[DAY.name]}


def _tools(day: pl.DataFrame) -> pl.DataFrame:
    tools = day.select(TOOL_KEY).unique().cast(pl.String)
    parts = pl.col("tool_id").str.extract_groups(SHED_ID)
    plain = parts.struct.field("name").is_null()
    return tools.with_columns(
        *(parts.struct.field(field).alias(field) for field in ("shed", "owner", "repository")),
        pl.when(plain).then(pl.col("tool_id")).otherwise(parts.struct.field("name")).alias("name"),
    )


def _usage(day: pl.DataFrame, period: str) -> pl.DataFrame:
    key = (INSTANCE, *TOOL_KEY)
    totals = (
        known_sum(pl.col("core_seconds", "cpu_seconds", "oom")),
        pl.col("first_job").min(),
        pl.col("last_job").max(),
    )
    # First over days and states: few rows are left to be added up over versions and instances.
    tools = with_all_instances_and_versions(day.group_by(key).agg(*outcomes(), *totals))
    usage = tools.group_by(key).agg(pl.col("jobs", "ok", "error").sum(), *totals)
    counted = usage.filter(pl.col(INSTANCE) != ALL_INSTANCES).group_by(TOOL_KEY).agg(instances=pl.len())
    finished = pl.col("ok") + pl.col("error")
    return usage.join(counted, on=TOOL_KEY, how="left", maintain_order="left").with_columns(
        pl.lit(period).alias("period"),
        (pl.col("jobs") - finished).alias("other"),
        error_rate(),
        # error / finished > 95 / 100, in integers.
        ((finished > 4) & (pl.col("error") * 100 > finished * 95)).alias("likely_broken"),
        pl.when(pl.col(INSTANCE) == ALL_INSTANCES)
        .then(pl.col("instances"))
        .otherwise(1)
        .cast(pl.Int64)
        .alias("instances"),
        hours(pl.col("core_seconds"), Job.core_seconds).alias("core_hours"),
        hours(pl.col("cpu_seconds"), Job.cpu).alias("cpu_hours"),
    )
