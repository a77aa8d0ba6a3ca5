"""How do runtime and memory go with the size of the input, and which file types does a tool read and write?

In `tool_input` only jobs count whose input has a known size, which is the sum over all input datasets. These are jobs
in any state; their percentiles and the most memory are of those in state ok alone: the memory of a job that was killed
for it says what was not enough. The rows with `low` 0 are jobs whose inputs are empty. Percentiles come from
logarithmic bins, within 1 %, and lie between the least and the greatest value. `tool_extension` counts the rows of
datasets of all jobs, whatever became of them: a dataset that stands under two names of a job counts twice, which it
does not in the bytes of a job. The version `*` is a tool over all its versions.

`tool_memory` is what `grt-batch advise` computes from: the jobs of a tool over all its versions, by the memory that
they came to. Its jobs are in state ok; those killed for memory are in state error, and needed more than they came to.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from grt_batch.aggregate.binned import Binned
from grt_batch.aggregate.measures import Count, Cube, Extent, Sum, known_sum
from grt_batch.aggregate.sketch import BIN, bin_field, coarse_bins, low
from grt_batch.columns.columns import Columns
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, INSTANCE_KEY, Module, Partial
from grt_batch.modules.helpers import (
    TOOL_COLUMNS,
    TOOL_KEY,
    everywhere,
    in_state,
    of_all_versions,
    outcomes,
    with_all_instances,
    with_all_instances_and_versions,
)
from grt_batch.schema.records import Dataset, DerivedField, Job
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import OF_PUBLIC_INSTANCES


def _binary_digits(value: pl.Expr) -> pl.Expr:
    """Return the number of binary digits of integers that are not negative."""
    return 64 - value.bitwise_leading_zeros().cast(pl.Int8)


BITS = DerivedField(
    "bits",
    pl.Int8(),
    "",
    "the binary digits of input_bytes: 0 has none, 1 has one",
    source=Job.input_bytes,
    derive=_binary_digits,
)


_SIZE = (Job.tool_id, Job.tool_version, BITS)


SIZES = Cube(
    "sizes",
    (*_SIZE, Job.state),
    (Count("jobs"), Sum("oom", Job.oom), Extent("runtime", Job.runtime), Extent("memory", Job.memory)),
)


RUNTIMES = Cube("runtimes", (*_SIZE, bin_field(Job.runtime)), (Count("jobs"),), state="ok")


_SIZE_OR_NONE = (Job.tool_id, Job.tool_version, replace(BITS, counts_unknown=True))


_PEAK = bin_field(Job.memory)


MEMORIES = Cube("memories", (*_SIZE_OR_NONE, _PEAK), (Count("jobs"), Sum("runtime", Job.runtime)), state="ok")


KILLED = Cube("killed", (*_SIZE_OR_NONE, _PEAK), (Count("killed", Job.oom),), state="error")


EXTENSIONS = Cube(
    "extensions",
    (Dataset.tool_id, Dataset.tool_version, Dataset.type, Dataset.extension),
    (Count("datasets"), Sum("bytes", Dataset.file_size)),
    of=Dataset,
)


_BINS = (INSTANCE, *(field.name for field in _SIZE))


_PERCENTS = (50, 95)


_TOOL = (
    Column("instance_id", Type.TEXT, "the instance, or * for all together"),
    *TOOL_COLUMNS,
)


_NULL = "null where no job in state ok has it"


_RUNTIME, _MEMORY = ("first_runtime", "last_runtime"), ("first_memory", "last_memory")
"""The extents that percentiles lie within, which are no columns of the table."""


def _percentile(name: str, kind: Type, doc: str, unit: str, within: tuple[str, str]) -> Column:
    return Column.estimate(name, kind, f"{doc} of jobs in state ok, within 1 %; {_NULL}", unit, within=within)


TOOL_INPUT = Table(
    "tool_input",
    "What became of jobs, and the runtime and memory of those in state ok, by the bytes of their input where these are"
    " known: a bin for each power of 2, and one for no bytes at all.",
    (INSTANCE, *TOOL_KEY, "low"),
    (
        *_TOOL,
        Column("low", Type.BIGINT, "least input_bytes of the bin", "B"),
        Column("high", Type.BIGINT, "input_bytes of the bin are less than this; 2^63 - 1 for the last bin", "B"),
        Column("jobs", Type.BIGINT, "jobs of this bin in any state, whatever was measured of them"),
        Column("error", Type.BIGINT, "those of them in state error"),
        Column("oom", Type.BIGINT, "those that were killed for memory; null where nothing could tell of any of them"),
        _percentile("runtime_p50", Type.DOUBLE, "median of the runtime", "s", _RUNTIME),
        _percentile("runtime_p95", Type.DOUBLE, "95th percentile of the runtime", "s", _RUNTIME),
        _percentile("memory_p50", Type.BIGINT, "median of the memory", "B", _MEMORY),
        _percentile("memory_p95", Type.BIGINT, "95th percentile of the memory", "B", _MEMORY),
        Column("memory_max", Type.BIGINT, f"the most memory of jobs in state ok, exactly; {_NULL}", "B"),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


TOOL_EXTENSION = Table(
    "tool_extension",
    "File types that the jobs of a tool read and write, whatever became of the jobs.",
    (INSTANCE, *TOOL_KEY, "type", "extension"),
    (
        *_TOOL,
        Column("type", Type.TEXT, "input or output"),
        Column("extension", Type.TEXT, "type of the file; empty where it is not known"),
        Column("datasets", Type.BIGINT, "rows: a dataset of two jobs, or of one job by two names, counts twice"),
        Column.sum_of(Dataset.file_size, "bytes", "exact sum of the sizes of these rows; null where none is known"),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


MEMORY_STEP_BITS = 3


TOOL_MEMORY = Table(
    "tool_memory",
    "How much memory the jobs of a tool needed, over all its versions, by the bytes of their input: what advice is made"
    f" of. Each power of two of memory is cut into {1 << MEMORY_STEP_BITS} bins.",
    (INSTANCE, Job.tool_id.name, "low"),
    (
        _TOOL[0],
        Column("tool_id", Type.TEXT, "id of the tool, without the version where it has one; empty where none"),
        Column("low", Type.BIGINT, "least input_bytes, as in tool_input; null where these are not known", "B"),
        Column("high", Type.BIGINT, "input_bytes are less than this; null where these are not known", "B"),
        Column("jobs", Type.BIGINT, "jobs in state ok whose memory was measured"),
        Column("killed", Type.BIGINT, "jobs in state error that were killed for memory, and whose memory was measured"),
        Column.sum_of(Job.runtime, "runtime_seconds", "runtime of those in state ok; null where no job has it"),
        Column(
            "peaks",
            Type.JSON,
            "[least bytes of memory, jobs, killed] of each bin that jobs came to, in the order of memory",
        ),
    ),
    nullable=("low",),
    visibility=OF_PUBLIC_INSTANCES,
)


class Inputs(Module):
    """How do runtime and memory go with the size of the input, and which file types does a tool read and write?"""

    name = "inputs"
    needs = (Job, Dataset)
    cubes = (SIZES, RUNTIMES, MEMORIES, KILLED, EXTENSIONS)
    tables = (TOOL_INPUT, TOOL_EXTENSION, TOOL_MEMORY)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return the tables, for each instance and for all together."""
        extensions = with_all_instances_and_versions(partial[EXTENSIONS.name]).group_by(TOOL_EXTENSION.key)
        return {
            TOOL_INPUT.name: _inputs(partial),
            TOOL_EXTENSION.name: extensions.agg(pl.col("datasets").sum(), known_sum(pl.col("bytes"))),
            TOOL_MEMORY.name: _memory(partial),
        }


