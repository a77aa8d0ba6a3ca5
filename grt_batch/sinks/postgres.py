"""The tables in PostgreSQL: COPY into new partitions, which one transaction swaps in.

A published table is a partitioned table of the schema `grt`; its partitions, in the schema `grt_data`, hold the rows. A
run fills new partitions and then, holding the locks of all tables, exchanges them: readers see all old or all new
numbers, never wait for the COPY, and views and rights on the tables stay as they are.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, groupby
from types import TracebackType
from typing import Any, TypeVar

import psycopg2
from psycopg2 import errors, sql

from grt_batch.core.config import Config
from grt_batch.core.errors import CommitUnknown, DatabaseLocked, DatabaseRefused, GrtError
from grt_batch.core.logs import logger
from grt_batch.core.timing import Clock, Stage
from grt_batch.ledger.ledger import RUN
from grt_batch.modules.export import ArchiveParts
from grt_batch.schema.tables import Column, Table
from grt_batch.sinks.public_views import Threshold, refresh
from grt_batch.sinks.schema import SCHEMA, SCHEMA_VERSION, Partition, attached, is_current, prepare

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Publication", "connection", "upgrade"]


_ADVISORY_LOCK = 0x677274  # "grt"


_LOCK_TRIES = 12


_COMMIT_SECONDS = 60.0
"""Enough for a server that crashed to be started, and to read its log."""


_TABLES_AHEAD = 4
"""So many tables wait for the server at a time; their text is in memory."""


_CANCEL_SECONDS = 0.5


_PATIENCE = {
    "connect_timeout": "30",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "300000",
}
"""How long a server that has gone without a word is waited for, in seconds, the last in ms; a URL may say otherwise."""


_SERVERS_PATIENCE = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
    "tcp_user_timeout": "300000",
    "client_connection_check_interval": "10000",
}
"""The same for the server, whose own settings let the locks of a run that is gone stand for hours."""


_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""A signature, then two lengths that are 0: no flags, no extension."""


_BINARY_TRAILER = b"\xff\xff"


_PIECE = 1 << 16
"""Bytes that COPY asks for at a time."""


_Result = TypeVar("_Result")


_UNREADABLE = "its URL or connection string cannot be read; in a URL, / and @ in a password are written as %2F and %40"


def parameters(url: str) -> dict[str, str]:
    """What a URL or connection string says. Raises DatabaseRefused where it cannot be read; what libpq says of that
    may quote a password, or what stands behind a sign in one that libpq takes for its end."""
    try:
        found: dict[str, str] = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error as error:
        if "@" in url or "password" in url:
            raise DatabaseRefused(what=_UNREADABLE) from None
        raise DatabaseRefused(what=_one_line(error)) from None
    places = (found.get(name, "") for name in ("host", "dbname"))
    misread = any("@" in place[1:] and not place.startswith("/") for place in places)
    if "://" in url and (misread or not found.get("port", "0").replace(",", "").isdigit()):
        raise DatabaseRefused(what=_UNREADABLE)
    return found


@contextmanager
def connection(url: str) -> Iterator[Any]:
    """A connection to the database, closed at the end; what was not committed is rolled back."""
    said = parameters(url)
    patience = {name: value for name, value in _PATIENCE.items() if name not in said}
    if "PGCONNECT_TIMEOUT" in os.environ:
        patience.pop("connect_timeout", None)
    try:
        link = psycopg2.connect(psycopg2.extensions.make_dsn(url, application_name="grt_batch", **patience))
    except psycopg2.Error as error:
        raise DatabaseRefused(what=_one_line(error)) from None
    try:
        yield link
    except psycopg2.Error as error:
        raise DatabaseRefused(what=_one_line(error)) from None
    finally:
        link.close()


def upgrade(
    url: str,
    tables: Sequence[Table],
    threshold: Threshold | None = None,
    *,
    known: Sequence[Table] = (),
    lock_timeout_ms: int = Config.lock_timeout_ms,
    lock_tries: int = Config.lock_tries,
) -> tuple[int, int]:
    """Bring the schema to this program's version, with the views of `tables` and of the `known` ones that are there;
    return the versions before (0: there was none) and now."""
    with connection(url) as link, link.cursor() as cursor:
        _lock(cursor)
        before, request = _patiently(
            cursor,
            lambda: (prepare(cursor, tables), refresh(cursor, [*known, *tables], threshold or Threshold())),
            lock_timeout_ms=lock_timeout_ms,
            lock_tries=lock_tries,
        )
        link.commit()
    if request:
        logger.warning(request)
    return before, SCHEMA_VERSION


def published_fingerprints(url: str, tables: Iterable[Table]) -> dict[str, str]:
    """What the tables are made of that are there: digests, by the tables' names."""
    with connection(url) as link, link.cursor() as cursor:
        there = {table.name: attached(cursor, table) for table in tables if is_current(cursor, table)}
    return {name: next(iter(partitions)) for name, partitions in there.items() if len(partitions) == 1}


