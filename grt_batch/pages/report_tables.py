"""The tables of a report set as frames, read from its TSV files, with the rows that readers of the pages may see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import polars as pl

from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.pages.report_lines import Block, Range, Where, blocks
from grt_batch.pages.visible import PUBLIC, condition, evidence_of, visible
from grt_batch.schema.escapes import ESCAPES, escape
from grt_batch.schema.tables import Column, Table, Type
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

_PART_BYTES = 1 << 20

Those = Callable[[str], bool]
"""Whether the rows of an instance are wanted."""


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
        wanted = list(columns)
        none = pl.DataFrame(schema=_schema(self._tables[name])).select(wanted)
        return pl.concat([none, *self.parts(name, *where, columns=wanted, of_all=of_all)])

    def parts(
        self, name: str, *where: Where, columns: Sequence[str], of_all: bool | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield what `rows` returns, some MiB at a time."""
        table = self._tables[name]
        needed = {*columns, *table.visibility.needs, *table.key[:1]}
        if not table.by_instance:
            found = self._frames(table, needed, where, proof=self._proof(table, where))
        else:
            together = self._together(table, needed, where) if of_all is not False else ()
            found = chain(together, () if of_all else self._single(table, needed, where))
        for rows in found:
            shown = rows.lazy() if self._private else visible(table, rows.lazy(), self._public, self._threshold)
            yield unescaped(shown.select(columns).collect(), table)

    def _together(self, table: Table, columns: Collection[str], where: Sequence[Where]) -> Iterator[pl.DataFrame]:
        """Yield the rows of all instances together to which a public one contributed."""
        proof = self._proof(table, where)
        where = [{INSTANCE: (ALL_INSTANCES,), **each} for each in where or ({},)]
        return self._frames(table, columns, where, lambda instance: instance == ALL_INSTANCES, proof)

    def _single(self, table: Table, columns: Collection[str], where: Sequence[Where]) -> Iterator[pl.DataFrame]:
        """Yield the rows of single instances: of the public ones, and maybe of others."""
        for rows in self._frames(table, columns, where, self._is_shown):
            yield rows.filter(pl.col(INSTANCE) != ALL_INSTANCES)

    def _is_shown(self, instance: str) -> bool:
        return instance != ALL_INSTANCES and (self._private or instance in self._public)

    def _proof(self, table: Table, where: Sequence[Where]) -> Container[bytes] | None:
        """Return the keys of a table, without the instance and as they are written, to which a public instance
        contributed; None where nobody asks for them."""
        evidence = None if self._private else evidence_of(table)
        if evidence is None:
            return None
        other = self._tables.get(evidence.table)
        if other is None:
            return ()
        found: set[bytes] = set()
        key = _key(table)
        if other is table:
            public = {instance.encode() for instance in self._public}
            for block in self._blocks(table, self._is_shown):
                rows = block.matching(where)
                lines = zip(block.fields(rows, [INSTANCE]), block.fields(rows, key), strict=True)
                found.update(fields for instance, fields in lines if instance in public)
            return found
        written = pl.concat_str((pl.col(name).cast(pl.String).fill_null("") for name in key), separator="\t")
        counts = condition(evidence)
        for frame in self._frames(other, {INSTANCE, *key, *counts.meta.root_names()}, (), self._is_shown):
            keys = frame.filter(pl.col(INSTANCE).is_in(self._public), counts).select(written).to_series()
            found.update(each.encode() for each in keys)
        return found

    @cached_property
    def _public(self) -> frozenset[str]:
        """The ids of the instances that are public, as they are written."""
        table = self._tables.get(_INSTANCES)
        frames = self._frames(table, {INSTANCE, PUBLIC}, ()) if table else ()
        return frozenset(name for rows in frames for name in rows.filter(PUBLIC)[INSTANCE])

    def _frames(
        self,
        table: Table,
        columns: Collection[str],
        where: Sequence[Where],
        those: Those | None = None,
        proof: Container[bytes] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Yield some columns of rows of a table, as they are written: rows of `those` instances, and maybe of others,
        whose keys are among the `proof`."""
        names = [column.name for column in table.columns]
        kept = max(names.index(name) for name in columns) + 1
        lines: list[bytes] = []
        size = 0
        for block in self._blocks(table, those):
            rows = block.matching(where)
            found = block.texts(rows, 0, kept)
            if proof is not None:
                keys = block.fields(rows, _key(table))
                found = [line for line, key in zip(found, keys, strict=True) if key in proof]
            lines += found
            size += sum(map(len, found))
            if size > _PART_BYTES:
                yield parsed(table, lines, names[:kept], columns)
                lines, size = [], 0
        if lines:
            yield parsed(table, lines, names[:kept], columns)

    def _blocks(self, table: Table, those: Those | None) -> Iterator[Block]:
        """Yield the lines of those instances, where a run has said where in the file they are, or else all lines."""
        file = self._folder / f"{table.name}.tsv"
        if not file.is_file():
            return
        with file.open("rb") as text:
            begin = len(text.readline())
        held = self._held.get(table.name)
        ranges = [(begin, file.stat().st_size)]
        if those is not None and held is not None:
            ranges = _joined(
                (each.offset, each.offset + each.bytes) for each in held.extents if those(escape(each.instance_id))
            )
        yield from blocks(file, ranges, [column.name for column in table.columns])

    @cached_property
    def _held(self) -> dict[str, ReportedTable]:
        return load_parts(self._folder)


def _key(table: Table) -> list[str]:
    """Return the columns of a table's key but for the instance."""
    return [name for name in table.key if name != INSTANCE]


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges, which are in order, with each that begins where another ends as a part of that one."""
    found: list[Range] = []
    for begin, end in ranges:
        start = found.pop()[0] if found and found[-1][1] == begin else begin
        found.append((start, end))
    return found


Types = Mapping[Type, pl.DataType]
"""The types of the columns of a frame, by those that a table declares; of others the text is kept."""


def _schema(table: Table, types: Types = _TYPES) -> dict[str, pl.DataType]:
    return {column.name: types.get(column.type, pl.String()) for column in table.columns}


def parsed(
    table: Table, lines: Iterable[bytes], names: Sequence[str], columns: Collection[str], types: Types = _TYPES
) -> pl.DataFrame:
    """Return some columns of lines without newline that have the columns `names`; `unescaped` is still to be called."""
    schema = _schema(table, types)
    rows = pl.read_csv(
        b"\n".join(["\t".join(names).encode(), *lines, b""]),
        columns=[name for name in names if name in columns],
        separator="\t",
        quote_char=None,
        schema={name: schema[name] for name in names},
        null_values="",
    )
    # Only what may be null is: an empty text of a key is a text.
    texts = [name for name in table.key if name in columns and schema[name] == pl.String and name not in table.nullable]
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
