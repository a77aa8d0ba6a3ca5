"""The raw tables: PostgreSQL reads in them what the archives say, wherever the jobs were cut, and run after run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from build import examples
from calling import AS_OF, Call, places, query
from exporting import cut, of_frames, records_of
from hypothesis import given
from hypothesis import strategies as st
from runs import copy_uploads

from grt_batch.core.config import Config
from grt_batch.core.errors import NoEncoder
from grt_batch.ledger.ledger import RUN
from grt_batch.modules.export import ArchiveParts
from grt_batch.modules.exports.records import SOURCES, RawRecords, encoded
from grt_batch.pipeline.request import RunSummary
from grt_batch.schema.records import RECORDS, Dataset, Job, Metric, Param, Record, Records
from grt_batch.sinks.postgres import Publication

MODULE = RawRecords()
TABLES = [table.name for table in MODULE.tables]
Run = Callable[..., RunSummary]
Rows = list[tuple[Any, ...]]

INTEGERS = [None, 0, -1, 2**31, -(2**31) - 1, 2**63 - 1, 1 - 2**63]
TEXTS = [
    None,
    "",
    " ",
    "None",
    "\\N",
    "tab\there",
    "line\nfeed\r",
    'quote"',
    "ü → 大 \U0001f600",
    "\x01\x7f",
    "x" * 100_000,
]
TIMES = [
    None,
    datetime(1, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1970, 1, 1),
    datetime(2000, 1, 1),
    datetime(2038, 1, 19, 3, 14, 8),
    datetime(9999, 12, 31, 23, 59, 59, 999999),
]
DECIMALS = [
    *(None if text is None else Decimal(text) for text in (None, "0", "-0.0000001", "0.1", "1.2300000", "10000.0001")),
    *(sign * Decimal(2**62 - 1) for sign in (1, -1)),
    Decimal("922337203685.4775807"),
]


def frame(record: type[Record], **columns: list[Any]) -> pl.DataFrame:
    """Records: null in every column that is not given."""
    height = max(map(len, columns.values()), default=0)
    schema = {field.name: field.type for field in record.fields()}
    return pl.DataFrame({name: columns.get(name, [None] * height) for name in schema}, schema=schema)


def records(**frames: pl.DataFrame) -> Records:
    """Records by their kind; none of a kind that is not given."""
    return of_frames({record: frames.get(kind, frame(record)) for kind, record in RECORDS.items()})


def published(url: str, *instances: Records) -> None:
    """Publish the records of instances, which are called 0, 1 and so on."""
    archives = [
        ArchiveParts(str(number), str(number), lambda names=None, found=found: list(MODULE.parts(found)))
        for number, found in enumerate(instances)
    ]
    moment, run = datetime(2020, 1, 1), dict.fromkeys((column.name for column in RUN.columns), 1)
    with Publication(url, MODULE.tables, lock_timeout_ms=100, lock_tries=3, run_id="r") as sink:
        sink.copy_parts(MODULE.tables, archives)
        sink.swap(run | {"started": moment, "finished": moment})
        sink.commit()


def table(url: str, name: str) -> Rows:
    """The rows of a table by job, without the instance."""
    columns = ", ".join(column.name for column in MODULE.tables[TABLES.index(name)].columns[1:])
    return query(url, f"SELECT {columns} FROM grt.{name} ORDER BY job_id")


def test_postgres_reads_what_was_written(database: str) -> None:
    ids = list(range(-5, 10))
    texts = [TEXTS[i % len(TEXTS)] for i in range(len(ids))]
    tools = [texts[i:] + texts[:i] for i in range(3)]
    times, integers = ([values[i % len(values)] for i in range(len(ids))] for values in (TIMES, INTEGERS))
    numbers = [DECIMALS[i % len(DECIMALS)] for i in range(len(ids))]
    names = [text or "" for text in texts]
    types = [None, "input", "output"] * 5
    published(
        database,
        records(
            jobs=frame(
                Job, job_id=ids, tool_id=tools[0], tool_version=tools[1], state=tools[2], create_time=times
            ),
            params=frame(Param, job_id=ids, name=names, value=tools[1]),
            metrics=frame(Metric, job_id=ids, plugin=tools[0], name=tools[1], value=numbers, text=tools[2]),
            datasets=frame(
                Dataset, job_id=ids, dataset_id=integers, extension=tools[0], file_size=integers[::-1],
                param_name=tools[1], type=types,
            ),
        ),
    )  # fmt: skip
    jobs = [tuple(text or "" for text in row) for row in zip(*tools, strict=True)]
    assert table(database, "job") == [(i, *job, time) for i, job, time in zip(ids, jobs, times, strict=True)]
    assert table(database, "job_param") == list(zip(ids, names, tools[1], strict=True))
    assert table(database, "job_metric") == list(zip(ids, tools[0], tools[1], numbers, tools[2], strict=True))
    expected = zip(ids, integers, tools[0], integers[::-1], tools[1], types, strict=True)
    assert table(database, "job_dataset") == list(expected)


def test_records_without_a_key_may_stand_twice(database: str) -> None:
    """A metric as number and as text, a dataset that is two parameters, names that no index can hold."""
    published(
        database,
        records(
            jobs=frame(Job, job_id=[1]),
            params=frame(Param, job_id=[1, 1], name=["x" * 10_000, "x" * 10_001]),
            metrics=frame(Metric, job_id=[1, 1], plugin=["core"] * 2, name=["n"] * 2, value=[Decimal(1), None]),
            datasets=frame(Dataset, job_id=[1, 1], dataset_id=[5, 5]),
        ),
    )
    assert [len(table(database, name)) for name in TABLES] == [1, 2, 2, 2]


def test_no_records_make_no_parts(database: str) -> None:
    assert list(MODULE.parts(records())) == []
    assert all(encoded(source.rows(records())) == b"" for source in SOURCES)
    published(database, records(), records(jobs=frame(Job, job_id=[1])))
    assert [len(table(database, name)) for name in TABLES] == [1, 0, 0, 0]


def test_a_part_says_what_is_in_it() -> None:
    found = records(jobs=frame(Job, job_id=[1, 2, 3]), params=frame(Param, job_id=[1, 3], name=["a", "b"]))
    parts = {part.name: part for part in MODULE.parts(found)}
    assert {name: (part.jobs, part.rows) for name, part in parts.items()} == {"job": (3, 3), "job_param": (3, 2)}
    assert all(part.bytes == len(part.data) for part in parts.values())


@pytest.fixture(scope="module")
def of_archives(sample: Path) -> list[Records]:
    return [found for _, found in records_of(sample)]


def joined_parts(*pieces: Records) -> Mapping[str, bytes]:
    """What stands in the tables after these, one behind the other."""
    parts = [part for piece in pieces for part in MODULE.parts(piece)]
    return {name: b"".join(part.data for part in parts if part.name == name) for name in TABLES}


@examples(25)
@given(number=st.integers(0, 11), borders=st.lists(st.integers(0, 600), max_size=5))
def test_any_cut_of_the_jobs_gives_the_same_rows(of_archives: list[Records], number: int, borders: list[int]) -> None:
    whole = of_archives[number]
    assert joined_parts(*cut(whole, borders)) == joined_parts(whole)


@pytest.mark.parametrize("package", ["pgpq", "pyarrow"])
def test_without_the_encoder_the_run_says_what_to_install(
    call: Call, good: Path, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    where = ["--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF]
    answer = call("run", *where, "records")
    assert answer.code == NoEncoder.exit_code == 2
    assert package in answer.complaint
    assert answer.complaint.endswith(NoEncoder.remedy)
    assert call("run", *where, "tools").code == 0, "who does not want the records needs no encoder"


def contents(url: str) -> dict[str, Rows]:
    return {name: query(url, f"SELECT * FROM grt.{name} AS t ORDER BY t::text") for name in TABLES}


def partitions(url: str) -> dict[tuple[str, str], int]:
    """The number by which PostgreSQL knows a partition of the raw tables, by table and instance."""
    found = query(
        url,
        "SELECT p.relname, split_part(obj_description(c.oid, 'pg_class'), ':', 1), c.oid FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent"
        f" WHERE c.relkind = 'r' AND p.relname = ANY (ARRAY{TABLES})",
    )
    return {(name, instance): oid for name, instance, oid in found}


SAME = {
    "jobs, without superseded ones": (
        "SELECT instance_id, count(*) FROM grt.job GROUP BY 1",
        "SELECT instance_id, sum(jobs - superseded) FROM grt.archive WHERE state = 'published' GROUP BY 1",
    ),
    "jobs of a day, tool and state": (
        "SELECT instance_id, create_time::date, tool_id, tool_version, state, count(*) FROM grt.job"
        " GROUP BY 1, 2, 3, 4, 5",
        "SELECT instance_id, day, tool_id, tool_version, state, jobs FROM grt.tool_day",
    ),
    "bytes of the inputs": (
        "SELECT instance_id, tool_id, state, sum(size) FROM grt.job JOIN (SELECT instance_id, job_id, dataset_id,"
        " max(file_size) AS size FROM grt.job_dataset WHERE type = 'input' GROUP BY 1, 2, 3)"
        " USING (instance_id, job_id) GROUP BY 1, 2, 3 HAVING sum(size) > 0",
        "SELECT instance_id, tool_id, state, sum(input_bytes) FROM grt.tool_day GROUP BY 1, 2, 3"
        " HAVING sum(input_bytes) > 0",
    ),
    "exact seconds": (
        "SELECT instance_id, sum(seconds) FROM (SELECT instance_id, coalesce("
        " max(value) FILTER (WHERE name = 'runtime_seconds'),"
        " max(value) FILTER (WHERE name = 'end_epoch') - max(value) FILTER (WHERE name = 'start_epoch')) AS seconds"
        " FROM grt.job_metric WHERE plugin = 'core' GROUP BY instance_id, job_id) WHERE seconds >= 0 GROUP BY 1",
        "SELECT instance_id, sum(runtime_seconds) FROM grt.tool_day GROUP BY 1 HAVING sum(runtime_seconds) > 0",
    ),
    "jobs that have a parameter in which nothing is nested": (
        "SELECT tool_id, tool_version, count(*) FROM grt.job JOIN grt.job_param USING (instance_id, job_id)"
        " WHERE name = 'dbkey' GROUP BY 1, 2",
        "SELECT tool_id, tool_version, jobs FROM grt.param WHERE name = 'dbkey' AND tool_version <> '*'",
    ),
}


def test_the_raw_tables_agree_with_the_reports(config: Config, run_here: Run, database: str) -> None:
    run_here(config, modules=("records", "tools", "params"))
    assert query(database, "SELECT sum(superseded) > 0 FROM grt.archive") == [(True,)]
    assert all(query(database, f"SELECT count(*) > 1000 FROM grt.{name}") == [(True,)] for name in TABLES)
    for what, (raw, report) in SAME.items():
        assert set(query(database, raw)) == set(query(database, report)), what


def test_a_new_archive_touches_its_instance_alone(
    config: Config, run_here: Run, database: str, good: Path, tmp_path: Path
) -> None:
    """And two runs leave the same as one."""
    last = max(good.rglob("*.tar.gz"), key=lambda path: float(path.name.removesuffix(".tar.gz")))
    uploads = tmp_path / "uploads"
    copy_uploads(good, uploads, lambda file: file != last)
    config = replace(config, uploads=uploads)
    run_here(config, modules=("records",))
    first = partitions(database)
    run_here(config, modules=("records",))
    assert partitions(database) == first
    copy_uploads(good, uploads)
    run_here(config, modules=("records",))
    second = partitions(database)
    instance = last.relative_to(good).parts[0]
    assert {place for place in second if second[place] != first[place]} == {(name, instance) for name in TABLES}
    in_two_runs = contents(database)
    query(database, "DROP SCHEMA grt, grt_data CASCADE")
    run_here(replace(config, work=tmp_path / "other"), modules=("records",))
    assert contents(database) == in_two_runs