def _inputs(partial: Partial) -> pl.DataFrame:
    """Return the rows of TOOL_INPUT."""
    sizes = partial[SIZES.name]
    ok = in_state("ok")
    extents = pl.col("^first_.*$").filter(ok).min(), pl.col("^last_.*$").filter(ok).max()
    # First over states: few rows are left to be added up over versions and instances.
    of_each = with_all_instances_and_versions(
        sizes.group_by(_BINS).agg(*outcomes(), known_sum(pl.col("oom")), *extents)
    )
    extents = pl.col("^first_.*$").min(), pl.col("^last_.*$").max()
    rows = of_each.group_by(_BINS).agg(pl.col("jobs", "error").sum(), known_sum(pl.col("oom")), *extents)
    rows = _with_percentiles(rows, partial.columns[RUNTIMES.name], "runtime")
    rows = _with_percentiles(rows, partial.columns[MEMORIES.name], "memory")
    return rows.with_columns(
        *_bounds(),
        *(Job.runtime.in_units(pl.col(name)) for name in ("runtime_p50", "runtime_p95", *_RUNTIME)),
        pl.col("last_memory").alias("memory_max"),
    )


def _with_percentiles(rows: pl.DataFrame, counted: Columns, measure: str) -> pl.DataFrame:
    """Add the percentiles of a measure to `rows`, from the cube of its bins; null where no job has it."""
    bins = Binned.of(counted, _BINS).each(everywhere)
    found = rows.join(bins.quantiles((INSTANCE_KEY, *_SIZE), _PERCENTS), on=_BINS, how="left")
    percentiles = {f"p{percent}": f"{measure}_p{percent}" for percent in _PERCENTS}
    # The value that stands for a bin may lie beyond all values in it.
    inside = (pl.col(name).clip(f"first_{measure}", f"last_{measure}") for name in percentiles)
    return found.with_columns(inside).rename(percentiles)


