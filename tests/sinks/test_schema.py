"""The schema is made once, upgraded, and refused where it is newer than the program."""

from __future__ import annotations

from contextlib import closing

import polars as pl
import psycopg2
import pytest

from grt_batch.core.errors import SchemaTooNew
from grt_batch.ledger.ledger import RUN
from grt_batch.schema.tables import Column, Table, Type, render
from grt_batch.sinks.postgres import Publication, upgrade
from grt_batch.sinks.schema import SCHEMA_VERSION
from tests.sinks.test_postgres import ONE, TABLES, frames, publish, query, row


def test_upgrade_makes_the_schema_once(database: str) -> None:
    assert upgrade(database, TABLES) == (0, SCHEMA_VERSION)
    assert upgrade(database, TABLES) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert query(database, "SELECT obj_description('grt.one'::regclass)") == [("a table",)]


def test_a_schema_of_a_newer_program_is_refused(database: str) -> None:
    publish(database, 1)
    with closing(psycopg2.connect(database)) as link, link.cursor() as cursor:
        cursor.execute("INSERT INTO grt.schema_version (version, program) VALUES (99, 'later')")
        link.commit()
    with pytest.raises(SchemaTooNew) as raised:
        publish(database, 2)
    assert (raised.value.found, raised.value.known) == (99, SCHEMA_VERSION)
    assert query(database, "SELECT DISTINCT run FROM grt.one") == [(1,)]


def test_a_table_whose_columns_changed_is_made_anew(database: str) -> None:
    publish(database, 1)
    wider = Table("one", "wider", ("key",), (*ONE.columns, Column("more", Type.DOUBLE, "more")))
    with Publication(database, [wider], lock_timeout_ms=100, lock_tries=3, run_id="wider") as sink:
        sink.copy(wider, list(render(wider, frames(2)["one"].with_columns(more=pl.lit(0.5)))), "of a test")
        sink.swap(row(2))
        sink.commit()
    assert query(database, "SELECT DISTINCT run, more FROM grt.one") == [(2, 0.5)]


def test_an_older_schema_is_upgraded_and_keeps_the_tables_of_others(database: str) -> None:
    opted = Table("opted", "of a module that is not always run", ONE.key, ONE.columns)
    with Publication(database, [opted], lock_timeout_ms=100, lock_tries=3, run_id="first") as sink:
        sink.copy(opted, list(render(ONE, frames(1)["one"])), "opted")
        sink.swap(row(1))
        sink.commit()
    query_none(database, "UPDATE grt.schema_version SET version = version - 1")
    publish(database, 2)
    assert query(database, "SELECT count(*) FROM grt.opted") == [(3,)]
    assert query(database, "SELECT version FROM grt.schema_version ORDER BY 1 DESC") == [
        (SCHEMA_VERSION,),
        (SCHEMA_VERSION - 1,),
    ]


def test_the_runs_of_an_older_schema_are_kept(database: str) -> None:
    publish(database, 1)
    *_, last = RUN.columns
    query_none(database, "DROP VIEW grt_public.run")
    query_none(database, f"ALTER TABLE grt.run DROP COLUMN {last.name}")
    publish(database, 2)
    assert query(database, "SELECT run_id FROM grt.run ORDER BY 1") == [("run 1",), ("run 2",)]
    assert query(database, "SELECT run_id FROM grt_public.run ORDER BY 1") == [("run 1",), ("run 2",)]


def query_none(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as link, link, link.cursor() as cursor:
        cursor.execute(statement)
