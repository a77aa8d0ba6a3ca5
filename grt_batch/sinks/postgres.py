"""The tables in PostgreSQL: COPY into new partitions, which one transaction swaps in.

A published table is a partitioned table of the schema `grt`; its partitions, in the schema `grt_data`, hold the rows. A
run fills new partitions and then, holding the locks of all tables, exchanges them: readers see all old or all new
numbers, never wait for the COPY, and views and rights on the tables stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from types import TracebackType
from typing import Any

import polars as pl
import psycopg2
from psycopg2 import errors, sql

from grt_batch.errors import DatabaseRefused, Locked
from grt_batch.ledger import RUN
from grt_batch.module import ArchiveParts
from grt_batch.sinks.schema import SCHEMA, SCHEMA_VERSION, Partition, attached, prepare
from grt_batch.tables import Column, Table, render

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Publication", "connection", "upgrade"]

_ADVISORY_LOCK = 0x677274  # "grt"
_LOCK_TRIES = 12
_NULL = "\\N"
_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""A signature, then two lengths that are 0: no flags, no extension."""
_BINARY_TRAILER = b"\xff\xff"
_PIECE = 1 << 16
"""Bytes that COPY asks for at a time."""


@contextmanager
def connection(url: str) -> Iterator[Any]:
    """A connection to the database, closed at the end; what was not committed is rolled back."""
    try:
        link = psycopg2.connect(url, application_name="grt_batch")
    except psycopg2.Error as error:
        raise DatabaseRefused(what=_one_line(error)) from None
    try:
        yield link
    except psycopg2.Error as error:
        raise DatabaseRefused(what=_one_line(error)) from None
    finally:
        link.close()


def upgrade(url: str, tables: Iterable[Table]) -> tuple[int, int]:
    """Bring the schema to this program's version; the versions before (0: there was none) and now."""
    with connection(url) as link, link.cursor() as cursor:
        before = prepare(cursor, tables)
        link.commit()
    return before, SCHEMA_VERSION


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
        exported: Sequence[Table] = (),
        *,
        lock_timeout_ms: int,
        lock_tries: int,
        run_id: str,
    ) -> None:
        self._url = url
        self._tables = (*tables, *exported)
        self._lock_timeout_ms = lock_timeout_ms
        self._lock_tries = lock_tries
        self._run = "".join(character for character in run_id.lower() if character.isalnum())
        self._exchanges: list[_Exchange] = []

    def __enter__(self) -> Publication:
        self._context = connection(self._url)
        self._link = self._context.__enter__()
        try:
            self._cursor = self._link.cursor()
            self._lock()
            prepare(self._cursor, self._tables)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _lock(self) -> None:
        """Hold the lock of the database. The server notices a moment later that who held it before is gone."""
        for attempt in range(_LOCK_TRIES):
            self._cursor.execute("SELECT pg_try_advisory_lock(%s)", (_ADVISORY_LOCK,))
            if self._cursor.fetchone()[0]:
                return
            time.sleep(0.02 * attempt)
        raise Locked(holder="one that publishes into the same database", work="the database")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def copy(self, table: Table, frame: pl.DataFrame) -> None:
        """Fill a new partition, which takes the place of all that there are."""
        partition = Partition.of_all(table, self._run)
        partition.create(self._cursor)
        self._copy(partition, table.columns, "text", render(table, frame, null=_NULL))
        partition.complete(self._cursor)
        self._exchanges.append(_Exchange(table, [partition]))

    def copy_parts(self, tables: Sequence[Table], archives: Sequence[ArchiveParts]) -> None:
        """Fill a new partition of each table for each instance; where there is one of the same content, it stays.

        `archives` are in order, instance by instance. Each is loaded once, and every part of it is a COPY by itself: a
        connection fills one table at a time, and so the parts of one archive are in memory, and of no other.
        """
        exchanges = {table.name: _Exchange(table) for table in tables}
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
        for attempt in range(1, self._lock_tries + 1):
            self._cursor.execute("SAVEPOINT swap")
            self._cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{self._lock_timeout_ms}ms",))
            try:
                self._exchange()
                break
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                self._cursor.execute("ROLLBACK TO SAVEPOINT swap")
                if attempt == self._lock_tries:
                    raise DatabaseRefused(what=f"a reader held a lock on the tables through {attempt} tries") from None
                time.sleep(min(2.0, 0.05 * attempt))
        columns = [column.name for column in RUN.columns]
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(SCHEMA, RUN.name),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() for _ in columns),
        )
        self._cursor.execute(insert, [run[name] for name in columns])

    def commit(self) -> None:
        """Show everything to readers."""
        self._link.commit()

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
