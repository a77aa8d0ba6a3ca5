"""The lake: the same files however the jobs were cut, old files kept, and what DuckDB and Spark read in them."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import pytest
from exporting import Archives, contents, cut, made, records_of

from grt_batch.core.config import Config
from grt_batch.modules.exports import lake
from grt_batch.modules.exports.lake import MANIFEST, NO_MONTH, TABLES, Lake
from grt_batch.pipeline.request import RunSummary
from grt_batch.schema.records import Dataset, Job, Metric, Param, Records

Run = Callable[..., RunSummary]


@pytest.fixture(scope="module")
def archives(sample: Path) -> list[tuple[str, Records]]:
    return records_of(sample)


def lake_of(archives: list[tuple[str, Records]], places: tuple[int, ...] = ()) -> Archives:
    """The parts of these archives, each of them cut at the same places."""
    found = Archives(Lake())
    for number, (instance_id, records) in enumerate(archives):
        found.add(instance_id, f"key{number}", *cut(records, places))
    return found


def manifest(folder: Path) -> dict[str, Any]:
    return orjson.loads((folder / MANIFEST).read_bytes())


def read(folder: Path, table: str, columns: str = "*", rest: str = "") -> list[tuple[Any, ...]]:
    """Ask DuckDB."""
    files = f"'{folder}/{table}/*/*/*.parquet'"
    types = "{'instance': VARCHAR, 'month': VARCHAR}"
    source = f"read_parquet({files}, hive_partitioning = true, hive_types = {types})"
    return duckdb.sql(f"SELECT {columns} FROM {source} {rest}").fetchall()


JOB = {"tool_id": "cat1", "tool_version": "1.0", "state": "ok", "month": date(2024, 5, 1)}


@pytest.fixture(scope="module")
def written(archives: list[tuple[str, Records]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of the sample's archives, the jobs of each of them in one piece."""
    return lake_of(archives).write(tmp_path_factory.mktemp("lake") / "lake")


@pytest.mark.parametrize("places", [(250,), (1, 2, 300, 499), tuple(range(40, 500, 40))], ids=len)
def test_any_cut_of_the_jobs_gives_the_same_bytes(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path, places: tuple[int, ...]
) -> None:
    other = lake_of(archives, places).write(tmp_path / "lake")
    assert contents(other) == contents(written)


def test_files_of_a_certain_size_hold_the_same_rows(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "FILE_ROWS", 1000)
    monkeypatch.setattr(lake, "BATCH_ROWS", 5000)
    small = lake_of(archives).write(tmp_path / "small")
    assert contents(small) == contents(lake_of(archives, (150, 420)).write(tmp_path / "cut"))
    listed = [file for partition in manifest(small)["partitions"] for file in partition["files"]]
    assert max(file["rows"] for file in listed) == 1000
    assert all(pl.read_parquet(small / file["path"]).height == file["rows"] for file in listed[::5])
    for table in TABLES:
        counts = "instance, month, tool_id, count(*), sum(hash(columns(*))::hugeint)"
        assert set(read(small, table.name, counts, "GROUP BY ALL")) == set(
            read(written, table.name, counts, "GROUP BY ALL")
        )


