"""The sink for PostgreSQL: COPY into new partitions, which one transaction swaps in.

A published table is a partitioned table of the schema `grt`; its partitions, in the schema `grt_data`, hold the rows. A
run fills new partitions and then, holding the locks of all tables, exchanges them: readers see all old or all new
numbers, never wait for the COPY, and views and rights on the tables stay as they are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import psycopg2
from psycopg2 import sql

from grt_batch.core.config import Config
from grt_batch.core.errors import CommitUnknown, DatabaseRefused, GrtError
from grt_batch.core.logs import logger
from grt_batch.core.timing import Clock, Stage
from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.ledger.ledger import RUN, Ledger
from grt_batch.modules.export import ArchiveParts, Export, TableExport
from grt_batch.schema.parts import WHOLE, Group, Years
from grt_batch.schema.tables import Table
from grt_batch.sinks.connection import connection, lock_database, one_line, patiently
from grt_batch.sinks.copying import copy_rows
from grt_batch.sinks.fitness import require_fit
from grt_batch.sinks.partitions import Partition, attached, contents
from grt_batch.sinks.public_views import Threshold, refresh
from grt_batch.sinks.schema import SCHEMA, SCHEMA_VERSION, is_current, prepare
from grt_batch.sinks.sink import Sink, TableText

_COMMIT_SECONDS = 60.0
"""Time for a crashed server to restart and recover from its log."""


_BYTES_AHEAD = 64 << 20
"""Bytes of text that may wait for the server in memory, beside one part of any size."""


_CANCEL_SECONDS = 0.5


def upgrade(
    url: str,
    tables: Sequence[Table],
    threshold: Threshold | None = None,
    *,
    known: Sequence[Table] = (),
    lock_timeout_ms: int = Config.lock_timeout_ms,
    lock_tries: int = Config.lock_tries,
) -> tuple[int, int]:
    """Bring the schema to this program's version, and make the views of `tables` and of the `known` ones that exist.

    Return the version before, 0 for none, and the version now.
    """
    with connection(url) as link, link.cursor() as cursor:
        require_fit(cursor)
        lock_database(cursor)
        before, request = patiently(
            cursor,
            lambda: (prepare(cursor, tables), refresh(cursor, [*known, *tables], threshold or Threshold())),
            lock_timeout_ms=lock_timeout_ms,
            lock_tries=lock_tries,
        )
        link.commit()
    if request:
        logger.warning(request)
    return before, SCHEMA_VERSION


def published_contents(url: str, tables: Iterable[Table]) -> dict[str, set[str]]:
    """Return the contents of the parts of tables that are published, by the tables' names."""
    with connection(url) as link, link.cursor() as cursor:
        return {table.name: contents(cursor, table) for table in tables if is_current(cursor, table)}


@dataclass
class _Exchange:
    """The change of a table: its new partitions, and the contents of the old ones that it keeps."""

    table: Table
    new: list[Partition] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    def prepared(self, cursor: Any) -> tuple[list[sql.Identifier], list[Partition]]:
        """Return what is to be dropped, and for each branch to be made one of its partitions.

        Raises DatabaseRefused where what is to be kept is gone.
        """
        there = attached(cursor, self.table)
        if self.kept - {found.content for found in there}:
            raise DatabaseRefused(what=f"another program changed {SCHEMA}.{self.table.name} during the run")
        needed = {partition.branch: partition for partition in self.new if partition.years}
        staying = needed.keys() | {found.branch for found in there if found.content in self.kept}
        known = {found.table for found in there if found.content is None and found.table in staying}
        gone = [found.name for found in there if found.table not in known and found.content not in self.kept]
        return gone, [partition for branch, partition in needed.items() if branch not in known]


