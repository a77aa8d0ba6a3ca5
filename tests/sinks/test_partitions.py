"""Tables that are partitioned by instance: what changed is exchanged, what did not stays, and readers see one run."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime

import polars as pl
import psycopg2
import pytest
from calling import query

from grt_batch.core.errors import DatabaseRefused
from grt_batch.modules.export import ArchiveParts, Part
from grt_batch.schema.tables import Column, Table, Type, render
from grt_batch.sinks.postgres import Publication

COLUMNS = (
    Column("instance_id", Type.TEXT, "instance"),
    Column("job_id", Type.BIGINT, "job"),
    Column("text", Type.TEXT, "text"),
)
ONE = Table("one", "a table with a key", ("instance_id", "job_id"), COLUMNS)
TWO = Table("two", "a table without", ("instance_id", "job_id"), COLUMNS, index=("job_id",))
PLAIN = Table("plain", "a table that is none of them", ("text",), (Column("text", Type.TEXT, "text"),))
EXPORTED = (ONE, TWO)
ODD_NAMES = [
    "usegalaxy.eu", "Usegalaxy.eu", "*", "", " ", "a'b", 'a"b', "a\\b", "100%s", "{}", "a\nb", "ü → 大",
    "job; DROP TABLE x", "x" * 62, "x" * 63, "x" * 300, "x" * 299 + "y",
]  # fmt: skip

Row = tuple[int, str | None]


def binary(rows: Sequence[Row]) -> bytes:
    """Rows of a bigint and a text, as PostgreSQL's manual describes the binary format of COPY."""
    return b"".join(
        struct.pack(">hiq", 2, 8, number) + struct.pack(">i", -1 if text is None else len(text.encode()))
        + (text or "").encode()
        for number, text in rows
    )  # fmt: skip


