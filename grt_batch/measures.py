"""Mergeable measures, and the cube that groups them by keys.

The law of every measure, and so of every cube: merging two results gives what adding everything to one would have
given. It holds to the last digit, since nothing here is a floating-point number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from grt_batch.joined import Field, Job, Record, Records


@dataclass(frozen=True)
class Count:
    """How many jobs there are, or how many of which the boolean field `where` is true."""

    name: str
    where: Field | None = None

    def schema(self) -> dict[str, pl.DataType]:
        """The columns of this measure."""
        return {self.name: pl.Int64()}

    def add(self) -> list[pl.Expr]:
        """From jobs to this measure's columns, within a group."""
        counted = pl.len() if self.where is None else self.where.expr.sum()
        return [counted.cast(pl.Int64).alias(self.name)]

    def merge(self) -> list[pl.Expr]:
        """From such columns to one row of them."""
        return [pl.col(self.name).sum()]


@dataclass(frozen=True)
class Sum:
    """The exact sum of an integer field over the jobs where it is not null, in 128 bits."""

    name: str
    field: Field

    def schema(self) -> dict[str, pl.DataType]:
        """The columns of this measure."""
        return {self.name: pl.Int128()}

    def add(self) -> list[pl.Expr]:
        """From jobs to this measure's columns, within a group."""
        return [self.field.expr.cast(pl.Int128).sum().alias(self.name)]

    def merge(self) -> list[pl.Expr]:
        """From such columns to one row of them."""
        return [pl.col(self.name).sum()]


@dataclass(frozen=True)
class Squares:
    """The exact sum of the squares of an integer field from 0 to 2^63 - 1 over the jobs where it is not null.

    It may leave 128 bits: a value is high · 2^32 + low, and the sums of high², high · low and low² are kept apart.
    """

    name: str
    field: Field

    def schema(self) -> dict[str, pl.DataType]:
        """The columns of this measure."""
        return {f"{self.name}_{part}": pl.Int128() for part in ("high", "mixed", "low")}

    def add(self) -> list[pl.Expr]:
        """From jobs to this measure's columns, within a group."""
        high, low = self.field.expr // (1 << 32), self.field.expr & ((1 << 32) - 1)
        # The square of 32 bits needs the bit of the sign.
        products = (high * high, high * low, low.cast(pl.UInt64) * low.cast(pl.UInt64))
        return [
            product.cast(pl.Int128).sum().alias(name) for product, name in zip(products, self.schema(), strict=True)
        ]

    def merge(self) -> list[pl.Expr]:
        """From such columns to one row of them."""
        return [pl.col(name).sum() for name in self.schema()]

    def exact(self, rows: pl.DataFrame) -> list[int]:
        """The sum in each row."""
        parts = (rows[name].to_list() for name in self.schema())
        return [(high << 64) + (mixed << 33) + low for high, mixed, low in zip(*parts, strict=True)]


@dataclass(frozen=True)
class Extent:
    """The least and the greatest value of a field, as `first_` and `last_` of the name; null where all are null."""

    name: str
    field: Field

    def schema(self) -> dict[str, pl.DataType]:
        """The columns of this measure."""
        return {f"first_{self.name}": self.field.type, f"last_{self.name}": self.field.type}

    def add(self) -> list[pl.Expr]:
        """From jobs to this measure's columns, within a group."""
        return [
            self.field.expr.min().alias(f"first_{self.name}"),
            self.field.expr.max().alias(f"last_{self.name}"),
        ]

    def merge(self) -> list[pl.Expr]:
        """From such columns to one row of them."""
        return [pl.col(f"first_{self.name}").min(), pl.col(f"last_{self.name}").max()]


Measure = Count | Sum | Squares | Extent


