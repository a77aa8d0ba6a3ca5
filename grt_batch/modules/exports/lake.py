"""The lake: Parquet files in folders as Hive, Spark, Hadoop and DuckDB know them.

`<table>/instance=<id>/month=<YYYY-MM>/<digest>-<n>.parquet`, the month that of the job's create_time in UTC, or
`__HIVE_DEFAULT_PARTITION__`; a table without rows has no folder. Readers guess the types of values in folder names, and
would take an instance called 3 for a number: DuckDB wants `hive_types = {'instance': VARCHAR, 'month': VARCHAR}`, Spark
`spark.sql.sources.partitionColumnTypeInference.enabled = false`.

A file's bytes follow from its rows alone, and its name from its bytes. So it does not matter how the jobs were cut, and
the name is the same after a change of the program. A file that an earlier run wrote of the same is linked.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from grt_batch.core.files import link_or_copy, write_synced
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, FolderExport, Part
from grt_batch.schema.members import SECONDS_SCALE
from grt_batch.schema.records import NEVER_NULL, Dataset, Field, Job, Metric, Param, Record, Records
from grt_batch.schema.tool_ids import SHED_ID

SCHEMA_VERSION = 1
"""The version of the manifest: a run takes nothing from the manifest of another version."""


FILE_ROWS, GROUP_ROWS = 1_000_000, 250_000
"""The most rows of a file, which take 4 to 40 MB, and of a row group, which one core of a reader works on."""


BATCH_ROWS = 8_000_000
"""The rows that are concatenated at a time, 30 to 300 MB of parts. An archive is read once for each of its batches."""


NO_MONTH = "__HIVE_DEFAULT_PARTITION__"


MANIFEST = "manifest.json"


_TYPES = {
    pl.Int64(): "bigint",
    pl.Float64(): "double",
    pl.String(): "string",
    pl.Boolean(): "boolean",
    pl.Datetime("us"): "timestamp",
    Metric.value.type: f"decimal(38,{SECONDS_SCALE})",
}
"""The types of the columns, as SQL calls them."""


@dataclass(frozen=True, eq=False)
class LakeColumn:
    """A column of the lake: its type, how it is computed from joined records, what it means, and its unit."""

    name: str
    type: pl.DataType
    expr: pl.Expr
    doc: str
    unit: str = ""


def _same(field: Field, name: str = "") -> LakeColumn:
    """Return a column for a field as it is. Texts are plain, so that all files of a table have the same schema."""
    expr = field.expr if field in NEVER_NULL else pl.col(field.name)
    return LakeColumn(name or field.name, field.type, expr, field.doc, field.unit)


def _scaled(field: Field, name: str) -> LakeColumn:
    """Return a column for a field of integers, as numbers of its unit."""
    return LakeColumn(name, pl.Float64(), field.in_units(field.expr), field.doc, field.unit)


_SHED = Job.tool_id.expr.str.extract_groups(SHED_ID).struct
"""The origin of a tool by its id, as in the table `tool`."""


_NAME = _SHED.field("name").fill_null(Job.tool_id.expr)


@dataclass(frozen=True, eq=False)
class LakeTable:
    """A table of the lake: the records of one kind."""

    name: str
    record: type[Record]
    doc: str
    columns: tuple[LakeColumn, ...]

    def by_month(self, records: Records) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield the rows of each month, in the order of the jobs."""
        columns = (column.expr.cast(column.type).alias(column.name) for column in self.columns)
        rows = records.frame(self.record).select(pl.col(Record.month.name), *columns)
        months = rows.partition_by(Record.month.name, maintain_order=True, include_key=False, as_dict=True)
        for (month,), part in months.items():
            yield month.isoformat()[:7] if month else NO_MONTH, part


_OF_THE_JOB = (_same(Job.job_id), _same(Job.tool_id), _same(Job.tool_version), _same(Job.state))


TABLES = (
    LakeTable(
        "jobs",
        Job,
        "Every job, as in the newest archive that has it.",
        (
            *_OF_THE_JOB,
            LakeColumn("tool_owner", pl.String(), _SHED.field("owner"), "owner of the tool's repository"),
            LakeColumn("tool_repository", pl.String(), _SHED.field("repository"), "repository in the Tool Shed"),
            LakeColumn(
                "tool_name", pl.String(), _SHED.field("name").fill_null(Job.tool_id.expr), "short name of the tool"
            ),
            _same(Job.create_time),
            _scaled(Job.runtime, "runtime_seconds"),
            _same(Job.memory, "memory_bytes"),
            _scaled(Job.cpu, "cpu_seconds"),
            _scaled(Job.cores, "cores"),
            _same(Job.allocated_memory, "allocated_memory_bytes"),
            _scaled(Job.core_seconds, "core_seconds"),
            _scaled(Job.wait, "wait_seconds"),
            _same(Job.input_bytes),
            _same(Job.output_bytes),
            _same(Job.oom),
            _same(Job.non_terminal),
            _same(Job.without_metrics),
            _same(Job.implausible),
        ),
    ),
    LakeTable(
        "params",
        Param,
        "Every parameter of every job.",
        (*_OF_THE_JOB, _same(Param.name), _same(Param.value), _same(Param.names_data)),
    ),
    LakeTable(
        "metrics",
        Metric,
        "Every metric of every job, numbers and texts.",
        (*_OF_THE_JOB, _same(Metric.plugin), _same(Metric.name), _same(Metric.value), _same(Metric.text)),
    ),
    LakeTable(
        "datasets",
        Dataset,
        "Every dataset of every job.",
        (
            *_OF_THE_JOB,
            _same(Dataset.dataset_id),
            _same(Dataset.extension),
            _same(Dataset.file_size),
            _same(Dataset.param_name),
            _same(Dataset.type),
        ),
    ),
)