class Archives:
    """Makes archives, and keeps note of which were loaded."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __call__(self, instance_id: str, key: str, *rows: Row, parts: int = 1) -> ArchiveParts:
        """An archive with these rows in both tables, cut into so many parts of each; `rows` may also be none."""

        def load() -> list[Part]:
            self.loaded.append(key)
            cuts = [rows[len(rows) * i // parts : len(rows) * (i + 1) // parts] for i in range(parts)]
            return [
                Part(table.name, len(cut), len(cut), len(data), data)
                for cut, data in ((cut, binary(cut)) for cut in cuts)
                for table in EXPORTED
            ]

        return ArchiveParts(instance_id, key, load)


@pytest.fixture
def archives() -> Archives:
    return Archives()


def publication(url: str, run: str, tables: Sequence[Table] = EXPORTED, *, tries: int = 50) -> Publication:
    return Publication(url, [PLAIN, *tables], lock_timeout_ms=100, lock_tries=tries, run_id=run)


def publish(
    url: str, run: str, archives: Sequence[ArchiveParts], tables: Sequence[Table] = EXPORTED, *, tries: int = 50
) -> None:
    with publication(url, run, tables, tries=tries) as sink:
        sink.copy(PLAIN, list(render(PLAIN, pl.DataFrame({"text": [run]}))), "of a test")
        sink.copy_parts(tables, archives)
        sink.swap(summary(run))
        sink.commit()


def summary(run: str) -> dict[str, object]:
    """The row of the table of runs."""
    moment = datetime(2020, 1, 1)
    numbers, texts = dict.fromkeys(("ranks", "archives", "jobs"), 1), dict.fromkeys(("version", "modules", "state"), "")
    return {"run_id": run, "started": moment, "finished": moment, **numbers, **texts}


def rows(url: str, table: str = "one") -> list[tuple[object, ...]]:
    return query(url, f"SELECT * FROM grt.{table} ORDER BY 1, 2, 3")


def partitions(url: str) -> Mapping[tuple[str, str], int]:
    """The number by which PostgreSQL knows a partition, by table and instance."""
    found = query(
        url,
        "SELECT p.relname, split_part(obj_description(c.oid, 'pg_class'), ':', 1), c.oid FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent"
        " WHERE c.relkind = 'r' AND p.relname <> 'plain'",
    )
    tables = query(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'grt_data' AND tablename NOT LIKE 'plain%'")
    assert len(tables) == len(found), "a table was left behind"
    return {(table, instance): oid for table, instance, oid in found}


def test_the_archives_of_an_instance_stand_in_one_partition(database: str, archives: Archives) -> None:
    given = [archives("a", "1", (1, "x"), (2, None)), archives("a", "2", (3, "ü")), archives("b", "3", (1, ""))]
    publish(database, "r1", given)
    expected = [("a", 1, "x"), ("a", 2, None), ("a", 3, "ü"), ("b", 1, "")]
    assert rows(database, "one") == rows(database, "two") == expected
    assert partitions(database).keys() == {("one", "a"), ("one", "b"), ("two", "a"), ("two", "b")}
    assert archives.loaded == ["1", "2", "3"]


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_however_an_archive_is_cut_its_rows_are_the_same(database: str, archives: Archives, parts: int) -> None:
    """With seven parts some are empty; an archive without any rows is no less an archive."""
    publish(database, "r1", [archives("a", "1", *((i, str(i)) for i in range(5)), parts=parts), archives("b", "2")])
    assert rows(database) == [("a", i, str(i)) for i in range(5)]
    assert ("one", "b") in partitions(database)


def test_only_what_changed_is_loaded_and_exchanged(database: str, archives: Archives) -> None:
    old = [archives(name, f"{name}1", (1, "old")) for name in "abcd"]
    publish(database, "r1", old)
    before = partitions(database)
    archives.loaded.clear()
    more, other, gone = archives("b", "b2", (2, "more")), archives("c", "c9", (1, "new")), old.pop()
    publish(database, "r2", [old[0], old[1], more, other])
    after = partitions(database)
    assert archives.loaded == ["b1", "b2", "c9"]
    assert rows(database) == [("a", 1, "old"), ("b", 1, "old"), ("b", 2, "more"), ("c", 1, "new")]
    assert {place for place in after if after[place] == before.get(place)} == {("one", "a"), ("two", "a")}
    assert {instance for _, instance in before.keys() - after.keys()} == {gone.instance_id}


def test_another_order_of_the_same_archives_is_another_content(database: str, archives: Archives) -> None:
    pair = [archives("a", "1", (1, "x")), archives("a", "2", (2, "y"))]
    publish(database, "r1", pair)
    before = partitions(database)
    publish(database, "r2", pair[::-1])
    assert all(before[place] != oid for place, oid in partitions(database).items())


def test_without_any_archive_the_tables_are_empty(database: str, archives: Archives) -> None:
    publish(database, "r1", [archives("a", "1", (1, "x"))])
    publish(database, "r2", [])
    assert partitions(database) == {}
    assert rows(database) == []
    publish(database, "r3", [archives("a", "1", (1, "x"))])
    assert rows(database) == [("a", 1, "x")]


def test_a_run_without_the_export_leaves_its_tables(database: str, archives: Archives) -> None:
    publish(database, "r1", [archives("a", "1", (1, "x"))])
    with publication(database, "r2", ()) as sink:
        sink.copy(PLAIN, list(render(PLAIN, pl.DataFrame({"text": ["r2"]}))), "of a test")
        sink.swap(summary("r2"))
        sink.commit()
    assert rows(database) == [("a", 1, "x")]
    assert query(database, "SELECT text FROM grt.plain") == [("r2",)]


def test_a_table_of_other_columns_is_filled_anew(database: str, archives: Archives) -> None:
    given = [archives("a", "1", (1, "x"))]
    publish(database, "r1", given)
    before = partitions(database)
    renamed = Table("two", "other", TWO.key, (*COLUMNS[:2], Column("word", Type.TEXT, "text")), index=TWO.index)
    publish(database, "r2", given, (ONE, renamed))
    after = partitions(database)
    assert query(database, "SELECT word FROM grt.two") == [("x",)]
    assert [place for place in after if after[place] != before[place]] == [("two", "a")]


def test_any_id_of_an_instance_will_do(database: str, archives: Archives) -> None:
    given = [archives(name, f"{i}", (i, name)) for i, name in enumerate(ODD_NAMES)]
    publish(database, "r1", given)
    found = query(database, "SELECT instance_id, job_id, text FROM grt.one ORDER BY job_id")
    assert found == [(name, i, name) for i, name in enumerate(ODD_NAMES)]
    archives.loaded.clear()
    publish(database, "r2", given)
    assert archives.loaded == []


def test_attaching_looks_at_no_row_and_builds_no_index(database: str, archives: Archives) -> None:
    """Both would be done while all readers wait."""
    told = psycopg2.extensions.make_dsn(database, options="-c client_min_messages=debug1")
    with publication(told, "r1") as sink:
        sink.copy_parts(EXPORTED, [archives("a", "1", (1, "x")), archives("it's", "2", (1, "y"))])
        indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'grt_data'"
        before = _ask(sink, indexes)
        sink._link.notices.clear()
        sink.swap(summary("r1"))
        implied = [notice for notice in sink._link.notices if "is implied by existing constraints" in notice]
        assert len(implied) == 4
        assert _ask(sink, indexes) == before == [(4,)]
        sink.commit()
    assert query(database, "SELECT count(*) FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid") == [(4,)]


def _ask(sink: Publication, statement: str) -> list[tuple[object, ...]]:
    sink._cursor.execute(statement)
    return sink._cursor.fetchall()


def test_rows_are_found_by_index_in_the_partition_of_their_instance(database: str, archives: Archives) -> None:
    given = [archives(name, name, *((i, "x") for i in range(5000))) for name in "ab"]
    publish(database, "r1", given)
    for table in ("one", "two"):
        plan = query(database, f"EXPLAIN SELECT * FROM grt.{table} WHERE instance_id = 'b' AND job_id = 7")
        lines = [line for (line,) in plan]
        assert any("Index" in line for line in lines), lines
        assert not any("Append" in line or "Seq Scan" in line for line in lines), lines


def killing(url: str) -> Callable[[], Sequence[Part]]:
    """An archive in whose middle the server ends the session of the run."""

    def load() -> Sequence[Part]:
        query(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'grt_batch'")
        return [Part("one", 1, 1, 1, binary([(9, "lost")]))]

    return load


def failing() -> Sequence[Part]:
    raise ZeroDivisionError


def damaged() -> Sequence[Part]:
    return [Part("one", 1, 1, 1, binary([(9, "lost")])[:-1])]


def unknown() -> Sequence[Part]:
    return [Part("three", 1, 1, 1, binary([(9, "lost")]))]


@pytest.mark.parametrize(
    ("load", "error"),
    [(killing, DatabaseRefused), (failing, ZeroDivisionError), (damaged, DatabaseRefused), (unknown, KeyError)],
    ids=["killed", "failed", "damaged", "unknown"],
)
def test_a_publication_that_ends_early_leaves_all_as_it_was(
    database: str, archives: Archives, load: Callable[..., Sequence[Part]], error: type[Exception]
) -> None:
    old = [archives("a", "1", (1, "old")), archives("b", "2", (1, "old"))]
    publish(database, "r1", old)
    before = partitions(database), rows(database, "one"), rows(database, "two")
    broken = ArchiveParts("b", "4", load(database) if load is killing else load)
    with pytest.raises(error):
        publish(database, "r2", [archives("a", "3", (1, "new")), old[1], broken])
    assert (partitions(database), rows(database, "one"), rows(database, "two")) == before
    publish(database, "r3", [archives("a", "3", (1, "new"))])
    assert rows(database) == [("a", 1, "new")]


@pytest.fixture
def held(database: str, archives: Archives) -> Iterator[str]:
    """A database where a reader of a partitioned table never ends."""
    publish(database, "r1", [archives("a", "1", (1, "x")), archives("b", "2", (1, "x"))])
    with closing(psycopg2.connect(database)) as link:
        link.cursor().execute("SELECT * FROM grt.two WHERE instance_id = 'a'")
        yield database


def test_a_reader_of_what_does_not_change_holds_up_nobody(held: str, archives: Archives) -> None:
    publish(held, "r2", [archives("a", "1"), archives("b", "2")], tries=1)
    assert query(held, "SELECT text FROM grt.plain") == [("r2",)]


def test_a_reader_of_what_changes_makes_the_run_give_up(held: str, archives: Archives) -> None:
    before = partitions(held)
    with pytest.raises(DatabaseRefused) as raised:
        publish(held, "r2", [archives("a", "1"), archives("b", "3", (1, "y"))], tries=2)
    assert "2 tries" in str(raised.value.what)
    assert partitions(held) == before
    assert query(held, "SELECT text FROM grt.plain") == [("r1",)]


def test_a_concurrent_reader_sees_one_run(database: str, archives: Archives) -> None:
    """Instance a changes with every run, b with every third, c never, and d comes and goes."""

    def given(run: int) -> list[ArchiveParts]:
        runs = {"a": run, "b": run // 3, "c": 0} | ({"d": run} if run % 2 else {})
        return [archives(name, f"{name}{n}", *((i, str(n)) for i in range(100))) for name, n in runs.items()]

    publish(database, "0", given(0))
    stop = threading.Event()
    seen: list[set[object]] = []
    wrong: list[object] = []

    def read(tables: Sequence[str]) -> None:
        """All tables in one snapshot, beginning with this or that one."""
        count = "SELECT instance_id, min(text), max(text), count(*) FROM grt.{} GROUP BY 1"
        with closing(psycopg2.connect(database)) as link:
            link.set_session(isolation_level="REPEATABLE READ", readonly=True)
            # A pause now and then, without which a swap waits long for a moment when nobody reads.
            while not stop.wait(0.02):
                found: dict[str, set[object]] = {}
                try:
                    with link, link.cursor() as cursor:
                        for table in tables:
                            cursor.execute("SELECT text FROM grt.plain" if table == "plain" else count.format(table))
                            found[table] = set(cursor.fetchall())
                except psycopg2.Error as error:
                    wrong.append(error)
                    return
                ((run,),) = found["plain"]
                expected = {(part.instance_id, part.key[1:], part.key[1:], 100) for part in given(int(run))}
                if not found["one"] == found["two"] == expected:
                    wrong.append((run, found))
                    return
                seen.append(found["plain"])

    orders = (("plain", "one", "two"), ("two", "one", "plain"))
    readers = [threading.Thread(target=read, args=(order,)) for order in orders]
    for reader in readers:
        reader.start()
    try:
        for run in range(1, 8):
            publish(database, str(run), given(run))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len({run for ((run,),) in seen}) > 1
