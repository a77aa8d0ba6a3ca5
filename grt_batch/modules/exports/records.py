"""What do the archives say of every single job, parameter, metric and dataset?

One row for each record, as in the newest archive that reports the job: salvaged lines are repaired, the last value of a
repeated metric or parameter counts, numbers at or above 2^62 are null, parameters are unwrapped. The tables are
partitioned by instance; a partition is kept while nothing in it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from grt_batch.core.errors import NoEncoder
from grt_batch.modules.base import INSTANCE
from grt_batch.modules.export import Part, TableExport
from grt_batch.schema.members import SECONDS_SCALE
from grt_batch.schema.records import NEVER_NULL, Dataset, Field, Job, Metric, Param, Record, Records
from grt_batch.schema.tables import Column, Table, Type

_TYPES = {
    pl.Int64(): Type.BIGINT,
    pl.String(): Type.TEXT,
    pl.Datetime("us"): Type.TIMESTAMP,
    Metric.value.type: Type.NUMERIC,
}


_TRAILER = b"\xff\xff"


@dataclass(frozen=True)
class Source:
    """A table of the records of one kind, with some of their fields as columns.

    The fields `key` tell the records of an instance apart, as far as anything does; those in `nullable` may be null.
    """

    record: type[Record]
    name: str
    doc: str
    key: tuple[Field, ...]
    rest: tuple[Field, ...]
    nullable: tuple[Field, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """The columns after the instance."""
        return (*self.key, *self.rest)

    @property
    def table(self) -> Table:
        """The table. Only jobs have a unique key (a metric may be a number and a text) that fits in an index (a name
        may be as long as a line)."""
        return Table(
            self.name,
            self.doc,
            (INSTANCE, *(field.name for field in self.key)),
            (Column(INSTANCE, Type.TEXT, "the instance"), *map(_column, self.fields)),
            tuple(field.name for field in self.nullable),
            () if self.record is Job else (Job.job_id.name,),
        )

    def rows(self, records: Records) -> pl.DataFrame:
        """Return the rows of the table, all of one instance, without its id."""
        return records.frame(self.record).select(
            (field.expr if field in NEVER_NULL else pl.col(field.name).cast(field.type)).alias(field.name)
            for field in self.fields
        )


def _column(field: Field) -> Column:
    kind = _TYPES[field.type]
    return Column(field.name, kind, field.doc, field.unit, SECONDS_SCALE if kind is Type.NUMERIC else 0)


SOURCES = (
    Source(
        Job,
        "job",
        "Every job, as in the newest archive that has it.",
        (Job.job_id,),
        (Job.tool_id, Job.tool_version, Job.state, Job.create_time),
    ),
    Source(
        Param,
        "job_param",
        "Every parameter of every job.",
        (Param.job_id, Param.name),
        (Param.value,),
    ),
    Source(
        Metric,
        "job_metric",
        "Every metric of every job, numbers and texts.",
        (Metric.job_id, Metric.plugin, Metric.name),
        (Metric.value, Metric.text),
        nullable=(Metric.plugin, Metric.name),
    ),
    Source(
        Dataset,
        "job_dataset",
        "Every dataset of every job; one that a job has twice is listed twice.",
        (Dataset.job_id, Dataset.dataset_id),
        (Dataset.extension, Dataset.file_size, Dataset.param_name, Dataset.type),
        nullable=(Dataset.dataset_id,),
    ),
)


class RawRecords(TableExport):
    """What do the archives say of every single job, parameter, metric and dataset?"""

    name = "records"
    packages = ("pgpq", "pyarrow")
    needs = (Job, Param, Dataset, Metric)
    tables = tuple(source.table for source in SOURCES)

    def parts(self, records: Records) -> Iterator[Part]:
        """Yield the rows of each table that has any."""
        jobs = records[Job].height
        for source in SOURCES:
            rows = source.rows(records)
            if rows.height:
                data = encoded(rows)
                yield Part(source.name, jobs, rows.height, len(data), data)


def encoded(rows: pl.DataFrame) -> bytes:
    """Return the rows in PostgreSQL's binary COPY format, without header and trailer.

    Raises NoEncoder where a package is missing.
    """
    try:
        import pyarrow  # noqa: F401 - polars needs it for `to_arrow`
        from pgpq import ArrowToPostgresBinaryEncoder
    except ModuleNotFoundError as error:
        raise NoEncoder(package=error.name) from None
    # The newest level of Arrow is the layout of polars itself, so no text is copied.
    table = rows.to_arrow(compat_level=pl.CompatLevel.newest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    encoder.write_header()
    pieces = [encoder.write_batch(batch) for batch in table.to_batches()]
    # The encoder holds small batches back, and returns them with the trailer.
    return b"".join([*pieces, encoder.finish().removesuffix(_TRAILER)])
