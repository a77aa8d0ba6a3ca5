"""What do the archives say of every single job, parameter, metric and dataset?

One row a record, as the newest archive that reports the job has it: salvaged lines are put right, of a metric or
parameter that stands twice the last counts, numbers at or above 2^62 are null, parameters are unwrapped. The tables are
partitioned by instance; a partition of which nothing changed is kept.
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
    """The records of a kind and the fields of them that are the rows of a table: `key` tells those of an instance
    apart, as far as anything does, and `rest` says more. The key may be null in the fields `nullable`."""

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
        """The table, whose columns say what the fields say. Nothing but a job has a key to rely on (a metric may be
        given as number and as text), nor one that an index can hold: a name may be as long as a line."""
        return Table(
            self.name,
            self.doc,
            (INSTANCE, *(field.name for field in self.key)),
            (Column(INSTANCE, Type.TEXT, "the instance"), *map(_column, self.fields)),
            tuple(field.name for field in self.nullable),
            () if self.record is Job else (Job.job_id.name,),
        )

    def rows(self, records: Records) -> pl.DataFrame:
        """The rows of the table, all of one instance, without its id."""
        return records[self.record].select(
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
        "Every job, as the newest archive that holds it has it.",
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
        "Every dataset of every job; one that a job has twice stands here twice.",
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
        """The rows of each table that has any."""
        jobs = records[Job].height
        for source in SOURCES:
            rows = source.rows(records)
            if rows.height:
                data = encoded(rows)
                yield Part(source.name, jobs, rows.height, len(data), data)


def encoded(rows: pl.DataFrame) -> bytes:
    """The rows in PostgreSQL's binary COPY format, without header and trailer.

    Raises NoEncoder where a package is missing.
    """
    try:
        import pyarrow  # noqa: F401 - polars needs it for `to_arrow`
        from pgpq import ArrowToPostgresBinaryEncoder
    except ModuleNotFoundError as error:
        raise NoEncoder(package=error.name) from None
    # The newest form of Arrow is that of polars itself: no text is copied.
    table = rows.to_arrow(compat_level=pl.CompatLevel.newest())
    encoder = ArrowToPostgresBinaryEncoder(table.schema)
    encoder.write_header()
    pieces = [encoder.write_batch(batch) for batch in table.to_batches()]
    # The encoder keeps what is too little to be sent by itself, and gives it with the trailer.
    return b"".join([*pieces, encoder.finish().removesuffix(_TRAILER)])
