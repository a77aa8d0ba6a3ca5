"""Declarations of tables, from which checks, DDL, COPY text, TSV files and documentation follow."""

from __future__ import annotations

import io
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import polars as pl

from grt_batch.columns.columns import Columns
from grt_batch.columns.order import key_order
from grt_batch.schema.escapes import ESCAPES
from grt_batch.schema.figures import ALL_DIGITS, DERIVED_DIGITS, exact_text, plain_text, significant
from grt_batch.schema.records import Field
from grt_batch.schema.visibility import NOT_SHOWN, Visibility

_SLICE_ROWS = 200_000


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


class Shown(Enum):
    """What readers of `grt_public` see of a column, in the rows that they see."""

    AS_IT_IS = "the value"
    WITHOUT_EMAILS = "the value, with its e-mail addresses redacted"
    AS_NULL = "null"


_ESTIMATE_DIGITS = 4


@dataclass(frozen=True)
class Column:
    """A column: its type, what it says, and its unit.

    In a frame a NUMERIC column holds integers of 10 ** -`scale`; with the scale None, for rows of different units, it
    holds the decimal text itself.

    Numbers are written with `digits` significant digits. Where that is None, a DOUBLE is taken for a derived number and
    has 9, and numbers of all other types have all their digits; ALL_DIGITS are those of a DOUBLE that is exact. A
    number is the right one to a relative `error`, before it is written. What is written lies between the two columns
    `within`, of this table or only of its frame, in the same unit.

    `Column.sum_of(field, name, doc)` is the exact sum of a field. `Column.estimate(name, kind, doc, unit, within=…)`
    is a percentile, or another value from a sketch, with 4 digits.
    """

    name: str
    type: Type
    doc: str
    unit: str = ""
    scale: int | None = 0
    shown: Shown = Shown.AS_IT_IS
    digits: int | None = None
    within: tuple[str, str] | None = None
    error: float = 0.0

    @classmethod
    def sum_of(cls, field: Field, name: str, doc: str) -> Column:
        """A column for the exact sum of a field, which writes all its decimals."""
        return cls(name, Type.NUMERIC, doc, field.unit, field.scale)

    @classmethod
    def estimate(
        cls,
        name: str,
        kind: Type,
        doc: str,
        unit: str = "",
        *,
        within: tuple[str, str] | None = None,
        error: float = 0.01,
    ) -> Column:
        """A column for percentiles and other values from a sketch, which are right to a relative `error`."""
        return cls(name, kind, doc, unit, digits=_ESTIMATE_DIGITS, within=within, error=error)

    @property
    def rounding(self) -> int | None:
        """The significant digits that a number is rounded to; None where it is written as it is."""
        digits = self.digits or (DERIVED_DIGITS if self.type is Type.DOUBLE else ALL_DIGITS)
        return digits if digits < ALL_DIGITS else None

    @property
    def tolerance(self) -> float:
        """How far what is written may be from the exact number, relatively."""
        return self.error + (0.5 * 10 ** (1 - self.rounding) if self.rounding else 0.0)

    @property
    def frame_type(self) -> pl.DataType:
        """The type of the column in a frame."""
        return _FRAME_TYPES[Type.TEXT if self.scale is None else self.type]


@dataclass(frozen=True)
class Table:
    """A published table, with its rows in the order of `key`.

    The columns `nullable` of the key may be null. `visibility` says which rows are public: none, unless the table says
    otherwise. With an `index`, rows are found by its columns alone, and a key may occur twice.

    The rows of a table `of_instances` concern one instance each: `instance_rows` returns them, and where an instance
    has nothing new they are not made again. `by_year` names the date, next to the instance in the key, by whose year
    the rows are kept apart: years in which nothing changed are not written again.
    """

    name: str
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    nullable: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    visibility: Visibility = NOT_SHOWN
    of_instances: bool = False
    by_year: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError where the visibility is about a column that is missing, or the key cannot be kept apart."""
        missing = set(self.visibility.needs) - {column.name for column in self.columns}
        if missing:
            raise ValueError(f"table {self.name}: its visibility needs the column {', '.join(sorted(missing))}")
        if self.of_instances and not self.by_instance:
            raise ValueError(f"table {self.name}: the key of a table of_instances begins with instance_id, and goes on")
        dates = {column.name for column in self.columns if column.type is Type.DATE}
        if self.by_year and not (self.of_instances and self.key[1:2] == (self.by_year,) and self.by_year in dates):
            raise ValueError(f"table {self.name}: by_year names a date that is second in the key, after the instance")

    @property
    def by_instance(self) -> bool:
        """Whether the rows of each instance are kept apart: not where it has a single one."""
        return self.key[0] == "instance_id" and len(self.key) > 1

    @property
    def schema(self) -> pl.Schema:
        """The columns of a frame of this table."""
        return pl.Schema({column.name: column.frame_type for column in self.columns})

    @property
    def bounds(self) -> tuple[str, ...]:
        """The columns that others lie within."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.within or ()))

    def frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `rows` in the columns and the order of this table, then `bounds` that are none of its columns. Texts
        may be encoded.

        Raises ValueError, naming the column and a value, for a column that is missing or of another type,
        a null in the key, or a repeated key.
        """
        names = list(dict.fromkeys([*self.schema.names(), *self.bounds]))
        missing = [name for name in names if name not in rows.columns]
        if missing:
            raise ValueError(f"table {self.name}: no column {', '.join(missing)}")
        rows = rows.select(names)
        types = rows.schema
        for column in self.columns:
            found = types[column.name]
            if found != column.frame_type and not (column.type is Type.TEXT and isinstance(found, pl.Enum)):
                raise ValueError(f"table {self.name}: column {column.name} is {found}, not {column.frame_type}")
            if column.name in self.key and column.name not in self.nullable and rows[column.name].null_count():
                raise ValueError(f"table {self.name}: null in the key column {column.name}")
        # Encoded texts are sorted by their codes.
        texts = [name for name, kind in types.items() if isinstance(kind, pl.Enum)]
        rows = rows.with_columns(with_own_texts(rows[name]) for name in texts)
        order, begins = key_order(rows, self.key)
        rows = rows[order]
        if not self.index and len(begins) < rows.height:
            twice = rows.select(self.key).row(int(begins[np.diff(begins, append=rows.height).argmax()]))
            raise ValueError(f"table {self.name}: the key {twice} stands twice")
        return rows

    def empty(self) -> pl.DataFrame:
        """Return a frame without rows."""
        return pl.DataFrame(schema=self.schema)


COPY_NULL = "\\N"
"""The text of null in PostgreSQL's COPY."""


