"""From unpacked members to records, and to jobs with their measurements, by polars alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from bench.unpacking import Member
from grt_batch.schema.plausible import (
    FIRST_SECOND,
    LAST_SECOND,
    MOST_BYTES,
    MOST_CORES,
    MOST_PROCESSORS,
    MOST_SECONDS,
    SLACK_SECONDS,
)

JOB, TOOL = ("file", "job_id"), ("tool_id", "tool_version")
"""What tells the job of a record, and its tool."""

_JOBS = {"job_id": pl.Int64(), "tool_id": pl.String(), "tool_version": pl.String(), "state": pl.String()}
_LAYOUTS: Mapping[tuple[str, int], Mapping[str, pl.DataType]] = {
    ("jobs", 5): {**_JOBS, "create_time": pl.String()},
    ("jobs", 3): {name: kind for name, kind in _JOBS.items() if name != "tool_version"},
    ("metric_num", 4): {"job_id": pl.Int64(), "plugin": pl.String(), "name": pl.String(), "value": pl.Float64()},
    ("params", 3): {"job_id": pl.Int64(), "name": pl.String(), "value": pl.String()},
    ("datasets", 6): {
        "job_id": pl.Int64(), "dataset_id": pl.Int64(), "extension": pl.String(), "file_size": pl.Int64(),
        "param_name": pl.String(), "type": pl.String(),
    },
}  # fmt: skip
"""The columns of a kind of member, by their number."""

_IS_RECORD: Mapping[tuple[str, int], pl.Expr] = {
    ("jobs", 5): pl.col("state").is_not_null()
    & (pl.col("create_time").is_null() | pl.col("create_time").str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2} ")),
    ("datasets", 6): pl.col("type").is_in(["input", "output"]),
    ("params", 3): ~pl.col("name").str.contains(r"^[0-9]+$"),
}
"""What holds of the records of a kind, and not of what polars leaves of a line with too many fields."""

_INTEGER = r"^(None|-?[0-9]+)$"
_TIME = "%Y-%m-%d %H:%M:%S%.f"
_METRICS = {
    "runtime_seconds": "runtime", "start_epoch": "start", "end_epoch": "end", "galaxy_slots": "slots",
    "galaxy_memory_mb": "megabytes", "memory.peak": "peak", "memory.max_usage_in_bytes": "max_usage",
    "cpu.stat.usage_usec": "usage_usec", "cpuacct.usage": "usage_ns", "memory.events.oom_kill": "kills",
    "memory.limit_in_bytes": "limit", "memory.failcnt": "hits",
}  # fmt: skip
_NO_LIMIT = 2**62


def read_records(members: Sequence[Member], kind: str) -> pl.DataFrame:
    """Return the records of all members of a kind; `file` is the number of their archive."""
    layout = next(layout for (of, _), layout in _LAYOUTS.items() if of == kind)
    found = [part for member in members if member.kind == kind and member.columns for part in _parts(member)]
    records = pl.concat([pl.LazyFrame(schema={**layout, "file": pl.Int32()}), *found], how="diagonal")
    if kind == "jobs":
        records = records.with_columns(pl.col("create_time").str.to_datetime(_TIME, time_unit="us", strict=False))
    return records.collect()


def _parts(member: Member) -> Iterator[pl.LazyFrame]:
    """Return the records of a member: its valid lines, and what can be salvaged of lines with too many fields."""
    layout = _LAYOUTS[member.kind, member.columns]
    file = pl.lit(member.place, pl.Int32()).alias("file")
    rows = pl.scan_csv(
        member.path, separator="\t", has_header=False, quote_char=None, null_values="None", schema=layout,
        ignore_errors=True, truncate_ragged_lines=True, missing_columns="insert",
    )  # fmt: skip
    is_record = pl.col("job_id").is_not_null() & _IS_RECORD.get((member.kind, member.columns), pl.lit(value=True))
    yield rows.filter(is_record).with_columns(file)
    tabs = pl.col("line").str.count_matches("\t", literal=True)
    long = pl.scan_lines(member.path, name="line").filter(tabs >= len(layout))
    fields = _saved(pl.col("line").str.split("\t"), member.kind, len(layout))
    yield _typed(long.select(fields=fields), layout).filter(is_record).with_columns(file)


def _saved(fields: pl.Expr, kind: str, width: int) -> pl.Expr:
    """The last `width` fields of a longer line; where these are no dataset, its param_name holds a tab."""
    last = fields.list.tail(width)
    if kind != "datasets":
        return last
    is_record = pl.all_horizontal(last.list.get(place).str.contains(_INTEGER) for place in (0, 1, 3))
    name = fields.list.slice(4, fields.list.len() - width + 1).list.join("\t")
    return pl.when(is_record).then(last).otherwise(pl.concat_list(fields.list.head(4), name, fields.list.tail(1)))


def _typed(rows: pl.LazyFrame, layout: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    return rows.select(
        pl.col("fields").list.get(place).replace("None", None).cast(kind, strict=False).alias(name)
        for place, (name, kind) in enumerate(layout.items())
    )


def newest_jobs(lines: pl.DataFrame, homes: Sequence[str]) -> pl.DataFrame:
    """Return one row a job, from the newest archive. A later archive of an instance has a higher `file`."""
    instance = pl.Series("instance_id", homes).gather(lines["file"])
    lines = lines.with_columns(instance, pl.col(*TOOL, "state").fill_null(""))
    return lines.sort("file").unique(["instance_id", "job_id"], keep="last")


def metrics_of(lines: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each job with metrics, with the last value of each used metric."""
    values = pl.when(pl.col("value") < _NO_LIMIT).then(pl.col("value"))
    used = lines.filter(pl.col("name").is_in(list(_METRICS))).with_columns(values)
    columns = used.pivot("name", on_columns=list(_METRICS), index=JOB, values="value", aggregate_function="last")
    return columns.rename(_METRICS)


