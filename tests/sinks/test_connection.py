"""Connections to the database: what is refused, how long a silent server is waited for, and who has the lock."""

from __future__ import annotations

import socket

import psycopg2
import pytest
from psycopg2 import errors

from grt_batch.core.errors import DatabaseLocked, DatabaseRefused
from grt_batch.sinks import connection as connection_file
from grt_batch.sinks.connection import connection, one_line, patiently
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
