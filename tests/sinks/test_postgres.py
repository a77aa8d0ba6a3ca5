"""Publication: all old or all new numbers for any reader, at any moment, and nothing of a run that failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import polars as pl
import psycopg2
import pytest

from grt_batch.core.errors import DatabaseLocked, DatabaseRefused
from grt_batch.schema.tables import Column, Table, Type, render
from grt_batch.sinks.postgres import Publication

ONE = Table("one", "a table", ("key",), (Column("key", Type.TEXT, "key"), Column("run", Type.BIGINT, "run")))
TWO = Table(
    "two",
    "another, whose key may be null",
    ("key", "day"),
    (Column("key", Type.TEXT, "key"), Column("day", Type.DATE, "day"), Column("run", Type.BIGINT, "run")),
    nullable=("day",),
)
TABLES = [ONE, TWO]


def frames(run: int, rows: int = 3) -> dict[str, pl.DataFrame]:
    keys = [f"key {i}" for i in range(rows)]
    one = pl.DataFrame({"key": keys, "run": [run] * rows})
    return {
        "one": one,
        "two": one.select("key", pl.lit(None, pl.Date).alias("day"), "run"),
    }


def row(run: int) -> dict[str, object]:
    moment = datetime(2020, 1, 1)
    names = ("ranks", "archives", "jobs")
    texts = ("version", "modules", "state")
    return {
        "run_id": f"run {run}",
        "started": moment,
        "finished": moment,
        **dict.fromkeys(names, 1),
        **dict.fromkeys(texts, ""),
    }


def publication(url: str, run: int, *, timeout: int = 100, tries: int = 50) -> Publication:
    return Publication(url, TABLES, lock_timeout_ms=timeout, lock_tries=tries, run_id=f"R-{run}")


def publish(url: str, run: int, rows: int = 3) -> None:
    with publication(url, run) as sink:
        for table in TABLES:
            sink.copy(table, list(render(table, frames(run, rows)[table.name])), "of a test")
        sink.swap(row(run))
        sink.commit()


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as link, link.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def partitions(url: str) -> list[str]:
    return sorted(str(name) for (name,) in query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'grt_data'"))


def test_a_second_run_replaces_the_rows_of_the_first(database: str) -> None:
    publish(database, 1)
    publish(database, 2, rows=5)
    assert query(database, "SELECT DISTINCT run FROM grt.one UNION ALL SELECT DISTINCT run FROM grt.two") == [
        (2,),
        (2,),
    ]
    assert query(database, "SELECT count(*) FROM grt.one") == [(5,)]
    assert partitions(database) == ["one_r2", "two_r2"]
    assert query(database, "SELECT run_id FROM grt.run ORDER BY 1") == [("run 1",), ("run 2",)]


def test_text_of_any_kind_survives(database: str) -> None:
    texts = ["tab\there", "line\nfeed", "carriage\rreturn", "back\\slash", "\\N", "", " ", "ü → 大", '"quoted"', "'"]
    with publication(database, 1) as sink:
        sink.copy(ONE, list(render(ONE, ONE.frame(pl.DataFrame({"key": texts, "run": [1] * len(texts)})))), "of a test")
        sink.swap(row(1))
        sink.commit()
    assert {key for (key,) in query(database, "SELECT key FROM grt.one")} == set(texts)


def test_without_a_swap_nothing_changes(database: str) -> None:
    publish(database, 1)
    with pytest.raises(ZeroDivisionError), publication(database, 2) as sink:
        sink.copy(ONE, list(render(ONE, frames(2)["one"])), "of a test")
        raise ZeroDivisionError
    with publication(database, 3) as sink:
        sink.copy(ONE, list(render(ONE, frames(3)["one"])), "of a test")
        sink.swap(row(3))
    assert query(database, "SELECT DISTINCT run FROM grt.one") == [(1,)]
    assert partitions(database) == ["one_r1", "two_r1"]


def test_views_and_rights_on_a_table_stay(database: str) -> None:
    publish(database, 1)
    with closing(psycopg2.connect(database)) as link, link.cursor() as cursor:
        cursor.execute("CREATE VIEW seen AS SELECT max(run) AS run FROM grt.one")
        cursor.execute("GRANT SELECT ON grt.one TO pg_monitor")
        link.commit()
    publish(database, 2)
    assert query(database, "SELECT run FROM seen") == [(2,)]
    assert query(database, "SELECT has_table_privilege('pg_monitor', 'grt.one', 'SELECT')") == [(True,)]


def test_a_concurrent_reader_never_sees_a_mixture(database: str) -> None:
    publish(database, 0, rows=200)
    stop = threading.Event()
    seen: list[tuple[object, ...]] = []
    wrong: list[object] = []

    def read() -> None:
        """Both tables in one snapshot: the lock of the first makes the swap wait for the second."""
        with closing(psycopg2.connect(database)) as link:
            link.set_session(isolation_level="REPEATABLE READ", readonly=True)
            while not stop.is_set():
                try:
                    with link, link.cursor() as cursor:
                        cursor.execute("SELECT min(run), max(run), count(*) FROM grt.one")
                        one = cursor.fetchone()
                        cursor.execute("SELECT min(run), max(run), count(*) FROM grt.two")
                        two = cursor.fetchone()
                except psycopg2.Error as error:
                    wrong.append(error)
                    return
                seen.append(one)
                if one != two or one[0] != one[1] or one[2] != 200:
                    wrong.append((one, two))
                    return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for run in range(1, 15):
            publish(database, run, rows=200)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert seen


@pytest.fixture
def held(database: str) -> Iterator[str]:
    """A database where a reader holds a lock on a table for ever."""
    publish(database, 1)
    link = psycopg2.connect(database)
    link.cursor().execute("SELECT * FROM grt.two")
    yield database
    link.close()


def test_a_reader_that_never_ends_makes_the_run_give_up_with_code_4(held: str) -> None:
    with pytest.raises(DatabaseRefused) as raised, publication(held, 2, timeout=10, tries=3) as sink:
        for table in TABLES:
            sink.copy(table, list(render(table, frames(2)[table.name])), "of a test")
        sink.swap(row(2))
        sink.commit()
    assert raised.value.exit_code == 4
    assert "3 tries" in str(raised.value.what)
    assert query(held, "SELECT DISTINCT run FROM grt.one") == [(1,)]


def test_a_reader_that_ends_lets_the_swap_through(database: str) -> None:
    publish(database, 1)
    link = psycopg2.connect(database)
    link.cursor().execute("SELECT * FROM grt.one")
    timer = threading.Timer(0.3, link.close)
    timer.start()
    publish(database, 2)
    timer.join()
    assert query(database, "SELECT DISTINCT run FROM grt.one") == [(2,)]


def test_two_publications_at_once_are_one_too_many(database: str) -> None:
    with publication(database, 1), pytest.raises(DatabaseLocked), publication(database, 2):
        raise AssertionError("both have the lock")