def test_the_lake_says_what_the_records_say(archives: list[tuple[str, Records]], written: Path) -> None:
    for table in TABLES:
        tables = [found[table.record] for _, found in archives]
        assert read(written, table.name, "count(*)") == [(sum(found.height for found in tables),)]
    jobs = pl.concat(
        [found.frame(Job).drop(Job.tool_id.name, Job.tool_version.name, Job.state.name) for _, found in archives]
    )
    sums = (
        "sum(memory_bytes), sum(cpu_seconds), sum(cores), sum(allocated_memory_bytes), sum(runtime_seconds), "
        "sum(core_seconds), sum(wait_seconds), sum(input_bytes), sum(output_bytes), sum(non_terminal::int), "
        "sum(without_metrics::int), sum(implausible::int), count(create_time)"
    )
    second = 10**7
    wanted = [
        jobs["memory"].sum(), jobs["cpu"].cast(pl.Float64).sum() / 10**9, jobs["cores"].sum() / second,
        jobs["allocated_memory"].sum(), jobs["runtime"].sum() / second, jobs["core_seconds"].sum() / second,
        jobs["wait"].sum() / second, jobs["input_bytes"].sum(), jobs["output_bytes"].sum(), jobs["non_terminal"].sum(),
        jobs["without_metrics"].sum(), jobs["implausible"].sum(), jobs["create_time"].count(),
    ]  # fmt: skip
    assert read(written, "jobs", sums) == [pytest.approx(wanted, rel=1e-9)]
    metrics = pl.concat([found.frame(Metric).select("value", pl.col("text").cast(pl.String)) for _, found in archives])
    assert read(written, "metrics", "sum(value), count(value), count(text)") == [
        (metrics["value"].sum(), metrics["value"].count(), metrics["text"].count())
    ]


def test_every_file_has_the_schema_that_the_manifest_tells(written: Path) -> None:
    told = manifest(written)
    assert told["as_of"] == "2024-06-30"
    for table in told["tables"]:
        columns = [(column["name"], column["type"]) for column in table["columns"]]
        assert all(column["doc"] for column in table["columns"])
        assert columns[-2:] == [("instance", "string"), ("month", "string")]
        for file in (written / table["name"]).rglob("*.parquet"):
            found = pl.read_parquet_schema(file)
            assert [(name, lake._TYPES[type_]) for name, type_ in found.items()] == columns[:-2]
    listed = [file for partition in told["partitions"] for file in partition["files"]]
    assert {file["path"] for file in listed} == contents(written).keys() - {MANIFEST}
    assert all((written / file["path"]).stat().st_size == file["bytes"] for file in listed)
    totals = {count: sum(table[count] for table in told["tables"]) for count in ("rows", "bytes", "files")}
    assert told["totals"] == totals
    assert totals == {
        "rows": sum(file["rows"] for file in listed),
        "bytes": sum(file["bytes"] for file in listed),
        "files": len(listed),
    }


def test_odd_values_and_jobs_without_a_month(tmp_path: Path) -> None:
    odd = "a\tb\nc\\d\r'\"ü€😀"
    shed = "toolshed.g2.bx.psu.edu/repos/iuc/sam tools/view:1+2/1.0"
    records = made(
        [
            {**JOB, "job_id": 1, "tool_id": shed, "create_time": datetime(2024, 5, 31, 23, 59, 59, 999999)},
            {"job_id": 2, "runtime": 25_000_000, "cpu": 1},
        ],
        params=[{**JOB, "job_id": 1, "name": odd, "value": odd}, {"job_id": 2, "name": "x", "names_data": True}],
        metrics=[
            {**JOB, "job_id": 1, "plugin": "core", "name": odd, "value": Decimal("-922337203684.1234567")},
            {"job_id": 2, "plugin": "p", "name": "n", "text": odd},
        ],
        datasets=[{**JOB, "job_id": 1, "dataset_id": -1, "param_name": odd, "type": "input", "extension": ""}],
    )
    found = Archives(Lake())
    found.add("3", "key", records)
    folder = found.write(tmp_path / "lake")
    where = "job_id, instance, month"
    assert read(folder, "jobs", where, "ORDER BY job_id") == [(1, "3", "2024-05"), (2, "3", None)]
    assert (folder / "jobs" / "instance=3" / f"month={NO_MONTH}").is_dir()
    assert manifest(folder)["partitions"][-1]["month"] is None
    tools = "tool_id, tool_version, tool_owner, tool_repository, tool_name, state, create_time, runtime_seconds"
    assert read(folder, "jobs", tools, "ORDER BY job_id") == [
        (shed, "1.0", "iuc", "sam tools", "view:1+2", "ok", datetime(2024, 5, 31, 23, 59, 59, 999999), None),
        ("", "", None, None, "", "", None, 2.5),
    ]
    assert read(folder, "params", "job_id, name, value", "ORDER BY job_id") == [(1, odd, odd), (2, "x", None)]
    assert read(folder, "metrics", "name, value, text", "ORDER BY job_id") == [
        (odd, Decimal("-922337203684.1234567"), None),
        ("n", None, odd),
    ]
    columns = "dataset_id, extension, file_size, param_name, type"
    assert read(folder, "datasets", columns) == [(-1, "", None, odd, "input")]


