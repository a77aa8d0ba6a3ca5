"""Comparison of published tables with computed ones: a sink that compares where another would write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from itertools import groupby, zip_longest
from types import TracebackType
from typing import Any, Self

from psycopg2 import sql

from grt_batch.core.wording import counted
from grt_batch.ledger.ledger import RUN, Ledger
from grt_batch.modules.base import INSTANCE
from grt_batch.modules.export import ArchiveParts, Export, TableExport
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.connection import connection
from grt_batch.sinks.partitions import Partition, contents
from grt_batch.sinks.schema import SCHEMA, create_table, is_current
from grt_batch.sinks.sink import Sink, TableText

SAME = "same"


LOST = "lost"


class Comparison(Sink):
    """A sink that compares what a run would publish with the database, and writes the differences to `found` by table.

    The rows go into temporary tables, so that PostgreSQL itself compares the values. They are gone with the session,
    and nothing else is written.
    """

    def __init__(self, found: MutableMapping[str, str], published: str, url: str) -> None:
        """`published` is the id of the run whose row of the table of runs is compared."""
        self._found = found
        self._published = published
        self._url = url
        self._tables: dict[str, Table] = {}

    def __enter__(self) -> Self:
        self._context = connection(self._url)
        self._link = self._context.__enter__()
        # A transaction would hold its locks to the end, and a run of another work folder would wait for them.
        self._link.autocommit = True
        self._cursor = self._link.cursor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        """Take the computed rows, part by part, into a temporary table."""
        current = is_current(self._cursor, table)
        if not current:
            self._found[table.name] = LOST if current is None else "has other columns"
            return
        computed = _computed(table)
        if table.name not in self._tables:
            self._tables[table.name] = table
            self._cursor.execute(create_table(computed, table, temporary=True))
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(computed, columns).as_string(self._link)
        for part in text.parts:
            self._cursor.copy_expert(statement, _Lines(iter(part.copy)))

    def wait(self) -> None:
        """Compare the rows of each table."""
        for name, table in self._tables.items():
            self._found[name] = self._compared(table)
        self._tables.clear()

    def _compared(self, table: Table) -> str:
        key = [column for name in table.key for column in table.columns if column.name == name]
        self._cursor.execute(
            sql.SQL(
                "WITH odd AS (SELECT DISTINCT {key} FROM"
                " ((TABLE {computed} EXCEPT ALL TABLE {table}) UNION ALL (TABLE {table} EXCEPT ALL TABLE {computed}))"
                " AS either) SELECT (SELECT count(*) FROM odd), {key} FROM odd ORDER BY {order} LIMIT 1"
            ).format(
                key=sql.SQL(", ").join(sql.Identifier(column.name) for column in key),
                order=sql.SQL(", ").join(map(_in_order, key)),
                computed=_computed(table),
                table=sql.Identifier(SCHEMA, table.name),
            )
        )
        row = self._cursor.fetchone()
        return _differing(table, row[0], ["" if value is None else str(value) for value in row[1:]]) if row else SAME

    def write_export(self, export: Export, archives: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Compare the tables of an export, instance by instance: the digest of their inputs, and the number of rows."""
        if not isinstance(export, TableExport):
            return
        tables = export.tables
        wanted: dict[str, dict[str, int]] = {table.name: {} for table in tables}
        made_of: dict[str, list[str]] = {}
        for instance_id, group in groupby(archives, key=lambda archive: archive.instance_id):
            for archive in group:
                made_of.setdefault(instance_id, []).append(archive.key)
                for part in archive.load():
                    counts = wanted[part.name]
                    counts[instance_id] = counts.get(instance_id, 0) + part.rows
        for table in tables:
            if not is_current(self._cursor, table):
                self._found[table.name] = LOST
                continue
            there = contents(self._cursor, table)
            made = {key: Partition.of_instance(table, "", key, keys).content for key, keys in made_of.items()}
            query = sql.SQL("SELECT {0}, count(*) FROM {1} GROUP BY 1")
            self._cursor.execute(query.format(sql.Identifier(INSTANCE), sql.Identifier(SCHEMA, table.name)))
            rows = {instance_id: count for instance_id, count in self._cursor.fetchall() if count}
            counted = {instance_id: count for instance_id, count in wanted[table.name].items() if count}
            odd = {instance_id for instance_id, content in made.items() if content not in there}
            odd |= {instance_id for instance_id, _ in rows.items() ^ counted.items()}
            self._found[table.name] = differing(odd, "instance")

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
    lines, others = Counter(before), Counter(after)
    odd = {*(lines - others), *(others - lines)}
    if not odd:
        return "the same rows, but not byte by byte"
    places = [place for name in table.key for place, column in enumerate(table.columns) if column.name == name]
    keys = {line: _key(line, places) for line in odd}
    pairs = zip_longest(before, after, fillvalue=b"")
    first = next(line for pair in pairs if pair[0] != pair[1] for line in pair if line in odd)
    return _differing(table, len({tuple(key) for key in keys.values()}), keys[first])


def _key(line: bytes, places: Sequence[int]) -> list[str]:
    """Return the key of a line, which may be damaged."""
    fields = line.decode("utf-8", "replace").split("\t")
    return [fields[place] if place < len(fields) else "" for place in places]


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


def _computed(table: Table) -> sql.Identifier:
    return sql.Identifier(f"computed_{table.name}")


class _Lines:
    """Parts of text as a file for COPY. A read returns a part, which may be longer than asked for."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, size: int = -1) -> bytes:
        return next(filter(None, self._parts), b"")
