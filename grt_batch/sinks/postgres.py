"""The tables in PostgreSQL: COPY into new partitions, which one transaction swaps in.

A published table is a partitioned table of the schema `grt` whose one partition, in the schema `grt_data`, holds all
rows. A run fills new partitions and then, holding the locks of all tables, exchanges them: readers see all old or all
new numbers, never wait for the COPY, and views and rights on the tables stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import polars as pl
import psycopg2
from psycopg2 import errors, sql

from grt_batch import __version__
from grt_batch.errors import DatabaseRefused, Locked, SchemaTooNew
from grt_batch.ledger import RUN
from grt_batch.tables import Table, render

SCHEMA_VERSION = 1
SCHEMA, DATA = "grt", "grt_data"
_ADVISORY_LOCK = 0x677274  # "grt"
_NULL = "\\N"


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
        before = _prepare(cursor, tables)
        link.commit()
    return before, SCHEMA_VERSION


class Publication:
    """One run's way into the database: `copy` each table, `swap`, `commit`; else the `with` block changes nothing."""

    def __init__(
        self, url: str, tables: Sequence[Table], *, lock_timeout_ms: int, lock_tries: int, run_id: str
    ) -> None:
        self._url = url
        self._tables = tables
        self._lock_timeout_ms = lock_timeout_ms
        self._lock_tries = lock_tries
        self._suffix = "".join(character for character in run_id.lower() if character.isalnum())
        self._filled: dict[str, sql.Identifier] = {}

    def __enter__(self) -> Publication:
        self._context = connection(self._url)
        self._link = self._context.__enter__()
        try:
            self._cursor = self._link.cursor()
            self._cursor.execute("SELECT pg_try_advisory_lock(%s)", (_ADVISORY_LOCK,))
            if not self._cursor.fetchone()[0]:
                raise Locked(holder="one that publishes into the same database", work="the database")
            _prepare(self._cursor, self._tables)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def copy(self, table: Table, frame: pl.DataFrame) -> None:
        """Fill a new partition. FREEZE spares the log and the first reader's work: the table is as new as its rows."""
        partition = sql.Identifier(DATA, f"{table.name}_{self._suffix}")
        self._cursor.execute(_create(partition, table))
        statement = sql.SQL("COPY {} FROM STDIN WITH (FORMAT text, FREEZE)").format(partition)
        self._cursor.copy_expert(statement.as_string(self._link), _Reader(render(table, frame, null=_NULL)))
        self._cursor.execute(_index(partition, table))
        self._cursor.execute(sql.SQL("ANALYZE {}").format(partition))
        self._filled[table.name] = partition

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
        if not self._filled:
            return
        parents = sql.SQL(", ").join(sql.Identifier(SCHEMA, name) for name in self._filled)
        self._cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(parents))
        for name, partition in self._filled.items():
            parent = sql.Identifier(SCHEMA, name)
            self._cursor.execute(
                "SELECT n.nspname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
                " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = %s::regclass",
                (f"{SCHEMA}.{name}",),
            )
            for old in self._cursor.fetchall():
                self._cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(*old)))
            self._cursor.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} DEFAULT").format(parent, partition))


class _Reader:
    """The parts of a text as the file that COPY reads."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._parts, b""))
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


def _prepare(cursor: Any, tables: Iterable[Table]) -> int:
    """Create or upgrade the schema in the current transaction; the version that was found, 0 for none."""
    cursor.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.schema_version",))
    found = 0
    if cursor.fetchone()[0] is not None:
        cursor.execute(sql.SQL("SELECT max(version) FROM {}").format(sql.Identifier(SCHEMA, "schema_version")))
        found = cursor.fetchone()[0] or 0
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(found=found, known=SCHEMA_VERSION)
    if found < SCHEMA_VERSION:
        for schema in (SCHEMA, DATA):
            cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        cursor.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (version integer PRIMARY KEY, program text NOT NULL,"
                " upgraded timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'))"
            ).format(sql.Identifier(SCHEMA, "schema_version"))
        )
        cursor.execute(
            sql.SQL("INSERT INTO {} (version, program) VALUES (%s, %s)").format(
                sql.Identifier(SCHEMA, "schema_version")
            ),
            (SCHEMA_VERSION, __version__),
        )
    _ensure(cursor, RUN, partitioned=False)
    for table in tables:
        _ensure(cursor, table, partitioned=True)
    return found


def _ensure(cursor: Any, table: Table, *, partitioned: bool) -> None:
    """Create a table of the schema `grt`, or make it anew where its columns are of another version: its rows can be
    computed again, and are, in the same transaction. The table of runs alone is never made anew."""
    cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (f"{SCHEMA}.{table.name}",),
    )
    found = cursor.fetchall()
    wanted = [(column.name, column.type.value) for column in table.columns]
    if found == [(name, kind.replace("timestamp", "timestamp without time zone")) for name, kind in wanted]:
        return
    name = sql.Identifier(SCHEMA, table.name)
    if found:
        cursor.execute(sql.SQL("DROP TABLE {}").format(name))
    cursor.execute(_create(name, table, partitioned=partitioned))
    cursor.execute(_index(name, table))
    cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(table.doc)))
    for column in table.columns:
        text = f"{column.doc} [{column.unit}]" if column.unit else column.doc
        target = sql.Identifier(SCHEMA, table.name, column.name)
        cursor.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(target, sql.Literal(text)))


def _create(name: sql.Identifier, table: Table, *, partitioned: bool = False) -> sql.Composed:
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.type.value),
            sql.SQL(" NOT NULL" if column.name in table.key and column.name not in table.nullable else ""),
        )
        for column in table.columns
    )
    by = sql.SQL(" PARTITION BY LIST ({})").format(sql.Identifier(table.key[0])) if partitioned else sql.SQL("")
    return sql.SQL("CREATE TABLE {} ({}){}").format(name, columns, by)


def _index(name: sql.Identifier, table: Table) -> sql.Composed:
    """The key: primary, or a plain index where one of its columns may be null."""
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    statement = "CREATE INDEX ON {} ({})" if table.nullable else "ALTER TABLE {} ADD PRIMARY KEY ({})"
    return sql.SQL(statement).format(name, key)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
