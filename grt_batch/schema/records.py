"""The records of an archive, joined with their jobs: what a report can count.

Each kind of row is a class, and each column a field of it, so that a report names `Job.runtime`, never a string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.columns.columns import Array, Columns
from grt_batch.columns.quotient import quotient
from grt_batch.schema.members import NANOSECONDS_SCALE, SECONDS_SCALE

ALL_VERSIONS = "*"
"""The version of a tool over all its versions. Where an archive says that it is a job's version, the job has none."""


@dataclass(frozen=True)
class Field:
    """A column of joined records: its name and type, its unit, and what it means.

    Integers with a `scale` are multiples of 10 ** -scale of the unit, so that their sums are exact: with scale 7 a
    runtime of 15000000 is 1.5 s. Sums, extremes and percentiles of a field have its scale; `in_units` makes numbers of
    them.
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

    def of(self, rows: Columns) -> Columns:
        """Return this column of rows that have the source."""
        source = rows.frame({self.source.name: self.source.type})
        return Columns.of(source.select(self.derived.cast(self.type)))


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
    implausible = Field("implausible", pl.Boolean(), "", "a measurement was one that no job can have, and became null")


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
    file_size = Field("file_size", pl.Int64(), "B", "its size; null where it is unknown, or no file has it")
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


WINDOW_DAYS = 60
"""The longest window that looks back from the as-of day, in days: windowed cubes reach back this far."""


ROW = "row"
"""The column with the place of a record's job among the jobs."""


SCALE = "scale"
"""The column with the scale of a metric's value."""


_OF_THE_JOB = [known.name for known in Record.fields()]


_EPOCH = date(1970, 1, 1)


class _WithJobs(Mapping[str, Array]):
    """The columns of some records and those of their jobs, which are gathered when they are asked for."""

    def __init__(self, own: Mapping[str, Array], jobs: Mapping[str, Array]) -> None:
        self._known = dict(own)
        self._jobs = jobs

    def __getitem__(self, name: str) -> Array:
        if name not in self._known:
            if name not in _OF_THE_JOB:
                raise KeyError(name)
            # Every record has its job: to look whether a place is beyond the jobs takes as long again.
            self._known[name] = np.take(self._jobs[name], self._known[ROW], mode="clip")
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._known, *_OF_THE_JOB)))

    def __len__(self) -> int:
        return len({*self._known, *_OF_THE_JOB})

    def __contains__(self, name: object) -> bool:
        return name in self._known or name in _OF_THE_JOB


@dataclass(frozen=True, eq=False)
class Records:
    """All records of some jobs, by their kinds. `since` is the first day of a window of WINDOW_DAYS, None where that is
    unlimited.

    `tables` are in the order of the job ids. Records other than jobs have the column ROW in place of the fields of
    their job.
    """

    tables: Mapping[type[Record], Columns]
    since: date | None = None
    _joined: dict[type[Record], Columns] = field(default_factory=dict, init=False, repr=False)

    def __getitem__(self, record: type[Record]) -> Columns:
        """Return the records of a kind, with the fields of their jobs."""
        if record not in self._joined:
            own, jobs = self.tables[record], self.tables[Job]
            if record is Job:
                self._joined[record] = own
            else:
                texts = {name: jobs.texts[name] for name in _OF_THE_JOB if name in jobs.texts}
                self._joined[record] = Columns(_WithJobs(own.arrays, jobs.arrays), {**texts, **own.texts})
        return self._joined[record]

    def windowed(self, record: type[Record], days: int = WINDOW_DAYS) -> Columns:
        """Return the records of jobs that were created in the window of the last `days`, or later."""
        columns = self[record]
        if self.since is None:
            return columns
        return columns.rows(columns[Record.day.name] >= (self.since - _EPOCH).days + WINDOW_DAYS - days)

    def frame(self, record: type[Record]) -> pl.DataFrame:
        """Return the records of a kind as a frame of the types of their fields; texts are of the type `pl.Enum`."""
        columns, types = self[record], {known.name: known.type for known in record.fields()}
        if record is not Metric:
            return columns.frame(types)
        value = Metric.value.name
        plain = columns.frame({**types, value: pl.Int64(), SCALE: pl.Int64()})
        return plain.with_columns(_decimals(pl.col(value), pl.col(SCALE))).select(list(types))

    def part(self, begin: int, end: int) -> Records:
        """Return the records of the jobs from one place to another, which share the memory of all."""
        tables: dict[type[Record], Columns] = {}
        for record, table in self.tables.items():
            if record is Job:
                tables[record] = table.rows(slice(begin, end))
            else:
                rows = table[ROW]
                some = table.rows(slice(*np.searchsorted(rows, [begin, end]).tolist()))
                tables[record] = some.extended({ROW: some[ROW] - np.int32(begin)}) if begin else some
        return Records(tables, self.since)

    def without(self, ids: npt.NDArray[np.int64]) -> Records:
        """Return the records of all jobs but those of these ids."""
        kept = ~np.isin(self.tables[Job][Job.job_id.name], ids)
        if kept.all():
            return self
        places = (np.cumsum(kept) - 1).astype(np.int32)
        tables: dict[type[Record], Columns] = {}
        for record, table in self.tables.items():
            if record is Job:
                tables[record] = table.rows(kept)
            else:
                some = table.rows(kept[table[ROW]])
                tables[record] = some.extended({ROW: places[some[ROW]]})
        return Records(tables, self.since)


def _decimals(value: pl.Expr, scale: pl.Expr) -> pl.Expr:
    """Return value × 10 ** -scale as exact decimals; the scale is SECONDS_SCALE or 0."""
    raised = pl.when(scale == 0).then(10**SECONDS_SCALE).otherwise(1).cast(pl.Int128)
    unit = pl.lit(Decimal(1).scaleb(-SECONDS_SCALE), pl.Decimal(38, SECONDS_SCALE))
    return (value.cast(pl.Int128) * raised).cast(pl.Decimal(38, 0)) * unit