def sizes_of(datasets: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each job with datasets of known size, with their sums.

    A dataset may stand there under several names; without an id, each row is one.
    """
    sums = (pl.col("file_size").filter(type=kind) for kind in ("input", "output"))
    names = ("input_bytes", "output_bytes")
    known = datasets.lazy().filter(pl.col("file_size").is_between(0, MOST_BYTES)).with_row_index("row")
    nameless = pl.when(pl.col("dataset_id").is_null()).then("row")
    different = known.group_by(*JOB, "type", "dataset_id", nameless).agg(pl.col("file_size").max()).collect()
    return different.group_by(JOB).agg(
        pl.when(size.len() > 0).then(size.sum()).alias(name) for size, name in zip(sums, names, strict=True)
    )


def measured_jobs(newest: pl.DataFrame, metrics: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Return one row a job with all its measurements."""

    def plausible(value: pl.Expr | str, most: Any, *, least: Any = 0) -> pl.Expr:
        value = pl.col(value) if isinstance(value, str) else value
        return pl.when(value.is_between(least, most)).then(value)

    start, end = (plausible(name, LAST_SECOND, least=FIRST_SECOND) for name in ("start", "end"))
    created = plausible("create_time", datetime(2099, 12, 31, 23, 59, 59), least=datetime(2005, 1, 1))
    cores = plausible("slots", MOST_CORES, least=1e-7)
    seconds = plausible(pl.coalesce("runtime", end - start), MOST_SECONDS)
    memory = pl.coalesce(*(plausible(name, MOST_BYTES, least=1) for name in ("peak", "max_usage"))).cast(pl.Int64)
    allocated = (plausible("megabytes", MOST_BYTES >> 20) * 2**20).cast(pl.Int64)
    cpu = pl.coalesce(plausible("usage_usec", _NO_LIMIT / 1000) * 1000, plausible("usage_ns", _NO_LIMIT)).cast(pl.Int64)
    most = MOST_PROCESSORS * (seconds + SLACK_SECONDS) * 1e9
    cpu = pl.when((cpu > most).not_() | seconds.is_null()).then(cpu)
    wait = plausible((start * 1e6 - created.dt.epoch("us")) / 1e6, MOST_SECONDS)
    used = seconds * cores
    at_limit = (pl.col("state") == "error") & (pl.col("max_usage") >= 0.98 * pl.col("limit"))
    oom = pl.when(pl.col("kills") >= 0).then(pl.col("kills") > 0)
    oom = oom.when(pl.col("limit") > 0, pl.col("max_usage") > 0).then(at_limit)
    oom = oom.when(pl.col("limit") > 0, pl.col("hits") == 0).then(pl.lit(value=False))
    rows = newest.lazy().join(metrics.lazy(), on=JOB, how="left").join(sizes.lazy(), on=JOB, how="left")
    return rows.select(
        *JOB, "instance_id", "tool", "family", "state", "input_bytes", "output_bytes", create_time=created, oom=oom,
        day=created.dt.date(), runtime_seconds=seconds, memory_bytes=memory, cpu_ns=cpu,
        cpu_seconds=cpu / 1e9, cores=cores, allocated_memory_bytes=allocated, core_seconds=used, wait_seconds=wait,
        cpu_efficiency=pl.when(used > 0).then(cpu / (used * 1e9)),
        memory_efficiency=pl.when(allocated > 0).then(memory / allocated),
    ).collect()  # fmt: skip


def known_sum(value: pl.Expr | str) -> pl.Expr:
    """The sum of some numbers; null where none is known."""
    value = pl.col(value) if isinstance(value, str) else value
    return pl.when(value.count() > 0).then(value.sum())


def counts_by_state() -> Mapping[str, pl.Expr]:
    """Return measures of a group of jobs: their number in all, and in each state."""
    ok, error = (pl.col("state") == "ok").sum(), (pl.col("state") == "error").sum()
    return {"jobs": pl.len(), "ok": ok, "error": error, "other": pl.len() - ok - error}
