"""Comparison of published tables with computed ones: a sink that compares where another would write."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from itertools import count, groupby
from types import TracebackType
from typing import Any, Self

from psycopg2 import sql

from grt_batch.core.errors import DatabaseUnreadable
from grt_batch.core.wording import counted
from grt_batch.differences.rows import differing_lines
from grt_batch.ledger.ledger import RUN, Ledger
from grt_batch.modules.base import INSTANCE
from grt_batch.modules.export import ArchiveParts, Export, TableExport
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.connection import connection
from grt_batch.sinks.copying import copy_rows
from grt_batch.sinks.partitions import Partition, contents
from grt_batch.sinks.schema import DATA, SCHEMA, create_table, is_current
from grt_batch.sinks.sink import Sink, TableText

SAME = "same"


LOST = "lost"


class Comparison(Sink):
    """A sink that compares what a run would publish with the database, and writes the differences to `found` by table.

    The rows go into tables of its own, so that PostgreSQL itself compares the values. They are made in a transaction
    that is never committed: nobody sees them, and nothing else is written. (Temporary tables would need a right of
    their own.)
    """

    def __init__(self, found: MutableMapping[str, str], published: str, url: str) -> None:
        """`published` is the id of the run whose row of the table of runs is compared."""
        self._found = found
        self._published = published
        self._url = url
        self._token, self._numbers = uuid.uuid4().hex, count()
        self._computed: dict[str, tuple[Table, sql.Identifier]] = {}

    def __enter__(self) -> Self:
        self._context = connection(self._url, DatabaseUnreadable)
        self._link = self._context.__enter__()
        self._cursor = self._link.cursor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        """Take the computed rows, part by part, into a table."""
        if not self._is_comparable(table):
            return
        if table.name not in self._computed:
            self._computed[table.name] = table, self._create(table)
        _, computed = self._computed[table.name]
        for part in text.parts:
            copy_rows(self._cursor, computed, table.columns, part.copy)

    def wait(self) -> None:
        """Compare the rows of each table."""
        for name, (table, computed) in self._computed.items():
            with self._undone():
                self._found[name] = self._compared(table, computed)
        self._computed.clear()

    def write_export(self, export: Export, archives: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Compare the tables of an export, instance by instance: the digest of their inputs, and their rows."""
        if not isinstance(export, TableExport):
            return
        tables = [table for table in export.tables if self._is_comparable(table)]
        there = {table.name: contents(self._cursor, table) for table in tables}
        odd: dict[str, set[str]] = {table.name: set() for table in tables}
        computed: set[str] = set()
        for instance_id, group in groupby(archives, key=lambda archive: archive.instance_id):
            its_archives = list(group)
            keys = [archive.key for archive in its_archives]
            computed.add(instance_id)
            with self._undone():
                differ = set(self._differing_tables(tables, instance_id, its_archives))
            for table in tables:
                content = Partition.of_instance(table, "", instance_id, keys).content
                if table.name in differ or content not in there[table.name]:
                    odd[table.name].add(instance_id)
        for table in tables:
            with self._undone():
                query = sql.SQL("SELECT DISTINCT {} FROM {}")
                self._cursor.execute(query.format(sql.Identifier(INSTANCE), _published(table)))
                odd[table.name] |= {instance_id for (instance_id,) in self._cursor.fetchall()} - computed
            self._found[table.name] = differing(odd[table.name], "instance")

    def _differing_tables(
        self, tables: Sequence[Table], instance_id: str, archives: Sequence[ArchiveParts]
    ) -> Iterator[str]:
        """Yield the tables in which the rows of an instance differ."""
        computed = {table.name: self._create(table, instance_id) for table in tables}
        columns = {table.name: table.columns[1:] for table in tables}
        for archive in archives:
            for part in archive.load(computed.keys()):
                copy_rows(self._cursor, computed[part.name], columns[part.name], [part.data], binary=True)
        for table in tables:
            of_instance = sql.SQL("SELECT * FROM {} WHERE {} = {}").format(
                _published(table), sql.Identifier(INSTANCE), sql.Literal(instance_id)
            )
            odd = _odd_rows(sql.SQL("TABLE {}").format(computed[table.name]), of_instance)
            self._cursor.execute(sql.SQL("SELECT EXISTS ({})").format(odd))
            if self._cursor.fetchone()[0]:
                yield table.name

    def _is_comparable(self, table: Table) -> bool:
        """Return whether the published table has the columns of the computed one; if not, note what is wrong."""
        current = is_current(self._cursor, table)
        if not current:
            self._found[table.name] = LOST if current is None else "has other columns"
        return bool(current)

    def _create(self, table: Table, *instances: str) -> sql.Identifier:
        """Create a table for computed rows."""
        name = sql.Identifier(DATA, f"computed_{self._token}_{next(self._numbers)}")
        self._cursor.execute(create_table(name, table, unlogged=True, instances=instances))
        return name

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Undo what the block did in the database, its locks as well: a run of another work folder may want them."""
        self._cursor.execute("SAVEPOINT undone")
        yield
        self._cursor.execute("ROLLBACK TO SAVEPOINT undone; RELEASE SAVEPOINT undone")

    def _compared(self, table: Table, computed: sql.Identifier) -> str:
        key = [column for name in table.key for column in table.columns if column.name == name]
        both = (sql.SQL("TABLE {}").format(name) for name in (computed, _published(table)))
        self._cursor.execute(
            sql.SQL(
                "WITH odd AS (SELECT DISTINCT {key} FROM ({odd}) AS either)"
                " SELECT (SELECT count(*) FROM odd), {key} FROM odd ORDER BY {order} LIMIT 1"
            ).format(
                key=sql.SQL(", ").join(sql.Identifier(column.name) for column in key),
                order=sql.SQL(", ").join(map(_in_order, key)),
                odd=_odd_rows(*both),
            )
        )
        row = self._cursor.fetchone()
        return _differing(table, row[0], ["" if value is None else str(value) for value in row[1:]]) if row else SAME

    def prepare(self, run: Mapping[str, Any]) -> None:
        """Compare the row of the published run."""
        if is_current(self._cursor, RUN) is None:
            self._found[RUN.name] = LOST
            return
        columns = ("archives", "jobs", "state")
        query = sql.SQL("SELECT {} FROM {} WHERE run_id = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(SCHEMA, RUN.name)
        )
        self._cursor.execute(query, (self._published,))
        row = self._cursor.fetchone()
        odd = [name for name, value in zip(columns, row or (), strict=False) if value != run[name]]
        self._found[RUN.name] = differing_numbers(odd) if row else LOST

    def publish(self) -> None:
        """Do nothing."""


def compare_reports(table: Table, computed: bytes, found: bytes) -> str:
    """Return how the TSV file found differs from the computed one, or SAME."""
    if found == computed:
        return SAME
    before, after = (raw.removesuffix(b"\n").split(b"\n") for raw in (computed, found))
    if before[0] != after[0]:
        return "another header"
    places = [place for name in table.key for place, column in enumerate(table.columns) if column.name == name]
    keys = [_key(line, places) for line in differing_lines(before, after)]
    if not keys:
        return "the same rows, but not byte by byte"
    return _differing(table, len(set(keys)), keys[0])


def _key(line: bytes, places: Sequence[int]) -> tuple[str, ...]:
    """Return the key of a line, which may be damaged."""
    fields = line.decode("utf-8", "replace").split("\t")
    return tuple(fields[place] if place < len(fields) else "" for place in places)


def differing(names: Collection[str], what: str) -> str:
    """Return how many things of a kind differ, and the first of them, or SAME."""
    return _first(len(names), what, min(names)) if names else SAME


def differing_numbers(names: Sequence[str]) -> str:
    """Return which numbers differ, or SAME."""
    return f"differs in {', '.join(names)}" if names else SAME


def _differing(table: Table, rows: int, key: Sequence[str]) -> str:
    first = ", ".join(f"{name}={value!r}" for name, value in zip(table.key, key, strict=True))
    return _first(rows, "row", first)


def _first(count: int, what: str, first: str) -> str:
    return f"{counted(count, what)} {'differs' if count == 1 else 'differ'}, first {first}"


def _in_order(column: Column) -> sql.Composable:
    """Return a column in the order of the TSV reports: texts by their bytes."""
    name = sql.Identifier(column.name)
    return sql.SQL('{} COLLATE "C"').format(name) if column.type is Type.TEXT else name


def _published(table: Table) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table.name)


def _odd_rows(one: sql.Composable, other: sql.Composable) -> sql.Composed:
    """Return the query of the rows that only one of two queries has, or has more often."""
    return sql.SQL("({0} EXCEPT ALL {1}) UNION ALL ({1} EXCEPT ALL {0})").format(one, other)
