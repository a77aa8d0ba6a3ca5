"""Runs, verifications and queries through a real PgBouncer, whose sessions outlive their clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from calling import Call, query
from coming_and_going import small_site
from pooled import pgbouncer
from runs import name_of

from grt_batch.core.errors import DatabaseLocked, DatabaseRefused
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.sinks import connection as connection_file
from grt_batch.sinks.connection import connection, reading
from grt_batch.sinks.postgres import upgrade
from grt_batch.verify.verification import verify_published
from tests.sinks.test_postgres import partitions, publication, publish

LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture(scope="module")
def pooler(server: str) -> Iterator[str]:
    """The DSN of the server through a pooler in transaction mode, with one session for each database."""
    with pgbouncer(server, "transaction") as url:
        yield url


@pytest.fixture
def pooled(pooler: str, database: str) -> str:
    """The DSN of the empty database through the pooler."""
    return str(psycopg2.extensions.make_dsn(pooler, dbname=name_of(database)))


def session(url: str) -> dict[str, str]:
    """The settings of the session of the pooler, and its process; a pooler sets the name for each client."""
    found = query(url, "SELECT name, setting FROM pg_settings UNION SELECT 'process', pg_backend_pid()::text")
    return {name: setting for name, setting in found if name != "application_name"}


def test_nothing_is_left_in_the_session(pooled: str) -> None:
    before = session(pooled)
    publish(pooled, 1)
    upgrade(pooled, [])
    with reading(pooled) as link, link.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM grt.one")
    after = session(pooled)
    assert {name: value for name, value in after.items() if before[name] != value} == {}
    assert query(pooled, LOCKS) == [(0,)]
    publish(pooled, 2)
    assert partitions(pooled) == ["one_r2", "two_r2"]


def test_the_lock_is_held_to_the_end_and_no_longer(pooled: str, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_file.time, "sleep", lambda _: None)
    with publication(pooled, 1), pytest.raises(DatabaseLocked):
        publish(database, 2)
    publish(database, 2)
    with pytest.raises(ZeroDivisionError), publication(pooled, 3):
        raise ZeroDivisionError
    # The pooler rolls back what a client has left open once it sees that: a run is patient meanwhile.
    monkeypatch.undo()
    publish(database, 4)


def test_what_is_sent_is_utf_8_whatever_the_session_was_before(pooled: str) -> None:
    link = psycopg2.connect(pooled)
    link.set_client_encoding("WIN1252")
    link.close()
    with connection(pooled) as link, link.cursor() as cursor:
        cursor.execute("SELECT current_setting('client_encoding'), length(%s), %s", ("é大", "é大"))
        assert cursor.fetchone() == ("UTF8", 2, "é大")


def test_a_run_and_its_verification_go_through(pooled: str, tmp_path: Path) -> None:
    site = small_site(tmp_path, pooled)
    modules = ("tools", "params", "instances", "records")
    site.run(modules)
    site.run(modules)
    assert verify_published(site.config, pooled, SerialExecutor()).different == []
    query(pooled, "UPDATE grt.tool SET name = 'other' WHERE tool_id = 'tool1'")
    assert verify_published(site.config, pooled, SerialExecutor()).different == ["tool"]
    assert query(pooled, LOCKS) == [(0,)]


def test_questions_go_through(pooled: str, tmp_path: Path, call: Call) -> None:
    small_site(tmp_path, pooled).run()
    assert call("status", "--database", pooled).code == 0
    answer = call("query", "total-jobs", "--database", pooled, "--format", "tsv")
    assert (answer.code, answer.err) == (0, "")


def test_without_transactions_that_is_one_line(server: str, database: str) -> None:
    with pgbouncer(server, "statement") as pooler:
        url = psycopg2.extensions.make_dsn(pooler, dbname=name_of(database))
        with pytest.raises(
            DatabaseRefused,
            match="a pooler needs pool_mode = transaction or session",
        ):
            publish(url, 1)
    assert query(database, "SELECT to_regclass('grt.run')") == [(None,)]


def test_a_pooler_without_a_free_session_is_one_line(server: str, database: str) -> None:
    with pgbouncer(server, "transaction", "query_wait_timeout = 1") as pooler:
        url = psycopg2.extensions.make_dsn(pooler, dbname=name_of(database))
        with publication(url, 1), pytest.raises(DatabaseRefused, match="or its pooler says why"):
            publish(url, 2)


def test_a_pooler_that_refuses_is_one_line(pooled: str) -> None:
    url = psycopg2.extensions.make_dsn(pooled, options="-c work_mem=1MB")
    with pytest.raises(DatabaseRefused, match="unsupported startup parameter: options"):
        publish(url, 1)