@dataclass(frozen=True)
class Cube:
    """Measures of records, grouped by keys. A frame of a cube is sorted by its keys, which stand once each.

    A cube with `lately` has the day among its keys, and is only of the days that a window near the end of an archive
    can reach (`grt_batch.module.WINDOW_DAYS`): it stays small, however long the history is.
    """

    name: str
    keys: tuple[Field, ...]
    measures: tuple[Measure, ...]
    of: type[Record] = Job
    lately: bool = False

    @property
    def key_names(self) -> list[str]:
        """The names of the key columns."""
        return [key.name for key in self.keys]

    def schema(self) -> pl.Schema:
        """The columns of a frame of this cube: keys, then measures."""
        columns = {key.name: key.type for key in self.keys}
        for measure in self.measures:
            columns |= measure.schema()
        return pl.Schema(columns)

    def empty(self) -> pl.DataFrame:
        """The identity of `merge`."""
        return pl.DataFrame(schema=self.schema())

    def count(self, records: Records) -> pl.DataFrame:
        """The cube of the records that it is of."""
        return self.add(records.lately(self.of) if self.lately else records[self.of])

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The cube of a frame of records."""
        return self._grouped(rows, [part for measure in self.measures for part in measure.add()])

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One cube of several, as if the jobs of all had been added to one; the order does not matter."""
        if len(frames) == 1:
            return frames[0]
        return self._ordered(pl.concat([self.empty(), *frames]))

    def _ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self._grouped(rows, [part for measure in self.measures for part in measure.merge()])

    def _grouped(self, rows: pl.DataFrame, parts: Sequence[pl.Expr]) -> pl.DataFrame:
        """`parts` of each group of rows with the same keys, in the order of the keys."""
        keys = [pl.col(name).first() for name in self.key_names]
        groups = rows.with_columns(code_of(rows, self.keys)).group_by(_CODE).agg(*keys, *parts).sort(_CODE)
        # Only the few groups become strings.
        groups = groups.with_columns(key.expr.alias(key.name) for key in self.keys)
        return groups.select(self.schema().names()).cast(self.schema())


_CODE = "code of the keys"
_MOST_CODES = 1 << 62


def code_of(rows: pl.DataFrame, keys: Sequence[Field]) -> pl.Series:
    """One integer for the keys of each row, which orders the rows as the keys do, null first and null texts as the
    empty one. To hash and to sort the texts themselves takes many times as long."""
    code, count = pl.zeros(rows.height, pl.Int64, eager=True), 1
    for key in keys:
        column = rows[key.name]
        ranks, different = _text_ranks(column) if key.type == pl.String() else _ranks(column.to_physical())
        if count * different > _MOST_CODES:
            code, count = _dense_ranks(code)
        code, count = code * different + ranks, count * different
    return code.alias(_CODE)


def _text_ranks(texts: pl.Series) -> tuple[pl.Series, int]:
    """Integers from 0 in the order of the texts, and a bound of them."""
    dictionary = texts.dtype
    if not isinstance(dictionary, pl.Enum):
        dictionary = pl.Enum(texts.drop_nulls().unique())
    ordered = pl.concat([pl.Series([""]), dictionary.categories]).unique().sort()
    ranks = ordered.search_sorted(dictionary.categories).cast(pl.Int64)
    return ranks.gather(texts.cast(dictionary).to_physical()).fill_null(0), len(ordered)


def _ranks(values: pl.Series) -> tuple[pl.Series, int]:
    """Integers from 0 in the order of whole numbers, null the first, and a bound of them: at most 2^31."""
    values = values.cast(pl.Int64)
    least, greatest = (bound if isinstance(bound, int) else 0 for bound in (values.min(), values.max()))
    if greatest - least > (1 << 31) - 2:
        return _dense_ranks(values)
    return (values - least + 1).fill_null(0), greatest - least + 2


def _dense_ranks(values: pl.Series) -> tuple[pl.Series, int]:
    """As `_ranks`, without a gap."""
    return values.rank("dense").cast(pl.Int64).fill_null(0), len(values) + 1