def test_without_jobs_there_is_a_manifest_alone(tmp_path: Path) -> None:
    found = Archives(Lake())
    found.add("3", "key", made([]))
    folder = found.write(tmp_path / "lake")
    assert contents(folder).keys() == {MANIFEST}
    assert manifest(folder)["totals"] == {"rows": 0, "bytes": 0, "files": 0}


def inodes(folder: Path) -> Mapping[str, int]:
    return {name: (folder / name).stat().st_ino for name in contents(folder)}


def test_files_that_did_not_change_are_linked(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path
) -> None:
    first = lake_of(archives[:-1]).write(tmp_path / "first")
    grown = lake_of(archives)
    second = grown.write(tmp_path / "second", first)
    assert contents(second) == contents(written)
    before, after = inodes(first), inodes(second)
    kept = before.keys() & after.keys() - {MANIFEST}
    assert all(before[name] == after[name] for name in kept)
    months = {month for (month,) in archives[-1][1].frame(Job).select(Job.month.name).unique().iter_rows()}
    names = {f"month={month:%Y-%m}" if month else f"month={NO_MONTH}" for month in months}
    changed = {name for name in after if name not in kept and name != MANIFEST}
    assert changed
    assert all(f"instance={archives[-1][0]}" in name for name in changed)
    assert {Path(name).parent.name for name in changed} == names
    # The other instances are known by the manifest alone.
    read_again = {int(key.removeprefix("key")) for key in grown.loads}
    assert {archives[number][0] for number in read_again} == {archives[-1][0]}
    # With nothing new, nothing is read; the files differ from those of another date in nothing but the manifest.
    third = grown.write(tmp_path / "third", second)
    assert grown.loads == {}
    assert contents(third) == contents(second)
    assert inodes(third).items() - inodes(second).items() == {(MANIFEST, inodes(third)[MANIFEST])}


def test_a_file_has_the_same_name_after_a_change_of_the_program(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path
) -> None:
    found = Archives(Lake())
    for number, (instance_id, records) in enumerate(archives):
        found.add(instance_id, f"another key{number}", records)
    again = contents(found.write(tmp_path / "again", written))
    assert again.keys() == contents(written).keys()
    assert {name for name in again if again[name] != contents(written)[name]} == {MANIFEST}