class Lake(FolderExport):
    """How do I ask my own questions, with Spark, Hadoop or DuckDB?"""

    name = "lake"
    needs = (Job, Param, Dataset, Metric)

    def parts(self, records: Records) -> Iterator[Part]:
        """Yield a Parquet file for each table and month."""
        for table in TABLES:
            for month, rows in table.by_month(records):
                jobs = rows[Job.job_id.name].n_unique()
                yield Part(f"{table.name}/{month}", jobs, rows.height, _plain_bytes(rows), _parquet(rows))

    def write(self, folder: Path, archives: Sequence[ArchiveParts], ledger: Ledger, before: Path | None) -> None:
        """Write the files of every table, instance and month, and their manifest."""
        earlier = Earlier.read(before)
        partitions = _partitions(archives, earlier)
        files: dict[LakePartition, Sequence[LakeFile]] = {}
        for instance_id, of_instance in groupby(partitions, key=lambda partition: partition.instance_id):
            its_archives = [archive for archive in archives if archive.instance_id == instance_id]
            missing = []
            for partition in of_instance:
                linked = earlier.link(partition, folder)
                if linked is None:
                    missing.append(partition)
                else:
                    files[partition] = linked
            for batch in _batches(missing):
                files |= _write(folder, batch, its_archives)
        manifest = orjson.dumps(_manifest(partitions, files, ledger), option=orjson.OPT_INDENT_2)
        write_synced(folder / MANIFEST, [manifest, b"\n"])


@dataclass(frozen=True)
class LakeFile:
    """A file: its path below the folder of the lake, its rows and bytes."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class LakePartition:
    """The rows of a table of one instance and month. `made_of` lists the archives' keys and rows, in order."""

    instance_id: str
    month: str
    table: str
    made_of: tuple[tuple[str, int], ...]

    @property
    def part(self) -> str:
        """The name of its parts."""
        return f"{self.table}/{self.month}"

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(rows for _, rows in self.made_of)

    @property
    def folder(self) -> str:
        """The folder of its files below that of the lake."""
        return f"{self.table}/instance={self.instance_id}/month={self.month}"