def render(table: Table, frame: pl.DataFrame, *, null: str = COPY_NULL) -> Iterator[bytes]:
    r"""Yield the rows of `frame` as tab-separated UTF-8 text, many thousand rows at a time.

    Tab, newline, carriage return and backslash in a text become \t, \n, \r, \\, as in PostgreSQL's COPY.
    """
    bounds = {name: _bound(table, frame, name) for name in table.bounds}
    texts = frame.select(_as_text(column, frame[column.name], bounds) for column in table.columns)
    for part in texts.iter_slices(_SLICE_ROWS):
        text = io.BytesIO()
        part.write_csv(
            text, separator="\t", include_header=False, quote_style="never", null_value=null, line_terminator="\n"
        )
        yield text.getvalue()


def as_report(table: Table, text: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the TSV file of a table, from its text by `render`: a header line, then the rows with null left empty. The
    first column is never null."""
    yield ("\t".join(column.name for column in table.columns) + "\n").encode()
    yield from map(with_empty_nulls, text)


def with_empty_nulls(text: bytes) -> bytes:
    """Return whole rows with null left empty."""
    # In a text a backslash is doubled, so this can only be a tab and null.
    return text.replace(f"\t{COPY_NULL}".encode(), b"\t")


def _bound(table: Table, frame: pl.DataFrame, name: str) -> pl.Series:
    """Return the text of a column that others lie within."""
    for column in table.columns:
        if column.name == name:
            return frame.select(_as_text(column, frame[name], {})).to_series().cast(pl.String)
    return plain_text(frame[name])


def _as_text(column: Column, values: pl.Series, bounds: Mapping[str, pl.Series]) -> pl.Series | pl.Expr:
    value = pl.col(column.name)
    match column.type:
        case Type.TEXT | Type.JSON:
            return _escaped(values)
        case Type.TIMESTAMP:
            return value.dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
        case Type.NUMERIC if column.scale is not None:
            return exact_text(value, column.scale)
        case Type.DOUBLE | Type.BIGINT | Type.INTEGER if column.rounding or values.dtype.is_float():
            return _figures(column, values, bounds)
        case _:
            return value


def _figures(column: Column, values: pl.Series, bounds: Mapping[str, pl.Series]) -> pl.Series:
    """Return the text of numbers that may be rounded: what rounding moves beyond a bound has the text of that bound."""
    rounded = significant(values, column.rounding) if column.rounding else values
    text = plain_text(rounded)
    for name, beyond in zip(column.within or (), (operator.le, operator.ge), strict=False):
        bound = bounds[name]
        text = bound.zip_with(beyond(rounded, bound.cast(values.dtype)), text)
    return text.alias(column.name)


def with_own_texts(texts: pl.Series) -> pl.Series:
    """Return encoded texts with a dictionary of just those that occur, in order."""
    if isinstance(texts.dtype, pl.Enum) and not texts.dtype.categories.is_sorted():
        texts = texts.cast(pl.String)
    return Columns.of(texts.to_frame()).own_texts().frame({texts.name: pl.String()}).to_series()


def _escaped(values: pl.Series) -> pl.Series:
    """Escape texts; where they are encoded, each text of the dictionary once."""
    texts = values.dtype.categories if isinstance(values.dtype, pl.Enum) else values
    # Few texts hold such a character, and one search is faster than four replacements.
    if not texts.str.contains_any(list(ESCAPES)).any():
        return values
    for character, escaped in ESCAPES.items():
        texts = texts.str.replace_all(character, escaped, literal=True)
    return texts.gather(values.to_physical()).alias(values.name) if isinstance(values.dtype, pl.Enum) else texts


REJECT_COLUMNS = ("member", "line", "reason", "bytes", "text")


_FORMULA, _NUMBER = r"^[=+@-]", r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def defused(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Put a ' before each text that a spreadsheet would run as a formula: one that begins with =, +, - or @ and is not
    a number."""
    texts = [pl.col(column.name).cast(pl.String) for column in table.columns if column.type is Type.TEXT]
    return frame.with_columns(
        pl.when(text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER))
        .then(pl.concat_str(pl.lit("'"), text))
        .otherwise(text)
        .alias(text.meta.output_name())
        for text in texts
    )