def _bounds() -> tuple[pl.Expr, pl.Expr]:
    """Return the least size of a bin, and what its sizes are less than."""
    low = pl.lit(pl.Series([0, *(1 << bit for bit in range(63))])).gather(pl.col(BITS.name).cast(pl.UInt32))
    # Twice the low, but 1 for 0; the last, 2^63, does not fit in 64 bits.
    return low.alias("low"), (low + low.clip(1, 2**62 - 1)).alias("high")


def _memory(partial: Partial) -> pl.DataFrame:
    """Return the rows of TOOL_MEMORY."""
    row = tuple(name for name in _BINS if name != Job.tool_version.name)
    sums = pl.col("jobs", "killed").sum(), known_sum(pl.col("runtime"))
    killed = partial[KILLED.name].filter(pl.col("killed") > 0)
    rows = pl.concat([partial[MEMORIES.name], killed], how="diagonal")
    tools = of_all_versions(Columns.of(rows.select(TOOL_KEY))).frame({Job.tool_id.name: Job.tool_id.type})
    coarse = pl.lit(pl.Series(coarse_bins(MEMORY_STEP_BITS), dtype=pl.Int16)).gather(pl.col(BIN.name).cast(pl.UInt32))
    # First the bins of each instance: few rows are left to be added up over instances.
    of_each = rows.with_columns(tools.to_series(), coarse.alias(BIN.name)).group_by(*row, BIN.name).agg(*sums)
    of_bins = with_all_instances(of_each).group_by(*row, BIN.name).agg(*sums).sort(BIN.name)
    peak = pl.format("[{},{},{}]", low(pl.col(BIN.name)), "jobs", "killed")
    peaks = pl.format("[{}]", pl.col("peak").str.join(",")).alias("peaks")
    return (
        of_bins.with_columns(peak.alias("peak"))
        .group_by(row)
        .agg(*sums, peaks)
        .with_columns(*_bounds(), pl.col("runtime").alias("runtime_seconds"))
    )