@dataclass(frozen=True)
class Earlier:
    """What an earlier run wrote: the files of each partition, and the rows of each archive's parts, by its key, so that
    the archive need not be read for that."""

    folder: Path
    files: Mapping[LakePartition, Sequence[LakeFile]]
    outlines: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(cls, folder: Path | None) -> Earlier:
        """Read the manifest in `folder`; without one of this version, nothing is known."""
        outlines: dict[str, dict[str, int]] = defaultdict(dict)
        try:
            manifest = orjson.loads((folder / MANIFEST).read_bytes()) if folder else {}
        except (OSError, ValueError):
            manifest = {}
        if manifest.get("schema_version") != SCHEMA_VERSION:
            return cls(Path(), {}, {})
        files = {}
        for listed in manifest["partitions"]:
            made_of = tuple((key, rows) for key, rows in listed["made_of"])
            partition = LakePartition(listed["instance"], listed["month"] or NO_MONTH, listed["table"], made_of)
            files[partition] = [LakeFile(**file) for file in listed["files"]]
            for key, rows in made_of:
                outlines[key][partition.part] = rows
        return cls(folder or Path(), files, outlines)

    def outline(self, archive: ArchiveParts) -> Mapping[str, int]:
        """Return the rows of all parts of an archive, by their names."""
        known = self.outlines.get(archive.key)
        if known is not None:
            return known
        rows: Counter[str] = Counter()
        for part in archive.load():
            rows[part.name] += part.rows
        return rows

    def link(self, partition: LakePartition, folder: Path) -> Sequence[LakeFile] | None:
        """Link all files of a partition into `folder`; None where some are not there, or not whole."""
        files = self.files.get(partition)
        if files is None or not all(_size(self.folder / file.path) == file.bytes for file in files):
            return None
        (folder / partition.folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            link_or_copy(self.folder / file.path, folder / file.path)
        return files


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _partitions(archives: Sequence[ArchiveParts], earlier: Earlier) -> list[LakePartition]:
    """Return all partitions, in the order of instance, month and table."""
    made_of: dict[tuple[str, str, str], list[tuple[str, int]]] = defaultdict(list)
    for archive in archives:
        for name, rows in earlier.outline(archive).items():
            table, month = name.split("/")
            made_of[archive.instance_id, month, table].append((archive.key, rows))
    return [LakePartition(*place, tuple(parts)) for place, parts in sorted(made_of.items())]


def _batches(partitions: Sequence[LakePartition]) -> Iterator[list[LakePartition]]:
    """Yield batches of at most BATCH_ROWS rows, or of a single partition."""
    batch: list[LakePartition] = []
    rows = 0
    for partition in partitions:
        if batch and rows + partition.rows > BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(partition)
        rows += partition.rows
    if batch:
        yield batch


def _write(
    folder: Path, batch: Sequence[LakePartition], archives: Sequence[ArchiveParts]
) -> dict[LakePartition, list[LakeFile]]:
    """Write the files of some partitions of one instance, from its archives."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for partition in batch:
        for key, _ in partition.made_of:
            wanted[key].append(partition.part)
    found: dict[str, list[Part]] = defaultdict(list)
    for archive in archives:
        if archive.key in wanted:
            for part in archive.load(wanted[archive.key]):
                found[part.name].append(part)
    return {partition: _write_partition(folder, partition, found.pop(partition.part)) for partition in batch}


def _write_partition(folder: Path, partition: LakePartition, parts: Sequence[Part]) -> list[LakeFile]:
    """Write the files of one partition, and return them."""
    (folder / partition.folder).mkdir(parents=True, exist_ok=True)
    files = []
    for number, content in enumerate(_contents(parts)):
        path = f"{partition.folder}/{hashlib.sha256(content).hexdigest()[:16]}-{number}.parquet"
        write_synced(folder / path, [content])
        files.append(LakeFile(path, min(FILE_ROWS, partition.rows - number * FILE_ROWS), len(content)))
    return files


def _contents(parts: Sequence[Part]) -> Iterator[bytes]:
    """Yield the files of some parts. A single part that fits is a file: writing its rows again gives the same bytes."""
    if len(parts) == 1 and parts[0].rows <= FILE_ROWS:
        yield parts[0].data
        return
    waiting: list[pl.DataFrame] = []
    for part in parts:
        waiting.append(pl.read_parquet(io.BytesIO(part.data)))
        while sum(rows.height for rows in waiting) >= FILE_ROWS:
            rows = pl.concat(waiting)
            yield _parquet(rows[:FILE_ROWS])
            waiting = [rows[FILE_ROWS:]]
    rows = pl.concat(waiting)
    if rows.height:
        yield _parquet(rows)


def _parquet(rows: pl.DataFrame) -> bytes:
    """Return a Parquet file that depends on these rows alone."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", row_group_size=GROUP_ROWS)
    return buffer.getvalue()


def _plain_bytes(rows: pl.DataFrame) -> int:
    """Return the bytes of all texts, and 8 for any other value."""
    texts = [column for column in rows.iter_columns() if column.dtype == pl.String]
    sizes = (column.str.len_bytes().sum() for column in texts)
    return sum(map(int, sizes)) + 8 * rows.height * (rows.width - len(texts))


def _manifest(
    partitions: Sequence[LakePartition], files: Mapping[LakePartition, Sequence[LakeFile]], ledger: Ledger
) -> dict[str, Any]:
    """Describe the lake. By `made_of` the next run finds what it need not write."""
    listed: list[dict[str, Any]] = []
    totals = {table.name: {"rows": 0, "bytes": 0, "files": 0} for table in TABLES}
    for partition in partitions:
        own = files[partition]
        found = {"rows": partition.rows, "bytes": sum(file.bytes for file in own), "files": len(own)}
        for count, value in found.items():
            totals[partition.table][count] += value
        listed.append(
            {
                "table": partition.table,
                "instance": partition.instance_id,
                "month": None if partition.month == NO_MONTH else partition.month,
                "files": [asdict(file) for file in own],
                "made_of": partition.made_of,
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": ledger.as_of.isoformat(),
        "totals": {count: sum(of[count] for of in totals.values()) for count in ("rows", "bytes", "files")},
        "tables": [{**_described(table), **totals[table.name]} for table in TABLES],
        "partitions": listed,
    }


def _described(table: LakeTable) -> dict[str, Any]:
    """Describe a table and its columns as readers see them, with those from folder names last."""
    columns = [(column.name, _TYPES[column.type], column.unit, column.doc) for column in table.columns]
    columns.append(("instance", "string", "", "the instance, from the folder's name"))
    columns.append(
        ("month", "string", "UTC", "month of create_time, YYYY-MM, from the folder's name; null without one")
    )
    keys = ("name", "type", "unit", "doc")
    return {
        "name": table.name,
        "doc": table.doc,
        "columns": [dict(zip(keys, column, strict=True)) for column in columns],
    }
