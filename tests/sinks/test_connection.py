"""Connections to the database: what is refused, how long a silent server is waited for, and who has the lock."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from runs import administer

from grt_batch.core.errors import DatabaseLocked, DatabaseRefused, DatabaseUnreadable
from grt_batch.sinks import connection as connection_file
from grt_batch.sinks.connection import connection, one_line, patiently, reading
from tests.sinks.test_postgres import publication, publish, query


def test_a_database_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(DatabaseRefused) as raised, publication("host=/nowhere dbname=grt", 1):
        raise AssertionError
    assert "\n" not in str(raised.value)


SESSIONS = "FROM pg_stat_activity WHERE application_name = 'grt_batch' AND datname = current_database()"


def test_who_holds_the_lock_is_named(database: str) -> None:
    with publication(database, 1):
        ((process,),) = query(database, f"SELECT pid {SESSIONS}")
        with pytest.raises(DatabaseLocked) as raised:
            publish(database, 2)
    assert (raised.value.exit_code, raised.value.process) == (5, process)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection_file._PATIENCE, "connect_timeout", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/grt"
        with pytest.raises(DatabaseRefused) as raised, connection(url):
            raise AssertionError("nobody has answered")
        assert "timeout expired" in str(raised.value.what)


def test_a_connection_has_an_end_wherever_the_url_gives_none(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    with connection(database) as link:
        assert connection_file._PATIENCE.items() <= link.get_dsn_parameters().items()
    with connection(psycopg2.extensions.make_dsn(database, connect_timeout=7, tcp_user_timeout=9)) as link:
        found = link.get_dsn_parameters()
        assert (found["connect_timeout"], found["tcp_user_timeout"], found["keepalives_idle"]) == ("7", "9", "60")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "8")
    with connection(database) as link:
        assert link.get_dsn_parameters()["connect_timeout"] == "8"


def test_the_server_soon_notices_that_a_run_is_gone(database: str) -> None:
    with publication(database, 1) as sink:
        # On a socket of this machine the values that count for a network are all 0.
        sink._cursor.execute("SELECT name FROM pg_settings WHERE source = 'session'")
        assert set(connection_file.SERVER_PATIENCE) <= {name for (name,) in sink._cursor.fetchall()}
        sink._cursor.execute("SHOW client_connection_check_interval")
        assert sink._cursor.fetchone() == ("10s",)


def test_an_error_is_one_line() -> None:
    assert one_line(ValueError("one\n  two\n")) == "one two"
    assert one_line(ValueError()) == "ValueError"


class Refusing:
    """A cursor; notes what is executed."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    def execute(self, statement: str, _: object = None) -> None:
        self.executed.append(statement)


@pytest.mark.parametrize("failures", [0, 2])
def test_a_change_is_tried_until_the_locks_are_free(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(connection_file.time, "sleep", naps.append)
    left, cursor = [errors.LockNotAvailable(), errors.DeadlockDetected()][:failures], Refusing()

    def change() -> str:
        if left:
            raise left.pop()
        return "done"

    assert patiently(cursor, change, lock_timeout_ms=10, lock_tries=3) == "done"
    assert cursor.executed.count("ROLLBACK TO SAVEPOINT change") == len(naps) == failures
    left.extend([errors.LockNotAvailable()] * 3)
    with pytest.raises(DatabaseRefused, match="through 3 tries"):
        patiently(cursor, change, lock_timeout_ms=10, lock_tries=3)


def test_a_question_writes_nothing_and_sees_one_state(database: str) -> None:
    publish(database, 1)
    with reading(database) as link, link.cursor() as cursor:
        for run in (2, 3):
            cursor.execute("SELECT array_agg(run_id) FROM grt.run")
            assert cursor.fetchall() == [(["run 1"],)]
            publish(database, run)
    with pytest.raises(DatabaseUnreadable, match="read-only transaction"), reading(database) as link:
        link.cursor().execute("DELETE FROM grt.run")


def test_what_fails_in_a_question_is_said_of_reading(database: str) -> None:
    for url, statement in (("host=/nowhere dbname=grt", ""), (database, "SELECT nothing")):
        with pytest.raises(DatabaseUnreadable) as raised, reading(url) as link:
            link.cursor().execute(statement)
        assert raised.value.exit_code == 4
        assert str(raised.value).startswith("The database cannot be read: ")
        assert "\n" not in str(raised.value)


def test_text_that_is_not_utf_8_is_one_line(server: str) -> None:
    options = "ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
    administer(server, f"CREATE DATABASE any_bytes {options}")
    try:
        url = psycopg2.extensions.make_dsn(server, dbname="any_bytes")
        with pytest.raises(DatabaseUnreadable) as raised, reading(url) as link, link.cursor() as cursor:
            cursor.execute("SELECT convert_from('\\xe9'::bytea, 'SQL_ASCII')")
            cursor.fetchall()
    finally:
        administer(server, "DROP DATABASE any_bytes WITH (FORCE)")
    assert "invalid byte sequence" in str(raised.value.what)


@pytest.mark.parametrize(("opened", "failure"), [(connection, DatabaseRefused), (reading, DatabaseUnreadable)])
def test_a_refusal_in_another_encoding_is_one_line(opened: Any, failure: type[Exception]) -> None:
    """As of a server whose messages are in Latin 1, before it knows what the client reads."""
    fields = "SFATAL\0C28000\0Mle mot de passe a échoué\0\0".encode("latin-1")
    answer = b"E" + struct.pack("!i", len(fields) + 4) + fields
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(1 << 12)
                client.sendall(answer)

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"host=127.0.0.1 port={listener.getsockname()[1]} sslmode=disable gssencmode=disable"
        with pytest.raises(failure) as raised, opened(url):
            raise AssertionError
        thread.join()
    assert "le mot de passe a" in str(raised.value)
    assert "\n" not in str(raised.value)
