"""The law of sinks, over every implementation: readers see all of a publication, or nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg2
import pytest

from grt_batch.ledger.ledger import RUN
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.postgres import Publication, published_fingerprints
from grt_batch.sinks.report_set import ReportSet
from grt_batch.sinks.report_set import published_fingerprints as reported_fingerprints
from grt_batch.sinks.sink import Sink, TableText

TABLE = Table("one", "a table", ("key",), (Column("key", Type.TEXT, "key"),))
DAY = date(2024, 6, 30)
Open = Callable[[str], Sink]
Read = Callable[[], list[str]]


def reports_at(folder: Path) -> tuple[Open, Read, Read]:
    def read() -> list[str]:
        file = folder / "latest" / "one.tsv"
        return file.read_text().splitlines()[1:] if file.exists() else []

    return lambda run: ReportSet(folder, DAY, run), read, lambda: [*reported_fingerprints(folder, DAY).values()]


def database_at(url: str) -> tuple[Open, Read, Read]:
    def read() -> list[str]:
        with psycopg2.connect(url) as link, link.cursor() as cursor:
            cursor.execute("SELECT to_regclass('grt.one')")
            if cursor.fetchone() == (None,):
                return []
            cursor.execute("SELECT key FROM grt.one")
            return [key for (key,) in cursor.fetchall()]

    def open_sink(run: str) -> Sink:
        return Publication(url, [TABLE], lock_timeout_ms=100, lock_tries=3, run_id=run)

    return open_sink, read, lambda: [*published_fingerprints(url, [TABLE]).values()]


@pytest.fixture(params=["reports", "database"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Open, Read, Read]:
    """How to open a sink for a run, what its readers see, and the fingerprints there."""
    if request.param == "reports":
        return reports_at(tmp_path)
    return database_at(request.getfixturevalue("database"))


def fill(sink: Sink, run: str) -> None:
    lines = (f"{run}\n".encode(),)
    sink.write_table(TABLE, TableText("one", lines, lines), f"made by {run}")
    finish(sink, run, f"made by {run}")


def finish(sink: Sink, run: str, fingerprint: str) -> None:
    sink.wait()
    row = {column.name: None for column in RUN.columns} | {"run_id": run}
    sink.prepare(row)
    sink.write_summary({"fingerprints": {"one": fingerprint}})


def test_readers_see_nothing_before_publish_and_all_after_it(target: tuple[Open, Read, Read]) -> None:
    open_sink, read, fingerprints = target
    for run, before in (("a", []), ("b", ["a"])):
        with open_sink(run) as sink:
            fill(sink, run)
            if isinstance(sink, ReportSet):  # a reader of the database would wait for the end of the transaction
                assert read() == before
            sink.publish()
        assert read() == [run]
        assert fingerprints() == [f"made by {run}"]


@pytest.mark.parametrize("ends_with", [None, ZeroDivisionError])
def test_a_block_that_does_not_publish_changes_nothing(
    target: tuple[Open, Read, Read], ends_with: type[Exception] | None
) -> None:
    open_sink, read, fingerprints = target
    with open_sink("a") as sink:
        fill(sink, "a")
        sink.publish()
    try:
        with open_sink("b") as sink:
            fill(sink, "b")
            if ends_with:
                raise ends_with
    except ZeroDivisionError:
        pass
    assert read() == ["a"]
    assert fingerprints() == ["made by a"]


def test_a_kept_table_stays(target: tuple[Open, Read, Read]) -> None:
    open_sink, read, fingerprints = target
    with open_sink("a") as sink:
        fill(sink, "a")
        sink.publish()
    with open_sink("b") as sink:
        sink.keep_table(TABLE, "made by a")
        finish(sink, "b", "made by a")
        sink.publish()
    assert read() == ["a"]
    assert fingerprints() == ["made by a"]
