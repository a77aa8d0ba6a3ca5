"""The text of the members: each row as a line, or as the exporter of its release wrote it.

Each function returns a series of texts to be written one after the other. Each text has its own newline, as a record
that breaks off has none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from grt_batch.sample.catalogue import Catalogue
from grt_batch.sample.population import MAX_OUTPUTS, RAN
from grt_batch.sample.releases import Release
from grt_batch.sample.wordings import Wordings, wordings_of

BATCH = 1000
"""The number of job ids the exporter queries at a time; the order within a batch is the database's."""


NODES = np.array([[64, 263856028], [16, 65853372]])
"""Processors and memory (kB) of the two kinds of compute nodes."""


METRICS = tuple(
    f"{plugin}\t{name}"
    for plugin, names in (
        ("core", "galaxy_slots galaxy_memory_mb start_epoch end_epoch runtime_seconds"),
        ("cpuinfo", "processor_count"),
        ("meminfo", "memtotal swaptotal"),
        ("cgroup", "memory.max_usage_in_bytes memory.memsw.max_usage_in_bytes memory.limit_in_bytes"),
        ("cgroup", "memory.failcnt cpuacct.usage"),
        ("cgroup", "memory.peak memory.events.oom_kill"),
        ("cgroup", "cpu.stat.usage_usec cpu.stat.user_usec cpu.stat.system_usec"),
    )
    for name in names.split()
)


METRICS_OF_CGROUPS = np.repeat([0, 1, 2], [8, 5, 5])
"""The version of control groups that each of METRICS needs; 0 for none."""


# One row in this many.
NULL_VERSION_EVERY = 1000


ODD_FIELD_EVERY = 5000


NULL_METRIC_EVERY = 20_000


REPEATED_METRIC_EVERY = 2000


MIN_ROWS_FOR_ODDITIES = 100


LONG_VALUE_BYTES = 120_000


class Exporter:
    """Write jobs as the exporter of one release does."""

    def __init__(self, release: Release, catalogue: Catalogue) -> None:
        """Prepare the parameters of the tools in `catalogue`."""
        self.release = release
        self.catalogue = catalogue
        self.wordings = wordings_of(release)

    def header(self, member: str) -> bytes:
        """Return the first line of a member, empty if the release writes none."""
        return "\t".join(self.release.columns(member)).encode() + b"\n" if self.release.headers else b""

    def records(
        self, member: str, seen: pl.DataFrame, datasets: pl.DataFrame, rng: np.random.Generator, torn: bool
    ) -> pl.Series:
        """Return the texts of one member from the rows of Jobs.seen_at and their datasets.

        If `torn`, the last record of `jobs` stops in the middle, provided that the release breaks lines.
        """
        match member:
            case "jobs":
                return job_texts(seen, self.release, rng, torn)
            case "datasets":
                return dataset_texts(datasets, self.release, rng)
            case "metric_num":
                return metric_texts(seen, rng)
            case "params":
                return param_texts(seen, self.release, rng, self.catalogue, self.wordings)
            case _:
                return pl.Series([], dtype=pl.String)


