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


Measure = Count | Sum | Extent


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
        # Group by the dictionary's codes; only the few groups become strings.
        groups = rows.group_by(self.key_names).agg(part for measure in self.measures for part in measure.add())
        return self._ordered(groups.with_columns(key.expr.alias(key.name) for key in self.keys))

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """One cube of several, as if the jobs of all had been added to one; the order does not matter."""
        if len(frames) == 1:
            return frames[0]
        return self._ordered(pl.concat([self.empty(), *frames]))

    def _ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        merged = rows.group_by(self.key_names).agg(part for measure in self.measures for part in measure.merge())
        return merged.select(self.schema().names()).cast(self.schema()).sort(self.key_names)
