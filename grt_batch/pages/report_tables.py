"""The tables of a report set as frames, read from its TSV files, with the rows that readers of the pages may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import polars as pl

from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.pages.visible import visible
from grt_batch.schema.escapes import ESCAPES
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.public_views import Threshold

_TYPES = {
    Type.BIGINT: pl.Int64(),
    Type.INTEGER: pl.Int64(),
    Type.DOUBLE: pl.Float64(),
    # For people to look at: sixteen digits are enough.
    Type.NUMERIC: pl.Float64(),
    Type.BOOLEAN: pl.Boolean(),
}


_PUBLIC = ("public",)
"""The column of the table of instances that all visibility rests on."""


class ReportTables:
    """The tables of a report set; one without a file has no rows. `private` shows what is not public, too."""

    def __init__(self, folder: Path, tables: Iterable[Table], threshold: Threshold, *, private: bool = False) -> None:
        """Read nothing yet."""
        self._folder = folder
        self._tables = {table.name: table for table in tables}
        self._threshold = threshold
        self._private = private

    def rows(self, name: str, *where: pl.Expr, columns: Iterable[str], of_all: bool | None = None) -> pl.DataFrame:
        """Return some columns of the rows that may be seen and for which each condition holds: with `of_all` those of
        all instances together, or, where that is false, no such rows.

        The conditions are about columns of the key other than the instance, and hold for an evidence as well. So the
        file is read once, and little of it is kept.
        """
        table = self._tables[name]
        wanted = list(columns)
        seen = dict.fromkeys((*wanted, *table.key, *table.visibility.needs, *_PUBLIC))
        scan = self._scan(table).select(column.name for column in table.columns if column.name in seen)
        rows = scan.filter(*where).collect().lazy() if where else scan.collect().lazy()
        if not self._private:
            rows = visible(table, rows, self._all | {name: (table, rows)}, self._threshold)
        if of_all is not None:
            rows = rows.filter((pl.col(INSTANCE) == ALL_INSTANCES) == of_all)
        return unescaped(rows.select(wanted).collect(), table)

    @cached_property
    def _all(self) -> dict[str, tuple[Table, pl.LazyFrame]]:
        return {name: (table, self._scan(table)) for name, table in self._tables.items()}

    def _scan(self, table: Table) -> pl.LazyFrame:
        file = self._folder / f"{table.name}.tsv"
        return scan(table, file if file.is_file() else b"", _TYPES, header=True)


def scan(
    table: Table, source: Path | bytes, types: Mapping[Type, pl.DataType], *, header: bool = False
) -> pl.LazyFrame:
    """Return the rows of a TSV file, or of lines of one. A column has the frame type that `types` have for its type,
    else it is the text; `unescaped` is still to be called."""
    schema = {column.name: types.get(column.type, pl.String()) for column in table.columns}
    if not source:
        return pl.LazyFrame(schema=schema)
    rows = pl.scan_csv(source, separator="\t", quote_char=None, schema=schema, null_values="", has_header=header)
    # Only what may be null is: an empty text of a key is a text.
    texts = [name for name in table.key if schema[name] == pl.String and name not in table.nullable]
    return rows.with_columns(pl.col(texts).fill_null("")) if texts else rows


def unescaped(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
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