class Publication(Sink):
    """The publication of a run to a database, in one transaction.

    A second thread copies tables while the caller makes others: `copy` starts that, `wait` ends it.
    """

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
        again: bool = False,
        published: Mapping[str, Collection[str]] | None = None,
        datasources: Collection[tuple[Any, ...]] = (),
    ) -> None:
        """The run fills `tables`; the `known` ones keep their views where they exist. `published` are the contents of
        parts that the database has, by table: it keeps them, even if it is given their text. With `again` it believes
        nothing that is published, and keeps no partition of an export. `datasources` are the rows of that table.

        `clock` counts the caller's time and, from `prepare` on, that of the thread that fills partitions.
        """
        self._clock = clock or Clock()
        self._beside = Clock(time.thread_time)
        self._beside.recording = self._clock.recording
        self._url = url
        self._tables, self._known = tables, known
        self._patience = {"lock_timeout_ms": lock_timeout_ms, "lock_tries": lock_tries}
        self._threshold = threshold or Threshold()
        self._again = again
        self._published = published or {}
        self._datasources = datasources
        self._run = "".join(character for character in run_id.lower() if character.isalnum())
        self._exchanges: dict[str, _Exchange] = {}
        self._filler = futures.ThreadPoolExecutor(1, "copy")
        self._filling: deque[tuple[futures.Future[None], int]] = deque()
        self._ahead = 0

    def __enter__(self) -> Self:
        self._context = connection(self._url)
        self._link = self._context.__enter__()
        try:
            self._cursor = self._link.cursor()
            require_fit(self._cursor)
            lock_database(self._cursor)
            patiently(self._cursor, lambda: prepare(self._cursor, self._tables), **self._patience)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # After an error elsewhere the running statement is of no use. A request to cancel that arrives between two
            # statements has no effect, and a server that is gone takes none: hence the loop.
            self._filler.shutdown(wait=False, cancel_futures=True)
            fillings = [filling for filling, _ in self._filling]
            while not all(filling.done() for filling in fillings):
                with suppress(psycopg2.Error):
                    self._link.cancel()
                futures.wait(fillings, _CANCEL_SECONDS)
        finally:
            self._context.__exit__(kind, error, trace)

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        """Start to copy the parts of a table that the database has not yet, and keep the others."""
        with self._clock.stage(Stage.WAITING, of=f"COPY before {table.name}"):
            exchange, published = self._exchange_of(table), self._published.get(table.name, ())
            for part in text.parts:
                if part.pieces is None or part.content in published:
                    exchange.kept.add(part.content)
                else:
                    self.copy(table, part.copy, part.content, part.group, part.years)

    def write_export(self, export: Export, archives: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Copy those tables of an export that the run fills here."""
        if isinstance(export, TableExport):
            with self._clock.stage(Stage.COPY, of=export.name):
                tables = [table for table in export.tables if table in self._tables]
                if len(tables) < len(export.tables):
                    names = {table.name for table in tables}
                    archives = [replace(archive, load=partial(archive.load, names)) for archive in archives]
                self.copy_parts(tables, archives)

    def wait(self) -> None:
        """Wait until the server has all tables so far. Raises what went wrong with them."""
        with self._clock.stage(Stage.WAITING, of="COPY"):
            while self._filling:
                self._wait_for_first()

    def prepare(self, run: Mapping[str, Any]) -> None:
        """Exchange the partitions inside the transaction."""
        with self._clock.stage(Stage.SWAP):
            self.swap(run)
        self._clock.add(self._beside)

    def publish(self) -> None:
        """Commit."""
        self.commit()

    def copy(
        self, table: Table, text: Sequence[bytes], content: str, group: Group = WHOLE, years: Years | None = None
    ) -> None:
        """Start to fill a new partition with rows as `render` returns them.

        `content` identifies the rows. The server may be far behind when this returns.
        """
        size = sum(map(len, text))
        while self._filling and (self._filling[0][0].done() or self._ahead + size > _BYTES_AHEAD):
            self._wait_for_first()
        partition = Partition.of_part(table, self._run, content, group, years)
        self._exchange_of(table).new.append(partition)
        self._ahead += size
        self._filling.append((self._filler.submit(self._fill_whole, partition, text, size), size))

    def _wait_for_first(self) -> None:
        filling, size = self._filling.popleft()
        self._ahead -= size
        filling.result()

    def _fill_whole(self, partition: Partition, text: Sequence[bytes], size: int) -> None:
        with self._beside.stage(Stage.COPY, size, partition.table.name):
            partition.create(self._cursor)
            copy_rows(self._cursor, partition.name, partition.table.columns, text)
            partition.complete(self._cursor)

    def _exchange_of(self, table: Table) -> _Exchange:
        return self._exchanges.setdefault(table.name, _Exchange(table))

    def copy_parts(self, tables: Sequence[Table], archives: Sequence[ArchiveParts]) -> None:
        """Fill a new partition of each table for each instance, except where a published one has the same content.

        `archives` are in order, instance by instance. Each is loaded once, and each of its parts is a COPY of its own,
        so that only the parts of one archive are in memory.
        """
        exchanges = {table.name: self._exchange_of(table) for table in tables}
        self.wait()
        published = {table.name: set[str]() if self._again else contents(self._cursor, table) for table in tables}
        for instance_id, group in groupby(archives, key=lambda archive: archive.instance_id):
            its_archives = list(group)
            keys = [archive.key for archive in its_archives]
            new: dict[str, Partition | None] = {}
            for name, exchange in exchanges.items():
                partition = Partition.of_instance(exchange.table, self._run, instance_id, keys)
                if partition.content in published[name]:
                    exchange.kept.add(partition.content)
                    new[name] = None
                else:
                    exchange.new.append(partition)
                    new[name] = partition
            self._fill(new, its_archives)

    def _fill(self, new: Mapping[str, Partition | None], archives: Sequence[ArchiveParts]) -> None:
        """Fill the new partitions of an instance, given by table; None where the published one stays."""
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
                    copy_rows(self._cursor, target.name, target.table.columns[1:], [part.data], binary=True)
        for partition in partitions:
            partition.complete(self._cursor)

    def swap(self, run: Mapping[str, Any]) -> None:
        """Exchange the partitions of all filled tables and add `run` to the table of runs, until `commit` unseen."""
        self.wait()
        request = patiently(self._cursor, lambda: self._swap(run), **self._patience)
        if request:
            logger.warning(request)

    def _swap(self, run: Mapping[str, Any]) -> str:
        self._exchange()
        self._write_datasources()
        request = refresh(self._cursor, [*self._known, *self._tables], self._threshold)
        self._cursor.execute(_insert(RUN), [run[column.name] for column in RUN.columns])
        self._run_id = run["run_id"]
        return request

    def _write_datasources(self) -> None:
        """Replace the rows of that table, if they are to be others."""
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in DATASOURCE.columns)
        name = sql.Identifier(SCHEMA, DATASOURCE.name)
        self._cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, name))
        if set(self._cursor.fetchall()) != set(self._datasources):
            self._cursor.execute(sql.SQL("DELETE FROM {}").format(name))
            self._cursor.executemany(_insert(DATASOURCE), self._datasources)

    def commit(self) -> None:
        """Commit the transaction. Raises CommitUnknown where the connection is lost, and with it the outcome."""
        try:
            self._link.commit()
        except psycopg2.Error as error:
            if not self._link.closed or not self._was_committed(self._run_id, error):
                raise
            logger.warning("the database was lost at the commit, but had carried it out: %s", one_line(error))

    def _was_committed(self, run_id: str, error: psycopg2.Error) -> bool:
        """Return whether a run was committed whose connection was lost before the answer came."""
        until = time.monotonic() + _COMMIT_SECONDS
        while time.monotonic() < until:
            with suppress(GrtError), connection(self._url) as link, link.cursor() as cursor:
                # The lock is free once the server has ended the lost session.
                lock_database(cursor)
                name = sql.Identifier(SCHEMA, RUN.name)
                cursor.execute("SELECT to_regclass(%s)", (name.as_string(cursor),))
                if cursor.fetchone()[0] is None:
                    return False
                cursor.execute(sql.SQL("SELECT FROM {} WHERE run_id = %s").format(name), (run_id,))
                return bool(cursor.rowcount)
            time.sleep(0.5)
        raise CommitUnknown(what=one_line(error)) from None

    def _exchange(self) -> None:
        """Replace the old partitions by the new ones, except for those to keep.

        A table that keeps all of its partitions needs no lock. The lock of a table keeps its readers away from all
        partitions, which need no further one.
        """
        tables: list[sql.Composable] = []
        old: list[sql.Identifier] = []
        branches: list[Partition] = []
        new: list[Partition] = []
        for exchange in self._exchanges.values():
            gone, missing = exchange.prepared(self._cursor)
            if gone or exchange.new:
                tables.append(sql.SQL("ONLY {}").format(sql.Identifier(SCHEMA, exchange.table.name)))
                old += gone
                branches += missing
                new += exchange.new
        if tables:
            lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
            self._cursor.execute(lock.format(sql.SQL(", ").join(tables)))
        if old:
            # In one statement, since each one looks at all partitions of its tables.
            self._cursor.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(", ").join(old)))
        for partition in branches:
            partition.attach_branch(self._cursor)
        for partition in new:
            partition.attach(self._cursor)


def _insert(table: Table) -> sql.Composed:
    """Return the statement that adds a row, the values in the order of the columns."""
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(SCHEMA, table.name),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
        sql.SQL(", ").join(sql.Placeholder() for _ in table.columns),
    )
