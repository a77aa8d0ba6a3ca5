"""Holds the advice for memory against jobs that it has not seen: `make backtest`, or `python -m bench.advice`.

The jobs are put in the order of their creation. The tables, and the advice, are made of the first half; the second half
says how many jobs would have fitted, and how much memory they would have been given for how long. Beside it: what the
servers gave, and simpler rules. The jobs are those of the sample, of archives given by --uploads, and of `growing`, for
in the sample memory hardly depends on what is known of the input.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench import report
from bench.__main__ import DATA
from grt_batch.advice.evidence import GIB, Evidence, gathered
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.sizes import advised
from grt_batch.advice.versions import with_versions
from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, concat_instances
from grt_batch.modules.reports.inputs import TOOL_MEMORY, Inputs
from grt_batch.modules.reports.metrics import TOOL_METRIC, Metrics
from grt_batch.modules.reports.tools import TOOL_USAGE, Tools
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import partials_of, run_here
from grt_batch.sample import write_sample
from grt_batch.schema.records import ALL_VERSIONS, Dataset, Job, Records
from grt_batch.schema.tool_ids import SHED_ID
from grt_batch.uploads.scan import archive_at

PAGE = report.ROOT / "docs" / "advice.md"

RULE = Rule()

TITLES = ("jobs of", "tools", "jobs", "rule", "jobs that fit, %", "GiB hours given", "/ needed")

SCHEMA = {INSTANCE: pl.String(), **{field.name: field.type for field in Job.fields()}}

_TOOL = f"^(?:{SHED_ID.strip('^$')}|.*)$"

_SCALE = 10.0**Job.runtime.scale

_PEAKS = pl.List(pl.List(pl.Int64))


def jobs_of(uploads: Path) -> pl.DataFrame:
    """Return all jobs below a folder, each as the newest archive has it."""
    found = []
    for tar in sorted(uploads.rglob("*.tar.gz"), key=lambda tar: (tar.parent, float(tar.name.removesuffix(".tar.gz")))):
        archive = archive_at(tar)
        _, records, _ = read_archive(archive.tar, Config(), ("datasets",), run_here, Clock(), lambda _: None)
        if records is not None:
            frame = records.frame(Job)
            texts = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Enum)]
            frame = frame.with_columns(pl.col(texts).cast(pl.String), pl.lit(archive.instance_id).alias(INSTANCE))
            found.append(frame.select(list(SCHEMA)))
    return pl.concat(found).unique([INSTANCE, Job.job_id.name], keep="last", maintain_order=True)


def growing(jobs: int, seed: int) -> pl.DataFrame:
    """Return jobs of 60 tools, a third of which need memory by the size of their input: in a line, or less or more than
    that. Each gets the power of two that is enough for 98 of 100, and is killed if it needs more."""
    rng = np.random.default_rng(seed)
    tools = 60
    tool = rng.integers(0, tools, jobs)
    base, spread = np.exp(rng.normal(math.log(1.5), 1.1, tools)), rng.uniform(0.05, 0.5, tools)
    slope = np.where(np.arange(tools) % 3 == 0, np.exp(rng.normal(0.5, 0.8, tools)), 0.0)
    power = rng.choice([0.7, 1.0, 1.2], tools)
    size = np.exp(rng.normal(math.log(0.8), 1.6, jobs))
    needed = (base[tool] + slope[tool] * size ** power[tool]) * np.exp(rng.normal(0, 1, jobs) * spread[tool])
    most = [np.quantile(needed[tool == one][:200], 0.98) for one in range(tools)]
    given = 2.0 ** np.ceil(np.log2(most))[tool]
    killed = needed > given
    runtime = np.exp(rng.normal(math.log(600), 1.0, jobs) + 0.4 * np.log(size))
    created = np.datetime64("2024-01-01", "us") + np.sort(rng.integers(0, 180 * 86400, jobs)) * np.timedelta64(
        10**6, "us"
    )
    rows = pl.DataFrame(
        {
            INSTANCE: np.where(np.arange(jobs) % 2, "a", "b"),
            "job_id": np.arange(jobs),
            "tool_id": [f"tool{one}" for one in tool],
            "tool_version": "1",
            "state": np.where(killed, "error", "ok"),
            "create_time": created,
            "day": created.astype("datetime64[D]"),
            "runtime": (runtime * _SCALE).astype(np.int64),
            "memory": (np.minimum(needed, given) * GIB).astype(np.int64),
            "allocated_memory": (given * GIB).astype(np.int64),
            "input_bytes": (size * GIB).astype(np.int64),
            "oom": killed,
        }
    )
    return pl.concat([pl.DataFrame(schema=SCHEMA), rows.cast({n: SCHEMA[n] for n in rows.columns})], how="diagonal")


def evidence_of(jobs: pl.DataFrame) -> list[Evidence]:
    """Return the evidence of the tables that the program makes of these jobs."""
    modules = (Inputs(), Metrics(), Tools())
    parts: dict[str, Any] = {}
    for (instance_id,), frame in jobs.partition_by(INSTANCE, as_dict=True).items():
        tables = {Job: Columns.of(frame.drop(INSTANCE).sort("job_id")), Dataset: _no_datasets()}
        parts[str(instance_id)] = partials_of(modules, Records(tables))
    ledger, tables = Ledger(date(2100, 1, 1), Config(), ()), {}
    for module in modules:
        merged = {name: module.gathered([module.empty(), part[module.name]]) for name, part in parts.items()}
        tables |= module.rows(concat_instances(module.cubes, merged), ledger)
    frames = {table.name: table.frame(tables[table.name]) for table in (TOOL_MEMORY, TOOL_METRIC, TOOL_USAGE)}
    everywhere = pl.col(INSTANCE).cast(pl.String) == ALL_INSTANCES
    servers = frames["tool_memory"].filter(~everywhere).group_by("tool_id").agg(pl.col(INSTANCE).n_unique())
    together = {name: frame.filter(everywhere) for name, frame in frames.items()}
    whole = (pl.col("tool_version").cast(pl.String) == ALL_VERSIONS) & (pl.col("period").cast(pl.String) == "all")
    days = pl.col("last_job").dt.date() > pl.col("first_job").dt.date()
    return gathered(
        {
            "tool_memory": together["tool_memory"]
            .select("tool_id", "low", pl.col("runtime_seconds") / _SCALE, pl.col("peaks").str.json_decode(_PEAKS))
            .rows(),
            "tool_metric": together["tool_metric"].filter(whole).select("tool_id", "metric", "n", "p50", "p90").rows(),
            "tool_usage": together["tool_usage"].filter(whole).select("tool_id", days).rows(),
            "versions": _of_versions(together, days),
        },
        dict(servers.rows()),
    )


_OF_VERSIONS = ("tool_metric", "tool_usage")


def _of_versions(tables: Mapping[str, pl.DataFrame], days: pl.Expr) -> list[tuple[Any, ...]]:
    """Return what is read of single versions: see `evidence`."""
    tool, peaks = ["tool_id", "tool_version"], ["p25", "p50", "p75", "p90", "p95", "p99", "maximum"]
    single = (pl.col("period").cast(pl.String) == "all") & ~pl.col("tool_version").cast(pl.String).is_in(["*", ""])
    metrics, usage = (tables[name].filter(single).with_columns(pl.col(tool).cast(pl.String)) for name in _OF_VERSIONS)
    runtime = metrics.filter(metric="runtime_seconds").select(*tool, runtime="total")
    used = usage.filter(days).select(*tool, "oom")
    memory = metrics.filter(metric="memory_bytes").join(runtime, on=tool).join(used, on=tool)
    return memory.select(*tool, "n", "oom", "runtime", *peaks).rows()


def held_against(jobs: pl.DataFrame) -> tuple[int, int, list[tuple[str, float, float, float]]]:
    """Return the number of tools with an advice, that of their jobs in the second half, and for each rule its name, the
    share of these jobs that fit, and the memory-hours that those in state ok were given and needed."""
    tool = pl.col("tool_id").str.replace(SHED_ID, "${shed}/repos/${owner}/${repository}/${name}")
    jobs = jobs.filter(pl.col("create_time").is_not_null()).sort("create_time").with_columns(tool.alias("tool"))
    first, second = jobs[: jobs.height // 2], jobs[jobs.height // 2 :]
    found = {one.tool_id: one for one in evidence_of(first.drop("tool")) if not RULE.enough(one)}
    ok, killed = pl.col("state") == "ok", (pl.col("state") == "error") & pl.col("oom")
    measured = (
        pl.col("memory").is_not_null() & pl.col("runtime").is_not_null() & pl.col("allocated_memory").is_not_null()
    )
    asked = second.filter((ok | killed) & measured & pl.col("tool").is_in(list(found)))
    peaks = {str(name): frame["memory"].to_numpy() / GIB for (name,), frame in
             first.filter(ok & pl.col("memory").is_not_null()).partition_by("tool", as_dict=True).items()}  # fmt: skip
    rules = {
        "what the servers gave": lambda job: job["allocated_memory"] / GIB,
        "maximum × 1.2": _constant({name: 1.2 * peaks[name].max() for name in found}),
        "99th percentile": _constant({name: np.quantile(peaks[name], 0.99, method="inverted_cdf") for name in found}),
        "advice": _by_size(found, RULE),
        "advice, one value for a tool": _by_size(found, Rule(max_steps=1)),
        "advice, --any-fall": _by_size(found, Rule(most_fall=math.inf)),
    }
    rows, lines = (
        asked.select(
            "tool", "tool_version", "state", "memory", "runtime", "allocated_memory", "input_bytes"
        ).to_dicts(),
        [],
    )
    for name, given in rules.items():
        fits, hours, needed = 0, 0.0, 0.0
        for job in rows:
            mem, peak, ran = given(job), job["memory"] / GIB, job["runtime"] / _SCALE / 3600
            # A killed job would have needed more: nobody knows how much.
            fits += mem >= (peak if job["state"] == "ok" else RULE.killed_factor * peak)
            if job["state"] == "ok":
                hours, needed = hours + mem * ran, needed + peak * ran
        lines.append((name, fits / max(len(rows), 1), hours, needed))
    return len(found), len(rows), lines


Given = Callable[[Mapping[str, Any]], float]


def _constant(values: Mapping[str, float]) -> Given:
    return lambda job: float(values[job["tool"]])


def _by_size(found: Mapping[str, Evidence], rule: Rule) -> Given:
    """Return the advice, where nothing is known of before but what jobs were given."""
    memory = {}
    for name, one in found.items():
        before = Memory(one.given) if one.given else None
        memory[name] = with_versions(advised(one, rule, before), one, rule, before)

    def given(job: Mapping[str, Any]) -> float:
        mine = memory[job["tool"]]
        by_version = dict(mine.versions).get(job["tool_version"])
        return mine.at((job["input_bytes"] or 0) / GIB) if by_version is None else by_version

    return given


def _no_datasets() -> Columns:
    return Columns.of(pl.DataFrame(schema={"row": pl.Int32(), **{field.name: field.type for field in Dataset.fields()
                                                                if field.name not in SCHEMA}}))  # fmt: skip


def table(cases: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return what each rule did to each kind of jobs, as the lines of a table."""
    lines = []
    for name, jobs in cases.items():
        tools, count, found = held_against(jobs)
        for place, (rule, fits, hours, needed) in enumerate(found):
            about = (name, str(tools), str(count)) if place == 0 else ("", "", "")
            lines.append([*about, rule, f"{100 * fits:.1f}", f"{hours:.0f}", f"{hours / needed:.2f}" if needed else ""])
    return report.grid([list(TITLES), *lines])


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and perhaps write."""
    parser = argparse.ArgumentParser(prog="python -m bench.advice", description=__doc__)
    parser.add_argument("--jobs", type=int, default=300_000, help="of the sample and of `growing` (default: 300000)")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--uploads", type=Path, help="archives of real servers, too")
    parser.add_argument("--docs", type=Path, nargs="?", const=PAGE, help="put it into a page (docs/advice.md)")
    options = parser.parse_args(arguments)
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        write_sample(Path(folder) / "uploads", jobs=options.jobs, seed=options.seed)
        cases = {"the sample": jobs_of(Path(folder) / "uploads"), "growing": growing(options.jobs, options.seed)}
    if options.uploads:
        cases["the uploads"] = jobs_of(options.uploads)
    block = "\n".join(table(cases))
    print(block)
    if options.docs:
        page = report.put(block, options.docs.read_text(encoding="utf-8"), "bench/advice.py writes")
        options.docs.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
