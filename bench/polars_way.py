"""Computes the tables of the modules tools, metrics, inputs and params with polars: unpack, lazy scan_csv, group_by,
TSV files, COPY into PostgreSQL; POLARS_MAX_THREADS sets the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from bench.polars_params import param_tables
from bench.polars_reading import (
    JOB,
    TOOL,
    counts_by_state,
    known_sum,
    measured_jobs,
    metrics_of,
    newest_jobs,
    read_records,
    sizes_of,
)  # fmt: skip
from bench.publication import COPIES, REPORTS, Form, columns_of, our_tables, publish
from bench.unpacking import unpack
from bench.way import run
from grt_batch.schema.plausible import MOST_BYTES
from grt_batch.schema.tables import Table, Type
from grt_batch.uploads.scan import scan

TABLES = (
    "tool", "tool_day", "tool_usage", "tool_metric", "tool_histogram", "tool_input", "tool_extension", "param",
    "param_value",
)  # fmt: skip

_DRAWN = ("runtime_seconds", "memory_bytes", "cpu_seconds")
_MEASURED = (
    *_DRAWN, "cores", "allocated_memory_bytes", "core_seconds", "cpu_efficiency", "memory_efficiency", "wait_seconds",
    "input_bytes", "output_bytes",
)  # fmt: skip
_PERIODS = {"all": None, "30d": 30, "7d": 7}
_PERCENTS = (25, 50, 75, 90, 95, 99)
_EVERYWHERE = [(version, by) for version in ("tool", "family") for by in (("instance_id", "tool"), ("tool",))]
"""Everything is grouped four times: by version of the tool and over all of them, by instance and over all of those."""


def compute(uploads: Path, target: Path, url: str, as_of: date) -> None:
    """Write the TSV reports below `target`, and the tables into the schema `polars_way` of the database."""
    found = scan(uploads)
    members = unpack(found, target / "members")
    newest = newest_jobs(read_records(members, "jobs"), [archive.instance_id for archive in found.archives])
    tools = newest.select(TOOL).unique().with_columns(family=_versionless(pl.col("tool_id")))
    families = tools.select(tool_id="family", tool_version=pl.lit("*")).unique().with_row_index("family", len(tools))
    tools = tools.rename({"family": "name"}).join(families.select("family", name="tool_id"), on="name").drop("name")
    tools = tools.with_row_index("tool")
    names = pl.concat([tools.drop("family"), families.rename({"family": "tool"})])
    datasets = read_records(members, "datasets")
    metrics = metrics_of(read_records(members, "metric_num"))
    jobs = measured_jobs(newest.join(tools, on=TOOL), metrics, sizes_of(datasets))
    ok = jobs.filter(state="ok")
    frames = {
        "tool": _tool(tools),
        "tool_day": _day(jobs),
        "tool_usage": _by_period(jobs, as_of, _usage),
        "tool_metric": _by_period(ok, as_of, _summaries),
        "tool_histogram": _histogram(ok),
        "tool_input": _input(jobs.filter(pl.col("input_bytes").is_not_null())),
        "tool_extension": _extension(jobs, datasets),
        **param_tables(read_records(members, "params"), jobs, datasets),
    }
    for name, rows in frames.items():
        table = our_tables()[name]
        named = rows.join(names, on="tool")
        named = named.select(column.name for column in columns_of(table, named.columns)).sort(table.key)
        for form in (REPORTS, COPIES):
            _write(named, table, form, target)
    publish(url, "polars_way", target, frames)


def _versionless(tool_id: pl.Expr) -> pl.Expr:
    return tool_id.str.replace("^(.+/repos/[^/]+/[^/]+/[^/]+)/[^/]*$", "$1")


def _each(rows: pl.LazyFrame, version: str) -> pl.LazyFrame:
    """The rows of jobs as those of a version of their tool, or of their tool over all versions."""
    return rows.with_columns(tool=version)


def _tool(tools: pl.DataFrame) -> pl.DataFrame:
    parts = pl.col("tool_id").str.extract_groups("^(.+?)/repos/([^/]+)/([^/]+)/([^/]+)(?:/[^/]*)?$").struct
    shed, owner, repository, name = (parts.field(str(place)) for place in range(1, 5))
    return tools.select("tool", shed=shed, owner=owner, repository=repository, name=pl.coalesce(name, "tool_id"))


def _day(jobs: pl.DataFrame) -> pl.DataFrame:
    sums = ("runtime_seconds", "core_seconds", "cpu_ns", "input_bytes", "output_bytes")
    days = jobs.lazy().group_by("instance_id", "day", "tool", "state").agg(*map(known_sum, sums), jobs=pl.len())
    return days.with_columns(cpu_seconds=pl.col("cpu_ns") / 1e9).collect()


def _by_period(
    jobs: pl.DataFrame, as_of: date, tables: Callable[[pl.LazyFrame, Sequence[str]], Sequence[pl.LazyFrame]]
) -> pl.DataFrame:
    """Apply `tables` to the jobs of each period, by instance and over all."""
    queries = []
    for period, days in _PERIODS.items():
        within = True if days is None else pl.col("day").is_between(as_of - timedelta(days - 1), as_of)
        for version, by in _EVERYWHERE:
            owner = [] if "instance_id" in by else [pl.lit("*").alias("instance_id")]
            found = tables(_each(jobs.lazy().filter(within), version), by)
            queries += [rows.with_columns(*owner, pl.lit(period).alias("period")) for rows in found]
    return pl.concat(pl.collect_all(queries), how="diagonal")


def _usage(jobs: pl.LazyFrame, by: Sequence[str]) -> Sequence[pl.LazyFrame]:
    finished = pl.col("ok") + pl.col("error")
    rows = jobs.group_by(by).agg(
        **counts_by_state(),
        instances=pl.col("instance_id").n_unique(),
        oom=known_sum(pl.col("oom").cast(pl.Int64)),
        core_hours=known_sum("core_seconds") / 3600,
        cpu_hours=known_sum("cpu_ns") / 36e11,
        first_job=pl.col("create_time").min(),
        last_job=pl.col("create_time").max(),
    )
    rate = pl.when(finished > 0).then(pl.col("error") / finished)
    return [rows.with_columns(error_rate=rate, likely_broken=(finished > 4) & (pl.col("error") * 100 > finished * 95))]


def _summaries(jobs: pl.LazyFrame, by: Sequence[str]) -> Sequence[pl.LazyFrame]:
    found = []
    for metric in _MEASURED:
        value = pl.col(metric)
        percentiles = {f"p{percent}": _percentile(value, percent) for percent in _PERCENTS}
        known = jobs.filter(value.is_not_null()).select(*by, value.cast(pl.Float64))
        rows = known.group_by(by).agg(
            n=pl.len(), total=value.sum(), mean=value.mean(), minimum=value.min(), maximum=value.max(),
            stddev=value.std(), variance=value.var(), **percentiles,
        )  # fmt: skip
        found.append(rows.with_columns(pl.lit(metric).alias("metric")))
    return found


def _histogram(ok: pl.DataFrame) -> pl.DataFrame:
    """Each power of two is cut into four bins, by the first two bits of a double's fraction; 0 has its own."""
    queries = []
    for metric in _DRAWN:
        value = pl.col(metric).cast(pl.Float64)
        bins = ok.lazy().filter(value.is_not_null()).with_columns(bin=value.reinterpret(dtype=pl.Int64) // 2**50)
        for version, by in _EVERYWHERE:
            rows = _each(bins, version).group_by(*by, "bin").agg(jobs=pl.len())
            queries.append(rows.with_columns(pl.lit(metric).alias("metric")))
    low, high = ((pl.col("bin") + step).mul(2**50).reinterpret(dtype=pl.Float64) for step in (0, 1))
    return _everywhere(queries).with_columns(low=low, high=pl.when(pl.col("bin") > 0).then(high).otherwise(1e-9))


def _input(sized: pl.DataFrame) -> pl.DataFrame:
    bits = 64 - pl.col("input_bytes").bitwise_leading_zeros().cast(pl.Int64)
    rows = sized.lazy().with_columns(bits=bits)
    runtime, memory = (pl.col(name).filter(state="ok") for name in ("runtime_seconds", "memory_bytes"))
    queries = [
        _each(rows, version).group_by(*by, "bits").agg(
            jobs=pl.len(), error=(pl.col("state") == "error").sum(), oom=known_sum(pl.col("oom").cast(pl.Int64)),
            runtime_p50=_percentile(runtime, 50), runtime_p95=_percentile(runtime, 95),
            memory_p50=_percentile(memory, 50), memory_p95=_percentile(memory, 95), memory_max=memory.max(),
        )
        for version, by in _EVERYWHERE
    ]  # fmt: skip
    high = pl.lit(2, pl.Int64()).pow(pl.col("bits"))
    low = pl.when(pl.col("bits") > 0).then(high // 2).otherwise(0)
    return _everywhere(queries).with_columns(pl.col("memory_p50", "memory_p95").cast(pl.Int64), low=low, high=high)


def _extension(jobs: pl.DataFrame, datasets: pl.DataFrame) -> pl.DataFrame:
    rows = datasets.lazy().join(jobs.lazy().select(*JOB, "instance_id", "tool", "family"), on=JOB)
    size = known_sum(pl.col("file_size").filter(pl.col("file_size").is_between(0, MOST_BYTES)))
    rows = rows.with_columns(pl.col("extension").fill_null(""))
    return _everywhere(
        _each(rows, version).group_by(*by, "type", "extension").agg(datasets=pl.len(), bytes=size)
        for version, by in _EVERYWHERE
    )


def _percentile(value: pl.Expr, percent: int) -> pl.Expr:
    """The value of rank ceil(percent · n / 100)."""
    return value.quantile(percent / 100, "equiprobable")


def _everywhere(queries: Iterable[pl.LazyFrame]) -> pl.DataFrame:
    """The rows of several queries; those without an instance are of all together."""
    return pl.concat(pl.collect_all(queries), how="diagonal").with_columns(pl.col("instance_id").fill_null("*"))


def _write(rows: pl.DataFrame, table: Table, form: Form, home: Path) -> None:
    texts = [column.name for column in table.columns if column.type is Type.TEXT]
    for character, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        rows = rows.with_columns(pl.col(texts).str.replace_all(character, escaped, literal=True))
    file = form.file(home, table.name)
    file.parent.mkdir(exist_ok=True)
    rows.write_csv(
        file, separator="\t", include_header=form.header, null_value=form.null, quote_style="never",
        datetime_format="%Y-%m-%d %H:%M:%S%.6f",
    )  # fmt: skip


if __name__ == "__main__":
    run(compute)