def job_texts(seen: pl.DataFrame, release: Release, rng: np.random.Generator, torn: bool) -> pl.Series:
    """Return the records of `jobs` from the rows of Jobs.seen_at; if `torn`, the last one stops in the middle."""
    rows = _batched(seen, rng)
    if not release.headers:
        return _texts(rows, release.columns("jobs"))
    time = pl.from_epoch("created", time_unit="us")
    rows = rows.with_columns(
        pl.when(pl.col("created") % 1_000_000 == 0)
        .then(time.dt.strftime("%Y-%m-%d %H:%M:%S"))
        .otherwise(time.dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
        .alias("create_time")
    )
    null = _few(rng, len(rows), NULL_VERSION_EVERY)
    if not release.breaks_lines:
        rows = rows.with_columns(_replaced("tool_version", null, "None"))
        return _texts(rows, release.columns("jobs"))
    # If one row stops, the next one may stop too; a null tool_id stops it after the id.
    null[1:] |= null[:-1] & (rng.random(len(rows) - 1) < 0.15)
    null[-1:] |= torn
    no_tool = pl.Series(rng.random(len(rows)) < 0.2)
    stump = pl.when(no_tool).then(_stump("id")).otherwise(_stump("id", "tool_id"))
    return _texts(rows, release.columns("jobs"), null, stump)


def dataset_texts(datasets: pl.DataFrame, release: Release, rng: np.random.Generator) -> pl.Series:
    """Return the records of Jobs.datasets: in each batch first the inputs, then the outputs."""
    rows = _batched(datasets, rng, then=datasets["type"] == "output")
    size = pl.col("file_size")
    if release.rounds_sizes:
        step = pl.lit(10).pow((size.log10().floor() - 1).clip(0).cast(pl.Int64))
        rows = rows.with_columns(pl.when(size > 0).then((size + step // 2) // step * step).otherwise(-1))
    rows = rows.with_columns(pl.col("extension", "file_size").cast(pl.String).fill_null("None"))
    columns = ("id", *release.columns("datasets")[1:])
    if not release.breaks_lines:
        return _texts(rows, columns)
    # A name may contain separators of fields and lines.
    for name in ("new_file|sample\t7__", "new_file|sample\n8__"):
        rows = rows.with_columns(_replaced("param_name", _few(rng, len(rows), ODD_FIELD_EVERY), name))
    null = _few(rng, len(rows), ODD_FIELD_EVERY)
    return _texts(rows, columns, null, _stump(*columns[:4]))


def param_texts(
    seen: pl.DataFrame, release: Release, rng: np.random.Generator, catalogue: Catalogue, wordings: Wordings
) -> pl.Series:
    """Return the records of `params` from the rows of Jobs.seen_at, with one very long value at the end."""
    rows = _batched(seen, rng)
    tool, ids = rows["tool"].to_numpy(), rows["id"].to_numpy()
    first = catalogue.first_parameter
    counts = first[tool + 1] - first[tool]
    job = np.repeat(np.arange(len(rows)), counts)
    ordinal = np.arange(len(job)) - np.repeat(np.cumsum(counts) - counts, counts)
    parameter = catalogue.parameter[first[tool][job] + ordinal]
    choices = wordings.first[parameter + 1] - wordings.first[parameter]
    text = wordings.first[parameter] + (choices * rng.random(len(job)) ** 2).astype(np.int64)
    number = np.maximum(ids[job] - rng.integers(1, 3000, len(job)), 1) * MAX_OUTPUTS
    records = pl.DataFrame(
        {
            "id": ids[job],
            "head": wordings.head.gather(text),
            "number": number,
            "tail": wordings.tail.gather(text),
        }
    ).select(
        "id",
        pl.when(pl.col("tail").is_null())
        .then("head")
        .otherwise(pl.concat_str("head", "number", "tail"))
        .alias("name and value"),
    )
    long = f"{ids[-1]}\tsequence\t{release.shapes[0].write('sequence', 'ACGT' * (LONG_VALUE_BYTES // 4))}\n"
    null = _few(rng, len(records), ODD_FIELD_EVERY) & release.breaks_lines
    return _texts(records, records.columns, null, _stump("id")).append(pl.Series([long]))


def metric_texts(seen: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """Return the records of `metric_num` for those jobs of Jobs.seen_at that ran."""
    rows = _batched(seen.filter(pl.col("state").is_in(RAN)), rng)
    ids = rows["id"].to_numpy()
    needed = rows["cgroups"].to_numpy()[:, None]
    job, metric = np.nonzero((METRICS_OF_CGROUPS == 0) | (needed == METRICS_OF_CGROUPS))
    value = _measurements(rows)[job, metric]
    # The first of two rows for the same metric has another value.
    times = 1 + _few(rng, len(value), REPEATED_METRIC_EVERY)
    job, metric, value = (np.repeat(column, times) for column in (job, metric, value))
    repeated = np.zeros(len(value), dtype=bool)
    repeated[(np.cumsum(times) - times)[times > 1]] = True
    value = np.where(repeated, np.maximum(value // 2, 1), value)
    records = pl.DataFrame({"id": ids[job], "metric": pl.Series(METRICS).gather(metric), "number": value}).with_columns(
        pl.when(pl.Series(_few(rng, len(value), NULL_METRIC_EVERY)))
        .then(pl.lit("None"))
        .when(pl.col("number") == 0)
        .then(pl.lit("0E-7"))
        .otherwise(pl.concat_str("number", pl.lit(".0000000")))
        .alias("value")
    )
    return _texts(records, ("id", "metric", "value"))


def _measurements(rows: pl.DataFrame) -> NDArray[np.int64]:
    """Return the values of METRICS, one row for each job."""
    names = ("id", "start", "end", "memory", "limit", "killed")
    ids, start, end, memory, limit, killed = (rows[name].to_numpy() for name in names)
    cpu_usec = (rows["cpu_seconds"].to_numpy() * 1e6).astype(np.int64)
    system_usec = cpu_usec // 9
    nothing = np.zeros_like(cpu_usec)
    core = [rows["cores"].to_numpy(), rows["memory_mb"].to_numpy(), start, end, end - start]
    node = [*NODES[ids % len(NODES)].T, nothing]
    hits = np.where(memory == limit, 1 + ids % 1000, 0)
    cgroup_v1 = [memory, memory, limit, hits, cpu_usec * 1000]
    cgroup_v2 = [memory, killed, cpu_usec, cpu_usec - system_usec, system_usec]
    return np.stack([*core, *node, *cgroup_v1, *cgroup_v2], axis=1)


def _batched(rows: pl.DataFrame, rng: np.random.Generator, then: pl.Series | None = None) -> pl.DataFrame:
    """Order rows by batches of job ids and within a batch by `then`; jobs in any order, the rows of each together."""
    ids = rows["id"].to_numpy()
    unique, job = np.unique(ids, return_inverse=True)
    chance = rng.random(len(unique))[job]
    middle = np.zeros(len(ids)) if then is None else then.to_numpy()
    return rows[np.lexsort((chance, middle, ids // BATCH))]


def _few(rng: np.random.Generator, rows: int, every: int) -> NDArray[np.bool_]:
    """Choose one in `every` rows, but at least one; none if there are only a few rows."""
    mask = np.zeros(rows, dtype=bool)
    if rows >= MIN_ROWS_FOR_ODDITIES:
        mask[rng.choice(rows, -(-rows // every), replace=False)] = True
    return mask


def _replaced(column: str, mask: NDArray[np.bool_], text: str) -> pl.Expr:
    return pl.when(pl.Series(mask)).then(pl.lit(text)).otherwise(column).alias(column)


def _stump(*columns: str) -> pl.Expr:
    """Return what is written of a row if the field after these columns is null."""
    return pl.concat_str(*columns, pl.lit(""), separator="\t")


def _texts(
    rows: pl.DataFrame,
    columns: Sequence[str],
    broken: NDArray[np.bool_] | None = None,
    stump: pl.Expr | None = None,
) -> pl.Series:
    """Return lines of `columns`, but `stump` for the rows that are `broken`."""
    text = pl.concat_str(pl.concat_str(*columns, separator="\t"), pl.lit("\n"))
    if broken is not None:
        text = pl.when(pl.Series(broken)).then(stump).otherwise(text)
    return rows.select(text.alias("text"))["text"]