def _lock(cursor: Any) -> None:
    """Hold the lock of the database. The server notices a moment later that who held it before is gone."""
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


def _patiently(cursor: Any, change: Callable[[], _Result], *, lock_timeout_ms: int, lock_tries: int) -> _Result:
    """Carry out what locks tables. Who waits for a lock stops all that come after: so it is waited for shortly, and
    again. Raises DatabaseRefused where that is of no use."""
    for attempt in count(1):
        cursor.execute("SAVEPOINT change")
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{lock_timeout_ms}ms",))
        try:
            return change()
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            cursor.execute("ROLLBACK TO SAVEPOINT change")
            if attempt == lock_tries:
                raise DatabaseRefused(what=f"a reader held a lock on the tables through {attempt} tries") from None
            time.sleep(min(2.0, 0.05 * attempt))
    raise AssertionError


@dataclass
class _Exchange:
    """What becomes of a table: which partitions are new, and which of the old ones stay, by their content."""

    table: Table
    new: list[Partition] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)


class Publication:
    """One run's way into the database: `copy` each table, `swap`, `commit`; else the `with` block changes nothing."""

    def __init__(
        self,
        url: str,
        tables: Sequence[Table],
        *,
        lock_timeout_ms: int,
        lock_tries: int,
        run_id: str,
        known: Sequence[Table] = (),
        threshold: Threshold | None = None,
        clock: Clock | None = None,
    ) -> None:
        """The run fills `tables`. The `known` ones, where they are in the database, keep their views. `clock` is
        that of the thread which fills partitions, while the caller does other things."""
        self._clock = clock or Clock()
        self._url = url
        self._tables, self._known = tables, known
        self._patience = {"lock_timeout_ms": lock_timeout_ms, "lock_tries": lock_tries}
        self._threshold = threshold or Threshold()
        self._run = "".join(character for character in run_id.lower() if character.isalnum())
        self._exchanges: list[_Exchange] = []
        self._filler = futures.ThreadPoolExecutor(1, "copy")
        self._filling: deque[futures.Future[None]] = deque()

    def __enter__(self) -> Publication:
        self._context = connection(self._url)
        self._link = self._context.__enter__()
        try:
            self._cursor = self._link.cursor()
            self._cursor.execute(
                "SELECT set_config(name, value, false) FROM unnest(%s, %s) AS wanted (name, value)"
                " WHERE name IN (SELECT name FROM pg_settings)",
                (list(_SERVERS_PATIENCE), list(_SERVERS_PATIENCE.values())),
            )
            _lock(self._cursor)
            _patiently(self._cursor, lambda: prepare(self._cursor, self._tables), **self._patience)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # Something else went wrong: what the server is at counts for nothing. A request to cancel that comes
            # between two statements has no effect, and a server that is gone takes none.
            self._filler.shutdown(wait=False, cancel_futures=True)
            while not all(filling.done() for filling in self._filling):
                with suppress(psycopg2.Error):
                    self._link.cancel()
                futures.wait(self._filling, _CANCEL_SECONDS)
        finally:
            self._context.__exit__(kind, error, trace)

    def keep(self, table: Table, content: str) -> None:
        """Leave a table as it is, which is of this content."""
        self.wait()
        if content not in attached(self._cursor, table):
            raise DatabaseRefused(what=f"somebody else changed {SCHEMA}.{table.name} during the run")
        self._exchanges.append(_Exchange(table, kept={content}))

    def copy(self, table: Table, text: Sequence[bytes], content: str) -> None:
        """Fill a new partition, which takes the place of all that there are, with what `render` gives of the rows;
        `content` says what they are made of. The server is still at it when this returns, and at some tables before, so
        that others can be made meanwhile."""
        while self._filling and (self._filling[0].done() or len(self._filling) >= _TABLES_AHEAD):
            self._filling.popleft().result()
        self._filling.append(self._filler.submit(self._fill_anew, table, text, content))

    def wait(self) -> None:
        """Until the server is done with all tables so far; what went wrong with them is raised here."""
        while self._filling:
            self._filling.popleft().result()

    def _fill_anew(self, table: Table, text: Sequence[bytes], content: str) -> None:
        with self._clock.stage(Stage.COPY, sum(map(len, text)), table.name):
            partition = Partition.of_all(table, self._run, content)
            partition.create(self._cursor)
            self._copy(partition, table.columns, "text", iter(text))
            partition.complete(self._cursor)
        self._exchanges.append(_Exchange(table, [partition]))

    def copy_parts(self, tables: Sequence[Table], archives: Sequence[ArchiveParts]) -> None:
        """Fill a new partition of each table for each instance; where there is one of the same content, it stays.

        `archives` are in order, instance by instance. Each is loaded once, and every part of it is a COPY by itself: a
        connection fills one table at a time, and so the parts of one archive are in memory, and of no other.
        """
        exchanges = {table.name: _Exchange(table) for table in tables}
        self.wait()
        there = {table.name: attached(self._cursor, table) for table in tables}
        for instance_id, group in groupby(archives, key=lambda archive: archive.instance_id):
            of_instance = list(group)
            keys = [archive.key for archive in of_instance]
            new: dict[str, Partition | None] = {}
            for name, exchange in exchanges.items():
                partition = Partition.of_instance(exchange.table, self._run, instance_id, keys)
                if partition.content in there[name]:
                    exchange.kept.add(partition.content)
                    new[name] = None
                else:
                    exchange.new.append(partition)
                    new[name] = partition
            self._fill(new, of_instance)
        self._exchanges += exchanges.values()

    def _fill(self, new: Mapping[str, Partition | None], archives: Sequence[ArchiveParts]) -> None:
        """Fill the new partitions of an instance, by their tables; None where the old one stays."""
        partitions = [partition for partition in new.values() if partition]
        if not partitions:
            return
        for partition in partitions:
            partition.create(self._cursor)
        for archive in archives:
            for part in archive.load():
                target = new[part.name]
                if target:
                    self._clock.count(Stage.COPY, len(part.data))
                    rows = iter((_BINARY_HEADER, part.data, _BINARY_TRAILER))
                    self._copy(target, target.table.columns[1:], "binary", rows)
        for partition in partitions:
            partition.complete(self._cursor)

    def _copy(self, partition: Partition, columns: Sequence[Column], form: str, data: Iterator[bytes]) -> None:
        """FREEZE spares the log and the first reader's work: the table is as new as its rows."""
        statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT {}, FREEZE)").format(
            partition.name, sql.SQL(", ").join(sql.Identifier(column.name) for column in columns), sql.SQL(form)
        )
        self._cursor.copy_expert(statement.as_string(self._link), _Reader(data), _PIECE)

    def swap(self, run: Mapping[str, Any]) -> None:
        """Exchange the partitions of all filled tables and add `run` to the table of runs; seen with `commit`."""
        self.wait()
        request = _patiently(self._cursor, lambda: self._swap(run), **self._patience)
        if request:
            logger.warning(request)

    def _swap(self, run: Mapping[str, Any]) -> str:
        self._exchange()
        request = refresh(self._cursor, [*self._known, *self._tables], self._threshold)
        columns = [column.name for column in RUN.columns]
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(SCHEMA, RUN.name),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() for _ in columns),
        )
        self._cursor.execute(insert, [run[name] for name in columns])
        self._run_id = run["run_id"]
        return request

    def commit(self) -> None:
        """Show everything to readers. Raises CommitUnknown where the database is lost, and it cannot be said whether
        they see it."""
        try:
            self._link.commit()
        except psycopg2.Error as error:
            if not self._link.closed or not self._was_committed(self._run_id, error):
                raise
            logger.warning("the database was lost at the commit, and had carried it out: %s", _one_line(error))

    def _was_committed(self, run_id: str, error: psycopg2.Error) -> bool:
        """Whether the database shows a run, whose connection was lost with the answer."""
        until = time.monotonic() + _COMMIT_SECONDS
        while time.monotonic() < until:
            with suppress(GrtError), connection(self._url) as link, link.cursor() as cursor:
                # Who gets the lock knows that the server is through with the lost connection.
                _lock(cursor)
                name = sql.Identifier(SCHEMA, RUN.name)
                cursor.execute("SELECT to_regclass(%s)", (name.as_string(cursor),))
                if cursor.fetchone()[0] is None:
                    return False
                cursor.execute(sql.SQL("SELECT FROM {} WHERE run_id = %s").format(name), (run_id,))
                return bool(cursor.rowcount)
            time.sleep(0.5)
        raise CommitUnknown(what=_one_line(error)) from None

    def _exchange(self) -> None:
        """Put the new partitions in the place of the old ones, but for those that stay. A table of which all stay need
        not be locked: what a reader sees of it is old and new at once."""
        parents, gone, new = [], [], []
        for exchange in self._exchanges:
            there = attached(self._cursor, exchange.table)
            leaving = [name for content, name in there.items() if content not in exchange.kept]
            if leaving or exchange.new:
                parents.append(sql.Identifier(SCHEMA, exchange.table.name))
                gone += leaving
                new += exchange.new
        if parents:
            lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
            self._cursor.execute(lock.format(sql.SQL(", ").join(parents)))
        if gone:
            # At once: each statement would look at all partitions of its table again.
            self._cursor.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(gone)))
        for partition in new:
            partition.attach(self._cursor)


class _Reader:
    """The parts of a text as the file that COPY reads."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            # Nothing means the end, so parts of nothing are passed over.
            self._rest = memoryview(next(filter(None, self._parts), b""))
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