def test_an_archive_is_read_once_for_its_parts_and_once_for_all_of_them(
    archives: list[tuple[str, Records]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lake_of(archives)
    found.write(tmp_path / "whole")
    assert set(found.loads.values()) == {2}
    monkeypatch.setattr(lake, "BATCH_ROWS", 1)
    found.write(tmp_path / "cut")
    assert max(found.loads.values()) > 2
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("what", ["cut short", "gone", "no manifest", "another manifest", "no JSON"])
def test_what_is_not_whole_is_written_again(
    archives: list[tuple[str, Records]], written: Path, tmp_path: Path, what: str
) -> None:
    before = tmp_path / "before"
    shutil.copytree(written, before)
    victim = min(before.rglob("*.parquet"))
    match what:
        case "cut short":
            os.truncate(victim, 100)
        case "gone":
            victim.unlink()
        case "no manifest":
            (before / MANIFEST).unlink()
        case "another manifest":
            (before / MANIFEST).write_text('{"schema_version": 0}')
        case "no JSON":
            (before / MANIFEST).write_text("{")
    again = lake_of(archives).write(tmp_path / "again", before)
    assert contents(again) == contents(written)


def tool_days(latest: Path) -> Iterator[dict[str, str]]:
    with (latest / "tool_day.tsv").open(encoding="utf-8", newline="\n") as text:
        yield from csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE)


SUMS = ("runtime_seconds", "core_seconds", "cpu_seconds", "input_bytes", "output_bytes")


def test_duckdb_reads_the_numbers_of_the_tables(config: Config, run_here: Run, tmp_path: Path) -> None:
    run_here(config, modules=("lake", "tools"))
    latest = config.reports / "latest"
    sums = ", ".join(f"sum({name})" for name in SUMS)
    keys = "instance, coalesce(create_time::date::varchar, ''), tool_id, tool_version, state"
    found = {row[:5]: row[5:] for row in read(latest / "lake", "jobs", f"{keys}, count(*), {sums}", "GROUP BY ALL")}
    wanted = {
        (row["instance_id"], row["day"], row["tool_id"], row["tool_version"], row["state"]): (
            int(row["jobs"]),
            *(pytest.approx(float(row[name]), rel=1e-12) if row[name] else None for name in SUMS),
        )
        for row in tool_days(latest)
    }
    assert len(wanted) > 1000
    assert found == wanted
    # Another run, of everything, gives the same bytes; one more links them.
    other = replace(config, work=tmp_path / "other", reports=tmp_path / "other-reports", aggregate_jobs=100)
    run_here(other, modules=("lake",))
    assert contents(other.reports / "latest" / "lake") == contents(latest / "lake")
    before = inodes(latest / "lake")
    run_here(config, modules=("lake",), as_of=date(2024, 8, 1))
    day_after = inodes(config.reports / "2024-08-01" / "lake")
    assert {name for name in before if before[name] != day_after[name]} == {MANIFEST}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Spark of one thread, in this machine."""
    sql = pytest.importorskip("pyspark.sql", reason="no PySpark: pip install 'grt-batch[spark]'")
    if not shutil.which("java"):
        pytest.skip("no Java, which PySpark needs")
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "512m",
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.ui.enabled": "false",
    }
    builder = sql.SparkSession.builder.master("local[1]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_spark_reads_what_duckdb_reads(archives: list[tuple[str, Records]], tmp_path: Path, spark: Any) -> None:
    # Jobs without a month, and an archive of another instance with all members; each file more takes Spark its time.
    folder = lake_of([archives[0], archives[3]]).write(tmp_path / "lake")
    seconds = "coalesce(sum(cast(round(runtime_seconds * 1e7) as bigint)), 0)"
    columns = {
        "jobs": f"count(*), {seconds}, sum(memory_bytes), min(create_time), sum(cast(non_terminal as int))",
        "params": "count(*), count(distinct name), sum(length(value)), sum(cast(names_data as int))",
        "metrics": "count(*), sum(value), min(value), count(text)",
        "datasets": "count(*), sum(file_size), min(dataset_id), count(extension)",
    }
    for table in manifest(folder)["tables"]:
        frame = spark.read.parquet(str(folder / table["name"]))
        assert [(name, type_.replace("timestamp_ntz", "timestamp")) for name, type_ in frame.dtypes] == [
            (column["name"], column["type"]) for column in table["columns"]
        ]
        frame.createOrReplaceTempView(table["name"])
        asked = f"instance, month, {columns[table['name']]}"
        order = "GROUP BY instance, month ORDER BY instance, month NULLS LAST"
        found = [tuple(row) for row in spark.sql(f"SELECT {asked} FROM {table['name']} {order}").collect()]
        assert found
        assert found == read(folder, table["name"], asked, order)


def test_the_names_of_columns_are_those_of_the_records() -> None:
    """A reader who knows the tables of the database finds the same names here, units apart."""
    for record in (Param, Metric, Dataset):
        (table,) = (table for table in TABLES if table.record is record)
        fields = {field.name for field in record.fields()}
        assert {column.name for column in table.columns} == fields - {"day", "month"}
