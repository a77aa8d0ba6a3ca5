"""One specification of a table: its frame's check, its DDL, its COPY text, its TSV and its documentation follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import polars as pl
import polars.selectors as cs

_SLICE_ROWS = 200_000
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


class Type(Enum):
    """The type of a column, as PostgreSQL calls it."""

    TEXT = "text"
    BIGINT = "bigint"
    INTEGER = "integer"
    DOUBLE = "double precision"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    DATE = "date"
    JSON = "jsonb"


_FRAME_TYPES: dict[Type, pl.DataType] = {
    Type.TEXT: pl.String(),
    Type.BIGINT: pl.Int64(),
    Type.INTEGER: pl.Int32(),
    Type.DOUBLE: pl.Float64(),
    Type.NUMERIC: pl.Int128(),
    Type.BOOLEAN: pl.Boolean(),
    Type.TIMESTAMP: pl.Datetime("us"),
    Type.DATE: pl.Date(),
    Type.JSON: pl.String(),
}


@dataclass(frozen=True)
class Column:
    """A column: what it says, and in which unit. In a frame a NUMERIC holds integers of 10 ** -`scale`; without a
    scale, for a column whose rows are of different units, the decimal text itself."""

    name: str
    type: Type
    doc: str
    unit: str = ""
    scale: int | None = 0

    @property
    def frame_type(self) -> pl.DataType:
        """The type of this column in a frame."""
        return _FRAME_TYPES[Type.TEXT if self.scale is None else self.type]


@dataclass(frozen=True)
class Table:
    """A published table; its rows are in the order of `key`. `nullable` are the columns of the key that may be null.
    With an `index` rows are found by its columns alone, and a key may stand twice."""

    name: str
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    nullable: tuple[str, ...] = ()
    index: tuple[str, ...] = ()

    @property
    def schema(self) -> pl.Schema:
        """The columns of a frame of this table."""
        return pl.Schema({column.name: column.frame_type for column in self.columns})

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` in the columns and the order of this table.

        Raises ValueError, naming the column and a value, for a column that is missing or of another type,
        a null in the key, or a key that stands twice.
        """
        missing = [column.name for column in self.columns if column.name not in rows.columns]
        if missing:
            raise ValueError(f"table {self.name}: no column {', '.join(missing)}")
        # Encoded texts are sorted as numbers, before they become texts.
        rows = rows.select(column.name for column in self.columns).sort(self.key)
        rows = rows.with_columns(cs.enum().cast(pl.String))
        for column in self.columns:
            if rows.schema[column.name] != column.frame_type:
                found = rows.schema[column.name]
                raise ValueError(f"table {self.name}: column {column.name} is {found}, not {column.frame_type}")
            if column.name in self.key and column.name not in self.nullable and rows[column.name].null_count():
                raise ValueError(f"table {self.name}: null in the key column {column.name}")
        twice = rows.filter(pl.struct(self.key).is_duplicated())
        if twice.height and not self.index:
            raise ValueError(f"table {self.name}: the key {twice.select(self.key).row(0)} stands twice")
        return rows

    def empty(self) -> pl.DataFrame:
        """A frame without rows."""
        return pl.DataFrame(schema=self.schema)


def render(table: Table, frame: pl.DataFrame, *, null: str, header: bool = False) -> Iterator[bytes]:
    r"""The rows of `frame` as tab-separated UTF-8 text, some thousand rows at a time.

    Tab, newline, carriage return and backslash in a text become \t, \n, \r, \\, as PostgreSQL's COPY has it too.
    """
    if header:
        yield ("\t".join(column.name for column in table.columns) + "\n").encode()
    texts = [_as_text(column, frame) for column in table.columns]
    for part in frame.iter_slices(_SLICE_ROWS):
        text = part.select(texts).write_csv(
            separator="\t", include_header=False, quote_style="never", null_value=null, line_terminator="\n"
        )
        yield text.encode()


def _as_text(column: Column, frame: pl.DataFrame) -> pl.Expr:
    value = pl.col(column.name)
    match column.type:
        # Hardly a text holds such a character, and one look is faster than four replacements.
        case Type.TEXT | Type.JSON if frame[column.name].str.contains_any(list(_ESCAPES)).any():
            for character, escaped in _ESCAPES.items():
                value = value.str.replace_all(character, escaped, literal=True)
        case Type.TIMESTAMP:
            value = value.dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
        case Type.NUMERIC if column.scale is not None:
            value = exact_text(value, column.scale)
    return value.alias(column.name)


def escape(text: str) -> str:
    """A text as it stands in a TSV file."""
    return text.translate({ord(character): escaped for character, escaped in _ESCAPES.items()})


def exact_text(value: pl.Expr, scale: int) -> pl.Expr:
    """The decimal text of integers of 10 ** -`scale`, without zeros at its end."""
    if scale == 0:
        return value.cast(pl.String)
    size, base = value.abs(), pl.lit(10**scale, pl.Int128)
    fraction = (size % base).cast(pl.String).str.zfill(scale).str.strip_chars_end("0")
    sign = pl.when(value < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    point = pl.when(fraction == "").then(pl.lit("")).otherwise(pl.lit("."))
    return pl.concat_str(sign, (size // base).cast(pl.String), point, fraction)
