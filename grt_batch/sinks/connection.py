"""Connections to PostgreSQL, and the locks that a run needs there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

import psycopg2
from psycopg2 import errors

from grt_batch.core.errors import DatabaseLocked, DatabaseRefused
from grt_batch.core.wording import counted

_ADVISORY_LOCK = 0x677274  # "grt"


_LOCK_TRIES = 12


_PATIENCE = {
    "connect_timeout": "30",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "300000",
}
"""How long to wait for a server that does not answer: seconds, the last value milliseconds. A URL may override them."""


SERVER_PATIENCE = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "tcp_user_timeout": "300000",
    "client_connection_check_interval": "10000",
}
"""The same for the server, whose defaults keep the locks of a vanished client for hours."""


_Result = TypeVar("_Result")


_UNREADABLE = "its URL or connection string cannot be read; in a URL, / and @ in a password are written as %2F and %40"


def parameters(url: str) -> dict[str, str]:
    """Return the parameters in a URL or connection string.

    Raises DatabaseRefused for one that cannot be parsed, without libpq's message where that may quote a password.
    """
    try:
        found: dict[str, str] = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error as error:
        if "@" in url or "password" in url:
            raise DatabaseRefused(what=_UNREADABLE) from None
        raise DatabaseRefused(what=one_line(error)) from None
    places = (found.get(name, "") for name in ("host", "dbname"))
    misread = any("@" in place[1:] and not place.startswith("/") for place in places)
    if "://" in url and (misread or not found.get("port", "0").replace(",", "").isdigit()):
        raise DatabaseRefused(what=_UNREADABLE)
    return found


@contextmanager
def connection(url: str) -> Iterator[Any]:
    """Connect to the database. The connection is closed at the end; uncommitted changes are rolled back.

    Raises DatabaseRefused, also for any error of psycopg2 in the block.
    """
    given = parameters(url)
    patience = {name: value for name, value in _PATIENCE.items() if name not in given}
    if "PGCONNECT_TIMEOUT" in os.environ:
        patience.pop("connect_timeout", None)
    try:
        link = psycopg2.connect(psycopg2.extensions.make_dsn(url, application_name="grt_batch", **patience))
    except psycopg2.Error as error:
        raise DatabaseRefused(what=one_line(error)) from None
    try:
        yield link
    except psycopg2.Error as error:
        raise DatabaseRefused(what=one_line(error)) from None
    finally:
        link.close()


def lock_database(cursor: Any) -> None:
    """Take the lock of the database for this session. Raises DatabaseLocked.

    The server may notice only a moment later that the previous holder has gone, hence several attempts.
    """
    for attempt in range(_LOCK_TRIES):
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_ADVISORY_LOCK,))
        if cursor.fetchone()[0]:
            return
        time.sleep(0.02 * attempt)
    cursor.execute(
        "SELECT max(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()"
        " WHERE locktype = 'advisory' AND granted AND (classid, objid, objsubid) = (0, %s, 1)",
        (_ADVISORY_LOCK,),
    )
    raise DatabaseLocked(process=cursor.fetchone()[0])


def patiently(cursor: Any, change: Callable[[], _Result], *, lock_timeout_ms: int, lock_tries: int) -> _Result:
    """Call `change`, which locks tables, and return its result; retry where the locks are not available.

    A session that waits for a lock blocks every later reader, so each attempt waits only `lock_timeout_ms`. Raises
    DatabaseRefused after `lock_tries` attempts.
    """
    for attempt in count(1):
        cursor.execute("SAVEPOINT change")
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{lock_timeout_ms}ms",))
        try:
            return change()
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            cursor.execute("ROLLBACK TO SAVEPOINT change")
            if attempt == lock_tries:
                tries = counted(attempt, "try")
                raise DatabaseRefused(what=f"a reader held a lock on the tables through {tries}") from None
            time.sleep(min(2.0, 0.05 * attempt))
    raise AssertionError


def one_line(error: Exception) -> str:
    """Return the message of an error on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
