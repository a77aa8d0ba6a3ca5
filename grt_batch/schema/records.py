"""The records of an archive, joined with their jobs: what a report can count.

Each kind of row is a class, and each column a field of it, so that a report names `Job.runtime`, never a string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

import polars as pl

from grt_batch.frames.quotient import quotient
from grt_batch.schema.members import NANOSECONDS_SCALE, SECONDS_SCALE

ALL_VERSIONS = "*"
"""The version of a tool over all its versions. Where an archive says that it is a job's version, the job has none."""


@dataclass(frozen=True)
class Field:
    """A column of joined records: its name and type, its unit, and what it means.

    Integers with a `scale` are multiples of 10 ** -scale of the unit, so that their sums are exact: with scale 7 a
    runtime of 15000000 is 1.5 s. Sums, extremes and percentiles of a field have its scale; `in_units` makes numbers of
    them.

    A field whose unit, scale or meaning changes takes another name: the store has records that cannot be read again.
    """

    name: str
    type: pl.DataType
    unit: str
    doc: str
    scale: int = 0

    @property
    def expr(self) -> pl.Expr:
        """The column, its texts as plain strings and null texts as the empty one."""
        column = pl.col(self.name)
        return column.cast(pl.String).fill_null("") if self.type == pl.String() else column

    @property
    def one(self) -> int:
        """The integer that stands for one unit."""
        return int(10**self.scale)

    @property
    def resolution(self) -> str:
        """The unit of the column's integers, such as `1e-7 s`."""
        return f"1e-{self.scale} {self.unit}" if self.scale else self.unit

    def in_units(self, value: pl.Expr, times: int = 1) -> pl.Expr:
        """Return integers of this field's scale as numbers of its unit, or of `times` the unit: the nearest doubles."""
        return quotient(value, pl.lit(float(self.one * times)))


@dataclass(frozen=True, kw_only=True)
class DerivedField(Field):
    """A key or a measured value that is computed from a field, its `source`, when a cube is counted.

    Records without the source of a key are not in the cube.
    """

    source: Field
    derive: Callable[[pl.Expr], pl.Expr] = field(repr=False)

    @property
    def derived(self) -> pl.Expr:
        """The column, from that of the source."""
        return self.derive(self.source.expr).alias(self.name)


class Record:
    """A row; rows are in the order of the job ids. Every kind of row has these fields of its job."""

    kind: ClassVar[str]
    job_id = Field("job_id", pl.Int64(), "", "the job's number in its instance")
    tool_id = Field("tool_id", pl.String(), "", "the tool, by its full id")
    tool_version = Field("tool_version", pl.String(), "", "the tool's version; null where it is written as `*`")
    state = Field("state", pl.String(), "", "the state when the job was exported last")
    day = Field("day", pl.Date(), "UTC", "the day of create_time")
    month = Field("month", pl.Date(), "UTC", "the first day of create_time's month")

    @classmethod
    def fields(cls) -> tuple[Field, ...]:
        """Return the fields of this kind of row, those of its job first."""
        return tuple(known for base in reversed(cls.__mro__) for known in vars(base).values() if type(known) is Field)


NEVER_NULL = (Record.tool_id, Record.tool_version, Record.state)
"""Fields whose null is the empty text in all tables, so that tables can be joined by them."""


class Job(Record):
    """One row for each job: what it was, and what was measured."""

    kind = "jobs"
    create_time = Field("create_time", pl.Datetime("us"), "UTC", "when the job was created")
    runtime = Field("runtime", pl.Int64(), "s", "runtime_seconds; where it is missing, end - start", SECONDS_SCALE)
    memory = Field("memory", pl.Int64(), "B", "memory.peak, else memory.max_usage_in_bytes; not 0")
    cpu = Field("cpu", pl.Int64(), "s", "cpu.stat.usage_usec, else cpuacct.usage", NANOSECONDS_SCALE)
    cores = Field("cores", pl.Int64(), "cores", "galaxy_slots", SECONDS_SCALE)
    allocated_memory = Field("allocated_memory", pl.Int64(), "B", "galaxy_memory_mb")
    core_seconds = Field("core_seconds", pl.Int64(), "core s", "runtime × cores", SECONDS_SCALE)
    wait = Field("wait", pl.Int64(), "s", "start - create_time, null when negative", SECONDS_SCALE)
    input_bytes = Field(
        "input_bytes", pl.Int64(), "B", "input datasets with a known size, each once; the greatest of several"
    )
    output_bytes = Field("output_bytes", pl.Int64(), "B", "output datasets, in the same way")
    oom = Field("oom", pl.Boolean(), "", "it was killed for memory; null where nothing could tell")
    non_terminal = Field("non_terminal", pl.Boolean(), "", "the job could still change its state")
    without_metrics = Field("without_metrics", pl.Boolean(), "", "there is no numeric metric of this job")
    implausible = Field("implausible", pl.Boolean(), "", "a measurement was negative, and became null")


class Param(Record):
    """One row for each parameter of a job; where a name is repeated, the last value."""

    kind = "params"
    name = Field("name", pl.String(), "", "the parameter")
    value = Field("value", pl.String(), "", "the one value, unwrapped; null where it is null")
    names_data = Field("names_data", pl.Boolean(), "", "the value names datasets, and says nothing else")


class Leaf(Record):
    """One row for each setting of a job: the values inside of its parameters, by their names.

    Of an object each key has a row of its own. No two rows of a job say the same.
    """

    kind = "leaves"
    name = Field("name", pl.String(), "", "the parameter, and the keys inside of it, with | between them")
    value = Field("value", pl.String(), "", "the one value, empty where it is null; null where it names datasets")
    names_data = Field("names_data", pl.Boolean(), "", "the row says only that the parameter names datasets")
    first = Field("first", pl.Boolean(), "", "the row is the first of the job with this name")


class Dataset(Record):
    """One row for each dataset of a job."""

    kind = "datasets"
    dataset_id = Field("dataset_id", pl.Int64(), "", "the history-dataset association")
    extension = Field("extension", pl.String(), "", "the type of its file")
    file_size = Field("file_size", pl.Int64(), "B", "its size; null where it is unknown or negative")
    param_name = Field("param_name", pl.String(), "", "the parameter or output that it stands for")
    type = Field("type", pl.String(), "", "input or output")


class Metric(Record):
    """One row for each metric of a job; where a name is repeated, the last value."""

    kind = "metrics"
    plugin = Field("plugin", pl.String(), "", "the plugin that measured it")
    name = Field("name", pl.String(), "", "the metric")
    value = Field(
        "value", pl.Decimal(38, SECONDS_SCALE), "", "a number; null for a text, and at or above 2^62, which is no limit"
    )
    text = Field("text", pl.String(), "", "a text; null for a number")


RECORDS: Mapping[str, type[Record]] = {record.kind: record for record in (Job, Param, Leaf, Dataset, Metric)}
"""Every kind of joined records, the jobs first."""


@dataclass(frozen=True)
class Records:
    """All records of some jobs, by their kinds. `since` is the first day of the window, None where it is unlimited."""

    frames: Mapping[type[Record], pl.DataFrame]
    since: date | None = None

    def __getitem__(self, record: type[Record]) -> pl.DataFrame:
        return self.frames[record]

    def windowed(self, record: type[Record]) -> pl.DataFrame:
        """Return the records of jobs that were created on the day `since` or later."""
        frame = self.frames[record]
        return frame if self.since is None else frame.filter(pl.col(Record.day.name) >= self.since)
