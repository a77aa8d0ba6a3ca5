"""Connections to PostgreSQL, and the locks that a run needs there.

The environment, a service, and the defaults of a role, a database or a server may set what a statement means and what
an answer looks like, as they may for `pg_dump`. A connection sets all of that for itself: what is sent is UTF-8 and
declared so, and what comes back is always of the same form. It does so in its transaction alone, since a pooler gives
the session to others afterwards; for the same reason, nothing here outlives a transaction.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, TypeVar

import psycopg2
from psycopg2 import errors

from grt_batch.core.errors import DatabaseLocked, DatabaseRefused, DatabaseUnreadable
from grt_batch.core.wording import counted
from grt_batch.sinks.database_url import parameters

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


ENCODING = "UTF8"


MEANING = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
}
"""The settings that change what is sent or read back."""


_OF_A_RUN = {
    **MEANING,
    **SERVER_PATIENCE,
    # A table of another schema, or of rows that a policy hides, must not be taken for one of this program.
    "search_path": "pg_catalog",
    "row_security": "off",
    # Ranks compute while the transaction is open, and how long depends on the archives.
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    # A quarter of PostgreSQL's own: a table has several partitions, and a sample of each takes as long as one of a
    # whole table. (53 partitions of 1.1 million rows: 0.5 s in place of 2.0.)
    "default_statistics_target": "25",
}
"""Those of a transaction that writes. A user's search_path and limits are kept where queries of one's own are asked."""


_SET = (
    "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[])"
    " AS wanted (name, value) WHERE current_setting(name, true) IS NOT NULL"
)
"""Older servers lack some of the settings."""


_POOL_MODES = "pool_mode = transaction or session"


_GUESS = " This probably means the server terminated abnormally before or while processing the request."
"""What libpq says of each connection that was closed."""


_Result = TypeVar("_Result")


@contextmanager
def connection(url: str, failure: type[DatabaseRefused | DatabaseUnreadable] = DatabaseRefused) -> Iterator[Any]:
    """Connect to the database for a run: one transaction, with the settings of a run, which are gone when it ends. The
    connection is closed at the end of the block; uncommitted changes are rolled back.

    Raises `failure`, also for any error of psycopg2 in the block.
    """
    with _connected(url, failure, _OF_A_RUN, isolation_level="READ COMMITTED") as link:
        yield link


@contextmanager
def reading(url: str) -> Iterator[Any]:
    """Connect to the database for questions: one transaction, which writes nothing and sees the tables of one run.

    Raises DatabaseUnreadable, also for any error of psycopg2 in the block.
    """
    session = {"isolation_level": "REPEATABLE READ", "readonly": True}
    with _connected(url, DatabaseUnreadable, MEANING, **session) as link:
        yield link


@contextmanager
def _connected(
    url: str, failure: type[DatabaseRefused | DatabaseUnreadable], settings: Mapping[str, str], **session: Any
) -> Iterator[Any]:
    given = parameters(url)
    wanted = {name: value for name, value in _PATIENCE.items() if name not in given}
    if "PGCONNECT_TIMEOUT" in os.environ:
        wanted.pop("connect_timeout", None)
    wanted |= {"application_name": "grt_batch", "client_encoding": ENCODING}
    try:
        link = psycopg2.connect(psycopg2.extensions.make_dsn(url, **wanted))
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise failure(what=one_line(error)) from None
    try:
        link.set_session(**session)
        _begin(link, settings)
        yield link
        with suppress(psycopg2.Error):
            # A pooler would give up its connection to the server if the transaction were left open.
            link.rollback()
    except psycopg2.Error as error:
        # PgBouncer says why it closes a connection, but psycopg2 only that it was closed.
        where = " (the log of the server or its pooler says why)" if link.closed else ""
        raise failure(what=f"{one_line(error)}{where}") from None
    finally:
        link.close()


def _begin(link: Any, settings: Mapping[str, str]) -> None:
    """Begin a transaction with these settings."""
    try:
        with link.cursor() as cursor:
            set_locally(cursor, settings)
    except psycopg2.Error as error:
        if not link.closed:
            raise
        raise psycopg2.OperationalError(f"{one_line(error)}, at once; a pooler needs {_POOL_MODES}") from None


def set_locally(cursor: Any, settings: Mapping[str, str]) -> None:
    """Set what the server knows of these settings, for this transaction."""
    cursor.execute(_SET, (list(settings), list(settings.values())))


def lock_database(cursor: Any) -> None:
    """Take the lock of the database for this transaction. Raises DatabaseLocked.

    The server may notice only a moment later that the previous holder has gone, hence several attempts.
    """
    for attempt in range(_LOCK_TRIES):
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
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
    """Return the message of an error on one line, or its type where it has none.

    A server that refuses a connection says so in its own encoding, which need not be UTF-8.
    """
    said = error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)
    return " ".join(said.split()).replace(_GUESS, "").removesuffix(".") or type(error).__name__
