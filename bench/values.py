"""Measures a parameter with very many values: memory, time, and the bytes of partials.

    python -m bench.values [--values N] [--archives A ...]

Half of the jobs have a value of their own, the others one of a hundred, the first of them most often. N values in all
are spread over A archives, each case in a process of its own. What is let go must stay within the bound.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from bench import report
from bench.contest import Failed
from grt_batch.aggregate.counting import counted
from grt_batch.columns.columns import Columns
from grt_batch.columns.texts import Texts
from grt_batch.core.config import Config
from grt_batch.core.memory import peak_memory
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Counted, concat_instances
from grt_batch.modules.reports.params import PARAM, PARAM_VALUE, VALUES, Params
from grt_batch.pipeline.aggregation import GATHERED_JOBS
from grt_batch.schema.records import ROW, Job, Leaf, Records

MODULE = Params()
POPULAR = 100


@dataclass(frozen=True)
class Outcome:
    """What a case took, and what is left of it."""

    seconds: float
    bytes_before: int
    bytes_at_most: int
    partial: int
    merged: int
    kept: int
    distinct: int
    missed: int


def measure(values: int, archives: int) -> Outcome:
    """Count, merge and list so many values of so many archives. Raises Failed."""
    random, true = np.random.default_rng(7), np.zeros(POPULAR, np.int64)
    before, begin, partial = peak_memory(), time.perf_counter(), 0
    merged = MODULE.empty()
    for archive in range(archives):
        found = _archive(archive, values // archives, random, true)
        partial = max(partial, len(MODULE.pack(found)))
        merged = MODULE.gathered([merged, found])
    rows = MODULE.rows(concat_instances(MODULE.cubes, {"a": merged}), Ledger(date(2024, 6, 30), Config(), ()))
    seconds = time.perf_counter() - begin
    whole = pl.col("tool_version").cast(pl.String) == "*"
    listed = PARAM_VALUE.frame(rows[PARAM_VALUE.name]).filter(whole).with_columns(pl.col("value").cast(pl.String))
    known = dict(listed.select("value", "jobs").iter_rows())
    missed = [int(jobs) - known.get(f"popular {i}", 0) for i, jobs in enumerate(true) if jobs * 100 >= 2 * values]
    if min(missed) < 0 or max(missed) * 100 >= 2 * values:
        raise Failed(f"{archives} archives: the number of jobs of a popular value is wrong by {max(missed, key=abs)}")
    distinct = PARAM.frame(rows[PARAM.name]).filter(whole)["distinct_values"].item()
    kept = merged[VALUES.name].height
    return Outcome(seconds, before, peak_memory(), partial, len(MODULE.pack(merged)), kept, distinct, max(missed))


def _archive(number: int, values: int, random: np.random.Generator, true: np.ndarray) -> Counted:
    """Return the partial of an archive with so many values of their own, and count the popular ones."""
    parts = []
    for begin in range(0, 2 * values, GATHERED_JOBS):
        jobs = min(GATHERED_JOBS, 2 * values - begin)
        popular = np.minimum(random.geometric(0.2, jobs - jobs // 2), POPULAR) - 1
        true += np.bincount(popular, minlength=POPULAR)
        own = pl.Series(random.integers(0, 2**62, jobs // 2)).cast(pl.String) + f" of {number}"
        found = counted(MODULE.cubes, _records(pl.concat([_names(popular), own])))
        cubes = (cube.name for cube in MODULE.cubes)
        parts.append(MODULE.gathered([dict(zip(cubes, found, strict=True))]))
    return MODULE.gathered(parts)


def _names(popular: np.ndarray) -> pl.Series:
    return pl.Series("value", [f"popular {i}" for i in range(POPULAR)])[popular]


def _records(values: pl.Series) -> Records:
    """Return as many jobs, each with a setting."""
    count = len(values)
    codes, flags = np.zeros(count, np.int32), np.zeros(count, np.int8)
    jobs = Columns(
        {Job.job_id.name: np.arange(count), **dict.fromkeys(("tool_id", "tool_version", "state"), codes)},
        {"tool_id": Texts.of(["tool"]), "tool_version": Texts.of(["1.0"]), "state": Texts.of(["ok"])},
    )
    own = Columns.of(values.alias("value").to_frame())
    leaves = {ROW: np.arange(count, dtype=np.int32), "name": codes, "names_data": flags, "first": flags + np.int8(1)}
    return Records({Job: jobs, Leaf: own.extended(leaves, {"name": Texts.of(["seed"])})})


def main() -> None:
    """Print a table with a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--archives", type=int, nargs="*", default=(100, 10, 1))
    options = parser.parse_args()
    table = [("archives", "s", "peak MB", "largest partial, kB", "merged, kB", "values kept", "distinct", "missed")]
    try:
        for archives in options.archives:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(measure, (options.values, archives))
            sizes = (found.bytes_at_most - found.bytes_before) / 1e6, found.partial / 1e3, found.merged / 1e3
            numbers = f"{found.kept:,}", f"{found.distinct:,}", f"{found.missed:,}"
            table.append((f"{archives}", f"{found.seconds:.1f}", *(f"{size:,.0f}" for size in sizes), *numbers))
    except Failed as error:
        sys.exit(f"bench: {error}")
    print("\n".join(report.grid(table)))


if __name__ == "__main__":
    main()
