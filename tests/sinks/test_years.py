"""Tables that are kept apart by instance and year: only the years that moved are exchanged, and readers see one run."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing

import psycopg2
import pytest
from calling import query

from grt_batch.core.errors import DatabaseRefused
from grt_batch.ledger.ledger import ARCHIVE
from grt_batch.modules.registry import chosen
from grt_batch.schema.parts import GROUPS, WHOLE, Group, Years, grouped
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.postgres import Publication, published_contents, upgrade
from grt_batch.sinks.sink import PartText, TableText
from tests.sinks.test_partitions import summary

COLUMNS = (
    Column("instance_id", Type.TEXT, "instance"),
    Column("day", Type.DATE, "day"),
    Column("run", Type.TEXT, "run"),
)
DAYS = Table("days", "a table", ("instance_id", "day"), COLUMNS, nullable=("day",), of_instances=True, by_year="day")
STRICT = Table("strict", "a table with a key", ("instance_id", "day"), COLUMNS, of_instances=True, by_year="day")
PLAIN = Table("plain", "a table that is none of them", ("run",), COLUMNS[2:])
TABLES = (DAYS, STRICT, PLAIN)
A, B = grouped(["a", "it's"])
NULL, OLD, LAST, NOW = Years(), Years(None, 2023), Years(2023, 2024), Years(2024, 2025)
DATES = {NULL: [r"\N"], OLD: ["0001-01-01", "2022-12-31"], LAST: ["2023-01-01"], NOW: ["2024-01-01", "2024-12-31"]}
Parts = Mapping[tuple[Table, Group, Years], str]


def parts(*years: Years, groups: Sequence[Group] = (A, B), run: str = "1") -> dict[tuple[Table, Group, Years], str]:
    """The run of each part of both tables; only the first may have rows without a date."""
    return {
        (table, group, span): run
        for table in (DAYS, STRICT)
        for group in groups
        for span in years
        if table is DAYS or span != NULL
    }


def publication(url: str, run: str, *, tries: int = 50) -> Publication:
    return Publication(url, TABLES, lock_timeout_ms=100, lock_tries=tries, run_id=run)


def fill(sink: Publication, wanted: Parts, run: str, had: Parts) -> None:
    """Copy the parts that are new in this run, and keep the others."""
    sink.copy(PLAIN, [f"{run}\n".encode()], f"plain {run}")
    for table in (DAYS, STRICT):
        sink.write_table(table, TableText(table.name, WHOLE, ()), "")
    for (table, group, years), made in wanted.items():
        content = f"{group.name} {years} by {made}"
        if had.get((table, group, years)) == made:
            kept = TableText(table.name, group, (PartText(content, years, None, group),))
            sink.write_table(table, kept, "")
        else:
            rows = [f"{instance}\t{day}\t{made}\n" for instance in group.instances for day in DATES[years]]
            sink.copy(table, ["".join(rows).encode()], content, group, years)


def publish(url: str, run: str, wanted: Parts, had: Parts, *, tries: int = 50) -> Parts:
    with publication(url, run, tries=tries) as sink:
        fill(sink, wanted, run, had)
        sink.swap(summary(run))
        sink.commit()
    return wanted


def rows(url: str, table: Table = DAYS) -> list[tuple[str, str | None, str]]:
    return query(url, f"SELECT instance_id, day::text, run FROM grt.{table.name} ORDER BY 1, 2 NULLS FIRST")


def expected(wanted: Parts, table: Table = DAYS) -> list[tuple[str, str | None, str]]:
    found = [
        (instance, None if day == r"\N" else day, run)
        for (of, group, years), run in wanted.items()
        if of is table
        for instance in group.instances
        for day in DATES[years]
    ]
    return sorted(found, key=lambda row: (row[0], row[1] or ""))


def leaves(url: str) -> dict[tuple[str, str], int]:
    """The number by which PostgreSQL knows a partition with rows, by table and content; none is left behind."""
    found = query(
        url,
        "SELECT t.relname, obj_description(p.relid, 'pg_class'), p.relid::bigint"
        " FROM (SELECT oid AS relid, relname FROM pg_class WHERE relnamespace = 'grt'::regnamespace AND relkind = 'p')"
        " AS t, pg_partition_tree(t.relid) AS p WHERE p.isleaf AND p.relid <> t.relid",
    )
    tables = query(url, "SELECT 1 FROM pg_class WHERE relnamespace = 'grt_data'::regnamespace AND relkind = 'r'")
    assert len(found) == len(tables), "a table was left behind"
    return {(table, content): number for table, content, number in found}


def branches(url: str) -> int:
    kind = "relnamespace = 'grt_data'::regnamespace AND relkind = 'p'"
    return len(query(url, f"SELECT 1 FROM pg_class WHERE {kind}"))


ALL_YEARS = parts(NULL, OLD, LAST, NOW)


def test_rows_stand_in_the_partition_of_their_year(database: str) -> None:
    had = publish(database, "1", ALL_YEARS, {})
    for table in (DAYS, STRICT):
        assert rows(database, table) == expected(had, table)
    assert len(leaves(database)) == 2 * (4 + 3) + 1
    assert branches(database) == 4
    assert len(published_contents(database, [DAYS])["days"]) == 8


def test_only_the_year_that_moved_is_exchanged(database: str) -> None:
    had = publish(database, "1", ALL_YEARS, {})
    before = leaves(database)
    had = publish(database, "2", {**had, (DAYS, A, NOW): "2"}, had)
    after = leaves(database)
    assert rows(database) == expected(had)
    assert {content for table, content in after.keys() - before.keys() if table == "days"} == {f"a {NOW} by 2"}
    assert all(after[place] == before[place] for place in after.keys() & before.keys())
    assert before.keys() - after.keys() == {("days", f"a {NOW} by 1"), ("plain", "plain 1")}


def test_years_and_instances_come_and_go(database: str) -> None:
    had: Parts = {}
    for number, wanted in enumerate(
        [
            parts(LAST, groups=[A]),
            parts(LAST, NOW),
            parts(NULL, OLD, LAST, NOW, groups=[B]),
            {},
            parts(NULL, OLD),
            parts(NULL, NOW, groups=[Group("both", ("a", "it's"))]),
            ALL_YEARS,
        ]
    ):
        had = publish(database, str(number), {**wanted, **{key: had[key] for key in wanted if key in had}}, had)
        for table in (DAYS, STRICT):
            assert rows(database, table) == expected(had, table)
        assert branches(database) == len({(table.name, group) for table, group, _ in had})
        leaves(database)


def test_the_earlier_years_take_up_another(database: str) -> None:
    had = publish(database, "1", parts(OLD, LAST), {})
    earlier = Years(None, 2024)
    with publication(database, "2") as sink:
        for table in (DAYS, STRICT):
            for group in (A, B):
                texts = [f"{name}\t2022-05-05\t2\n{name}\t2023-05-05\t2\n" for name in group.instances]
                sink.copy(table, ["".join(texts).encode()], f"{group.name} earlier", group, earlier)
        sink.swap(summary("2"))
        sink.commit()
    assert {row[1] for row in rows(database)} == {"2022-05-05", "2023-05-05"}
    publish(database, "3", had, {})


def test_attaching_looks_at_no_row_and_builds_no_index(database: str) -> None:
    told = psycopg2.extensions.make_dsn(database, options="-c client_min_messages=debug1")
    had = publish(database, "1", parts(NULL, LAST), {})
    wanted = {**had, **parts(NOW, run="2")}
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'grt_data'"
    with publication(told, "2") as sink:
        fill(sink, wanted, "2", had)
        sink.wait()
        sink._cursor.execute(indexes)
        ((before,),) = sink._cursor.fetchall()
        sink._link.notices.clear()
        sink.swap(summary("2"))
        said = "".join(sink._link.notices)
        assert said.count("partition constraint for table") == said.count("is implied by existing constraints") - 2
        # Of the two tables one has rows without a date: the new year is none of theirs.
        assert said.count("updated partition constraint for default partition") == 2
        sink._cursor.execute(indexes)
        # That of the plain table before has gone.
        assert sink._cursor.fetchall() == [(before - 1,)]
        sink.commit()
    assert rows(database) == expected(wanted)


def test_a_table_of_one_partition_becomes_one_of_many_and_back(database: str) -> None:
    """As the program before kept it, and as it would find what this one made."""
    with publication(database, "0") as sink:
        for table in (DAYS, STRICT):
            sink.copy(table, [b"a\t2024-01-01\t0\nb\t2023-01-01\t0\n"], "whole", WHOLE)
        sink.swap(summary("0"))
        sink.commit()
    assert len(rows(database)) == 2
    upgrade(database, TABLES)
    had = publish(database, "1", ALL_YEARS, {})
    assert rows(database) == expected(had)
    with publication(database, "2") as sink:
        sink.copy(DAYS, [b"a\t2024-01-01\t0\n"], "whole", WHOLE)
        sink.swap(summary("2"))
        sink.commit()
    assert rows(database) == [("a", "2024-01-01", "0")]
    assert branches(database) == 2


def test_what_is_to_be_kept_and_is_gone_ends_the_run(database: str) -> None:
    had = publish(database, "1", ALL_YEARS, {})
    (name,) = query(
        database, f"SELECT objoid::regclass::text FROM pg_description WHERE description = 'a {LAST} by 1' LIMIT 1"
    )[0]
    query(database, f"DROP TABLE {name}; COMMIT")
    with pytest.raises(DatabaseRefused, match="another program changed grt"):
        publish(database, "2", {**had, (DAYS, A, NOW): "2", (STRICT, A, NOW): "2"}, had)


@pytest.mark.parametrize("year", ["2023", "2024"])
def test_a_run_that_fails_leaves_all_as_it_was(database: str, year: str) -> None:
    had = publish(database, "1", ALL_YEARS, {})
    before = leaves(database), rows(database)
    with pytest.raises(DatabaseRefused), publication(database, "2") as sink:
        fill(sink, {**had, (STRICT, B, LAST): "2"}, "2", had)
        # A row of another year, or one that is there already.
        sink.copy(DAYS, [f"a\t{year}-01-01\t2\n".encode()], "odd", A, NOW)
        sink.copy(STRICT, [b"a\t2023-01-01\t2\n" * 2], "twice", A, NOW)
        sink.swap(summary("2"))
        sink.commit()
    assert (leaves(database), rows(database)) == before
    publish(database, "3", {**had, (DAYS, A, NOW): "3"}, had)


def test_a_reader_of_what_changes_makes_the_run_give_up(database: str) -> None:
    had = publish(database, "1", ALL_YEARS, {})
    before = leaves(database)
    with closing(psycopg2.connect(database)) as link:
        link.cursor().execute("SELECT * FROM grt.days WHERE instance_id = 'a' AND day = '2023-01-01'")
        with pytest.raises(DatabaseRefused, match="2 tries"):
            publish(database, "2", {**had, (DAYS, B, NOW): "2"}, had, tries=2)
        # What does not change is not waited for.
        had = publish(database, "3", {**had, (STRICT, B, NOW): "3"}, had, tries=1)
    assert before.keys() - leaves(database).keys() == {("strict", f"it's {NOW} by 1"), ("plain", "plain 1")}


def test_only_the_year_that_is_asked_for_is_read(database: str) -> None:
    publish(database, "1", ALL_YEARS, {})
    for where, partitions in (
        ("instance_id = 'a' AND day BETWEEN '2023-02-01' AND '2023-03-01'", 1),
        ("instance_id = 'a' AND day >= '2023-06-01'", 2),
        ("instance_id = 'a'", 4),
    ):
        plan = "\n".join(line for (line,) in query(database, f"EXPLAIN SELECT * FROM grt.days WHERE {where}"))
        assert plan.count("Scan on days_") + plan.count("Scan using days_") == partitions, plan


def test_a_concurrent_reader_sees_one_run(database: str) -> None:
    had = publish(database, "1", ALL_YEARS, {})
    stop, seen, wrong = threading.Event(), set[str](), list[object]()

    def read(tables: Sequence[str]) -> None:
        with closing(psycopg2.connect(database)) as link:
            link.set_session(isolation_level="REPEATABLE READ", readonly=True)
            while not stop.wait(0.02):
                found = {}
                with link, link.cursor() as cursor:
                    for table in tables:
                        cursor.execute(f"SELECT max(run), count(*) FROM grt.{table}")
                        found[table] = cursor.fetchone()
                seen.add(found["plain"][0])
                if {run for run, _ in found.values()} != {found["plain"][0]} or found["days"][1] != 12:
                    wrong.append(found)
                    return

    readers = [
        threading.Thread(target=read, args=(order,))
        for order in (("plain", "days", "strict"), ("strict", "days", "plain"))
    ]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, 9):
            run = str(number)
            moved = {(table, group, NOW): run for table in (DAYS, STRICT) for group in (A, B)}
            had = publish(database, run, {**had, **moved}, had)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []
    assert len(seen) > 1


def test_locks_suffice_for_as_many_parts_as_there_can_be(database: str) -> None:
    """All parts of the tables of the house are exchanged at once, with the locks that PostgreSQL has by default."""
    house = [ARCHIVE, *(table for module in chosen(()) for table in module.tables)]
    groups = [Group("*", ("*",)), *grouped(str(number) for number in range(1000))]
    assert len(groups) == GROUPS + 1
    spans = {True: [NULL, OLD, LAST, NOW, Years(2025, 2026)], False: [None]}
    for run in ("1", "2"):
        with Publication(database, house, lock_timeout_ms=1000, lock_tries=5, run_id=run) as sink:
            for table in house:
                for group in groups if table.by_instance else [WHOLE]:
                    for years in spans[bool(table.by_year)]:
                        sink.copy(table, [], f"{group.name} {years} by {run}", group, years)
            sink.swap(summary(run))
            sink.commit()
    assert len(leaves(database)) > 14 * GROUPS
