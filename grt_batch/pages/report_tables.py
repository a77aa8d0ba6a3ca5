"""The tables of a report set as frames, read from its TSV files, with the rows that readers of the pages may see."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import polars as pl

from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.pages.report_lines import Lines, Range, Where
from grt_batch.pages.visible import PUBLIC, condition, contributed, evidence_of, visible
from grt_batch.schema.escapes import ESCAPES
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.schema.visibility import Evidence
from grt_batch.sinks.public_views import Threshold
from grt_batch.sinks.report_file import ReportedTable, load_parts

_TYPES = {
    Type.BIGINT: pl.Int64(),
    Type.INTEGER: pl.Int64(),
    Type.DOUBLE: pl.Float64(),
    # For people to look at: sixteen digits are enough.
    Type.NUMERIC: pl.Float64(),
    Type.BOOLEAN: pl.Boolean(),
}

_INSTANCES = "instance"
"""The table of instances, on which all visibility rests."""

_MOST_KEYS = 1 << 17
"""How many keys are gathered before those that occur twice go."""


class ReportTables:
    """The tables of a report set; one without a file has no rows. `private` shows what is not public, too."""

    def __init__(self, folder: Path, tables: Iterable[Table], threshold: Threshold, *, private: bool = False) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._tables = {table.name: table for table in tables}
        self._threshold = threshold
        self._private = private

    def rows(self, name: str, *where: Where, columns: Iterable[str], of_all: bool | None = None) -> pl.DataFrame:
        """Return some columns of the rows that may be seen and that match any of `where`: with `of_all` those of all
        instances together, or, where that is false, no such rows.

        The conditions are about columns of the key other than the instance, and hold for an evidence as well. So
        little of a file is kept.
        """
        table, wanted = self._tables[name], list(columns)
        evidence = None if self._private or of_all is False else evidence_of(table)
        seen = list(dict.fromkeys([*wanted, *table.key])) if evidence else wanted
        rows = pl.concat([_typed(table).select(seen), *self._seen(table, where, seen, of_all)])
        if evidence:
            rows = contributed(rows, self._proof(table, evidence, where))
        return _unescaped(rows.select(wanted), table)

    def parts(self, name: str, *where: Where, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the rows that may be seen, but for those of all instances together, some MiB at a time."""
        table = self._tables[name]
        for rows in self._seen(table, where, columns, of_all=False):
            yield _unescaped(rows, table)

    def _seen(
        self, table: Table, where: Sequence[Where], columns: Sequence[str], of_all: bool | None
    ) -> Iterator[pl.DataFrame]:
        """Yield parts of the rows that may be seen, those of all instances together without their evidence."""
        needed = {*columns, *table.visibility.needs}
        instances = None if self._private else {*self._public, ALL_INSTANCES}
        if table.by_instance and of_all is not None:
            needed.add(INSTANCE)
            instances = {ALL_INSTANCES} if of_all else instances
        for rows in self._parts(table, where, needed, instances):
            shown = rows.lazy() if self._private else visible(table, rows.lazy(), self._public, self._threshold)
            if table.by_instance and of_all is not None:
                shown = shown.filter((pl.col(INSTANCE) == ALL_INSTANCES) == of_all)
            yield shown.select(columns).collect()

    def _proof(self, table: Table, evidence: Evidence, where: Sequence[Where]) -> pl.DataFrame:
        """Return the keys, without the instance, to which a public instance contributed."""
        key = [name for name in table.key if name != INSTANCE]
        found, other = [_typed(table).select(key)], self._tables.get(evidence.table)
        if other is None:
            return found[0]
        counts = condition(evidence)
        seen = {INSTANCE, *key, *counts.meta.root_names()}
        for rows in self._parts(other, where if other is table else (), seen, self._public):
            found.append(rows.filter(pl.col(INSTANCE).is_in(self._public), counts).select(key))
            if sum(keys.height for keys in found[1:]) > max(_MOST_KEYS, found[0].height):
                found = [pl.concat(found).unique()]
        return pl.concat(found).unique()

    @cached_property
    def _public(self) -> frozenset[str]:
        """The ids of the instances that are public."""
        table = self._tables.get(_INSTANCES)
        parts = () if table is None else self._parts(table, (), {INSTANCE, PUBLIC}, None)
        return frozenset(name for rows in parts for name in rows.filter(PUBLIC)[INSTANCE])

    def _parts(
        self, table: Table, where: Sequence[Where], columns: Collection[str], instances: Collection[str] | None
    ) -> Iterator[pl.DataFrame]:
        """Yield some columns of rows of a table, a part at a time: those of these instances, if they are named, and
        maybe of others."""
        file = self._folder / f"{table.name}.tsv"
        if not file.is_file():
            return
        schema = _typed(table).schema
        names = list(schema)
        kept = max(names.index(name) for name in columns) + 1
        header = "\t".join(names[:kept]).encode() + b"\n"
        texts = [
            name for name in table.key if name in columns and schema[name] == pl.String and name not in table.nullable
        ]
        for lines in Lines(names, where, kept).parts(file, self._ranges(table, file, instances)):
            rows = pl.read_csv(
                header + lines,
                columns=[name for name in names if name in columns],
                separator="\t",
                quote_char=None,
                schema={name: schema[name] for name in names[:kept]},
                null_values="",
            )
            # Only what may be null is: an empty text of a key is a text.
            yield rows.with_columns(pl.col(texts).fill_null("")) if texts else rows

    def _ranges(self, table: Table, file: Path, instances: Collection[str] | None) -> list[Range]:
        """Return where the rows of some instances stand in a file. A set says that of each file, where a run wrote
        it."""
        with file.open("rb") as text:
            begin = len(text.readline())
        held = self._held.get(table.name)
        if instances is None or held is None or not table.by_instance:
            return [(begin, file.stat().st_size)]
        ranges: list[Range] = []
        for extent in held.extents:
            if extent.instance_id in instances:
                start = ranges.pop()[0] if ranges and ranges[-1][1] == extent.offset else extent.offset
                ranges.append((start, extent.offset + extent.bytes))
        return ranges

    @cached_property
    def _held(self) -> dict[str, ReportedTable]:
        return load_parts(self._folder)


def _typed(table: Table) -> pl.DataFrame:
    """Return no rows of a table, with the types that its columns have here."""
    return pl.DataFrame(schema={column.name: _TYPES.get(column.type, pl.String()) for column in table.columns})


def _of_all(of_all: bool) -> pl.Expr:
    return (pl.col(INSTANCE) == ALL_INSTANCES) == of_all


def _unescaped(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return rows with the texts that their escapes stand for."""
    texts = {column.name for column in table.columns if _is_text(column)}
    for name in texts.intersection(rows.columns):
        if rows[name].str.contains("\\", literal=True).any():
            parts = rows[name].str.split("\\\\").list.eval(_without_escapes(pl.element()))
            rows = rows.with_columns(parts.list.join("\\").alias(name))
    return rows


def _without_escapes(text: pl.Expr) -> pl.Expr:
    """Return texts without escapes, other than that of the backslash itself."""
    for character, escaped in ESCAPES.items():
        if character != "\\":
            text = text.str.replace_all(escaped, character, literal=True)
    return text


def _is_text(column: Column) -> bool:
    return column.type in (Type.TEXT, Type.JSON)
