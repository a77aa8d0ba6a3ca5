"""The jobs of a sample: their tools, resources, outcomes and datasets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grt_batch.sample.catalogue import JOB_SIGMA, VERSION_SHARES, Catalogue
from grt_batch.sample.names import EXTENSIONS

RAN = ("ok", "error", "stopped")
"""The states of jobs that ran to the end and so have metrics."""


# The final states of jobs that are not in error, and their shares.
ENDINGS = {
    "ok": 0.93, "deleted": 0.03, "paused": 0.012, "failed": 0.005, "skipped": 0.006, "stopped": 0.004,
    "deleted_new": 0.003, "resubmitted": 0.003, "queued": 0.002, "running": 0.002, "new": 0.001,
    "waiting": 0.001, "upload": 0.001,
}  # fmt: skip


MAX_RUNTIME = 7 * 86400


MEMORY_MB_PER_CORE = 3800


INPUT_SHARE_OF_RUNTIME = 0.5
"""Correlation of the logarithms of input size and runtime within a tool."""


MEAN_HANDLER_LAG = 3 * 3600
"""Seconds until the server notices that a job has ended; until then it is reported as running."""


NO_CGROUPS_SHARE = 0.05
"""The share of jobs on nodes that do not measure them."""


NO_LIMIT = 9223372036854771712
"""The limit that control groups report where there is none."""


FREE_NODE_EVERY, FULL_CACHE_EVERY = 3, 200
"""One in so many nodes of the first control groups has no limit; of so many of their jobs, one fills it with its cache.
"""


FAILING_TOOL, FAILING_RATE = 3, 0.5
"""A popular tool that begins to fail, and its error rate from then on."""


SLOWER_TOOL, SLOWER_FACTOR = 4, 3.0
"""A popular tool that becomes slower, and by which factor."""


MAX_OUTPUTS = 4


MAX_INPUTS = 8


@dataclass(frozen=True)
class Jobs:
    """Consecutive jobs of one instance.

    `jobs` has one row for each: id, tool and variant (indices of the catalogue), tool_id, tool_version,
    created (microseconds), start, end and settled (Unix seconds), ending (the final state), cores, memory_mb,
    memory (peak, bytes), limit (of memory, bytes), killed (it needed more), cpu_seconds, cgroups (the version of its
    node's control groups, 0 for none).
    `datasets` has the rows of the datasets of a job: id, dataset_id, extension, file_size, param_name, type.
    """

    jobs: pl.DataFrame
    datasets: pl.DataFrame

    def newest(self, count: int) -> Jobs:
        """Return the last `count` jobs, at least one, with their datasets."""
        jobs = self.jobs.tail(count)
        return Jobs(jobs, self.datasets.filter(pl.col("id") >= jobs["id"][0]))

    def seen_at(self, moment: float) -> pl.DataFrame:
        """Return the rows of `jobs` with the column state: the state of each at `moment` (Unix seconds)."""
        state = (
            pl.when(pl.col("settled") <= moment).then(pl.col("ending"))
            .when(pl.col("start") <= moment).then(pl.lit("running"))
            .when(pl.col("created") <= (moment - 60) * 1e6).then(pl.lit("queued"))
            .otherwise(pl.lit("new"))
        )  # fmt: skip
        return self.jobs.with_columns(state.alias("state"))


def draw_jobs(
    catalogue: Catalogue,
    rng: np.random.Generator,
    ids: NDArray[np.int64],
    begin: float,
    end: float,
    change: float,
    cgroups: int,
) -> Jobs:
    """Draw jobs with rising `ids`, created from `begin` to `end` on nodes with this version of control groups.

    From `change` on, two tools behave differently. All times are Unix seconds. The same arguments and state of `rng`
    give the same jobs.
    """
    count = len(ids)
    tool = rng.choice(len(catalogue.share), count, p=catalogue.share)
    variant = _variants(catalogue, rng, tool)
    size = rng.normal(size=count)
    input_bytes = np.exp(np.log(2e6) + 2.4 * size)

    created = begin + (np.arange(count) + rng.random(count)) * (end - begin) / count
    micros = (created * 1e6).astype(np.int64)
    micros -= np.where(rng.random(count) < 0.005, micros % 1_000_000, 0)
    start = np.ceil(created + rng.lognormal(np.log(30), 1.5, count)).astype(np.int64)
    other = np.sqrt(1 - INPUT_SHARE_OF_RUNTIME**2) * rng.normal(size=count)
    log_runtime = catalogue.log_runtime[tool] + JOB_SIGMA * (INPUT_SHARE_OF_RUNTIME * size + other)
    changed = created >= change
    log_runtime += np.where(changed & (tool == SLOWER_TOOL), np.log(SLOWER_FACTOR), 0.0)
    error_rate = np.where(changed & (tool == FAILING_TOOL), FAILING_RATE, catalogue.error_rate[tool])
    runtime = np.minimum(np.exp(log_runtime), MAX_RUNTIME).astype(np.int64)
    # Now and then the clock of a compute node is set back while a job runs.
    runtime = np.where(rng.random(count) < 0.0005, -30, runtime)
    cores = catalogue.cores[tool]
    memory_mb = MEMORY_MB_PER_CORE * cores * np.where(catalogue.growth[tool] > 0, 4, 1)
    needed = catalogue.memory[tool] * rng.lognormal(0, 0.3, count) + catalogue.growth[tool] * input_bytes
    cgroups_of = np.where(rng.random(count) < NO_CGROUPS_SHARE, 0, cgroups)
    free = (cgroups_of == 0) | ((cgroups_of == 1) & (ids % FREE_NODE_EVERY == 0))
    limit = np.where(free, NO_LIMIT, memory_mb * 2**20)
    killed = needed > limit
    full = ~free & (cgroups_of == 1) & (ids % FULL_CACHE_EVERY == 0)

    jobs = pl.DataFrame(
        {
            "id": ids,
            "tool": tool,
            "variant": variant,
            "tool_id": pl.Series(catalogue.variant_ids).gather(variant),
            "tool_version": pl.Series(catalogue.variant_versions).gather(variant),
            "created": micros,
            "start": start,
            "end": start + runtime,
            "settled": start + runtime + rng.exponential(MEAN_HANDLER_LAG, count).astype(np.int64),
            "ending": _endings(rng, np.where(killed, 1.0, error_rate)),
            "cores": cores,
            "memory_mb": memory_mb,
            "memory": np.where(killed | full, limit, needed).astype(np.int64),
            "limit": limit,
            "killed": killed,
            "cpu_seconds": np.maximum(runtime, 0) * cores * rng.beta(4, 2, count),
            "cgroups": cgroups_of,
        }
    )
    return Jobs(jobs, _draw_datasets(catalogue, rng, ids, tool, input_bytes))


def _variants(catalogue: Catalogue, rng: np.random.Generator, tool: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw a version of each tool, mostly its newest."""
    wanted = rng.choice(len(VERSION_SHARES), len(tool), p=VERSION_SHARES)
    first = catalogue.first_variant
    return first[tool] + wanted % (first[tool + 1] - first[tool])


def _endings(rng: np.random.Generator, error_rate: NDArray[np.float64]) -> pl.Series:
    """Draw the final state of each job, given the probability `error_rate` that it fails."""
    states = [*ENDINGS, "error"]
    endings = rng.choice(len(ENDINGS), len(error_rate), p=list(ENDINGS.values()))
    failed = rng.random(len(error_rate)) < error_rate
    return pl.Series(states).gather(np.where(failed, states.index("error"), endings))


def _draw_datasets(
    catalogue: Catalogue,
    rng: np.random.Generator,
    ids: NDArray[np.int64],
    tool: NDArray[np.int64],
    input_bytes: NDArray[np.float64],
) -> pl.DataFrame:
    """Draw datasets. The ids of outputs follow from the job's id; inputs are outputs of earlier jobs.

    Some tools take several datasets as one input, whose first is recorded under two names.
    """
    inputs = np.minimum(rng.poisson(catalogue.inputs[tool]), MAX_INPUTS)
    outputs = np.minimum(1 + rng.poisson(catalogue.outputs[tool] - 1), MAX_OUTPUTS)
    counts = np.stack([inputs, outputs], axis=1).ravel()
    job = np.repeat(np.arange(len(ids)).repeat(2), counts)
    is_output = np.repeat(np.tile([False, True], len(ids)), counts)
    ordinal = np.arange(len(job)) - np.repeat(np.cumsum(counts) - counts, counts)
    source = np.maximum(ids[job] - rng.integers(1, 3000, len(job)), 1)
    mean_bytes = input_bytes[job] / np.where(is_output, 2.0, np.maximum(inputs[job], 1))
    sizes = (mean_bytes * (0.5 + rng.random(len(job)))).astype(np.int64)
    sizes[rng.random(len(job)) < 0.01] = 0
    unknown = pl.lit(None)
    # The outputs of a tool mostly have the same extension.
    extension = np.where(
        is_output & (rng.random(len(job)) < 0.8),
        tool[job] * 7 % len(EXTENSIONS),
        rng.integers(0, len(EXTENSIONS), len(job)),
    )
    frame = pl.DataFrame(
        {
            "id": ids[job],
            "dataset_id": np.where(is_output, ids[job] * MAX_OUTPUTS + ordinal, source * MAX_OUTPUTS),
            "extension": pl.Series(EXTENSIONS).gather(extension),
            "file_size": sizes,
            "param_name": pl.Series(["input", "output"]).gather(is_output.astype(np.int64)),
            "ordinal": ordinal + 1,
            "chance": rng.random(len(job)),
        }
    )
    rows = frame.select(
        "id",
        "dataset_id",
        pl.when(pl.col("chance") < 0.001).then(unknown).otherwise(pl.col("extension")).alias("extension"),
        pl.when(pl.col("chance") > 0.985).then(unknown).otherwise(pl.col("file_size")).alias("file_size"),
        pl.concat_str("param_name", "ordinal").alias("param_name"),
        pl.col("param_name").alias("type"),
    )
    several = ~is_output & (ordinal == 0) & (catalogue.inputs[tool[job]] > 2)
    rows = rows[np.repeat(np.arange(len(job)), 1 + several)]
    name = pl.Series(np.repeat(several, 1 + several)) & rows["id"].ne_missing(rows["id"].shift())
    return rows.with_columns(pl.when(name).then("type").otherwise("param_name").alias("param_name"))
