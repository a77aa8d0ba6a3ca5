"""The law of sinks, over every implementation: readers see all of a publication, or nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg2
import pytest

from grt_batch.ledger.ledger import RUN
from grt_batch.schema.parts import WHOLE
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.postgres import Publication, published_contents
from grt_batch.sinks.report_set import ReportSet, reported_tables
from grt_batch.sinks.sink import PartText, Piece, Sink, TableText

TABLE = Table("one", "a table", ("key",), (Column("key", Type.TEXT, "key"),))
DAY = date(2024, 6, 30)
Open = Callable[[str], Sink]
Read = Callable[[], list[str]]


def reports_at(folder: Path) -> tuple[Open, Read, Read]:
    def read() -> list[str]:
        file = folder / "latest" / "one.tsv"
        return file.read_text().splitlines()[1:] if file.exists() else []

    def contents() -> list[str]:
        return [part for _, held in reported_tables(folder, DAY).values() for part in held.contents]

    return lambda run: ReportSet(folder, DAY, run), read, contents


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

    return open_sink, read, lambda: [*published_contents(url, [TABLE]).get("one", ())]


@pytest.fixture(params=["reports", "database"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Open, Read, Read]:
    """How to open a sink for a run, what its readers see, and the contents of the parts there."""
    if request.param == "reports":
        return reports_at(tmp_path)
    return database_at(request.getfixturevalue("database"))


def fill(sink: Sink, run: str) -> None:
    lines = (f"{run}\n".encode(),)
    write(sink, PartText(f"made by {run}", None, (Piece("", lines, lines),)))
    finish(sink, run)


def write(sink: Sink, part: PartText) -> None:
    sink.write_table(TABLE, TableText("one", WHOLE, (part,)), "fingerprint")


def finish(sink: Sink, run: str) -> None:
    sink.wait()
    row = {column.name: None for column in RUN.columns} | {"run_id": run}
    sink.prepare(row)
    sink.write_summary({})


def test_readers_see_nothing_before_publish_and_all_after_it(target: tuple[Open, Read, Read]) -> None:
    open_sink, read, contents = target
    for run, before in (("a", []), ("b", ["a"])):
        with open_sink(run) as sink:
            fill(sink, run)
            if isinstance(sink, ReportSet):  # a reader of the database would wait for the end of the transaction
                assert read() == before
            sink.publish()
        assert read() == [run]
        assert contents() == [f"made by {run}"]


@pytest.mark.parametrize("ends_with", [None, ZeroDivisionError])
def test_a_block_that_does_not_publish_changes_nothing(
    target: tuple[Open, Read, Read], ends_with: type[Exception] | None
) -> None:
    open_sink, read, contents = target
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
    assert contents() == ["made by a"]


def test_a_kept_table_stays(target: tuple[Open, Read, Read]) -> None:
    open_sink, read, contents = target
    with open_sink("a") as sink:
        fill(sink, "a")
        sink.publish()
    with open_sink("b") as sink:
        write(sink, PartText("made by a"))
        finish(sink, "b")
        sink.publish()
    assert read() == ["a"]
    assert contents() == ["made by a"]
