"""Mergeable measures, and the cube that groups them by keys.

The law of every measure, and so of every cube: merging two results gives what adding everything to one would have
given. It holds to the last digit, since nothing here is a floating-point number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from grt_batch.frames.composite_keys import CompositeKeys, begins_of, key_order
from grt_batch.frames.dictionaries import alike, encoded, filled
from grt_batch.schema.records import DerivedField, Field, Job, Record, Records

ENGINE: Final = "in-memory"
"""The engine of polars for frames in memory. The streaming engine, the default of lazy frames, takes half a millisecond
to start, which is six times as long as a small archive takes, and is no faster with large ones."""


@dataclass(frozen=True)
class Count:
    """The number of records, or of those where the boolean field `where` is true."""

    name: str
    where: Field | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are counted."""
        return () if self.where is None else (self.where,)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of this measure, by name."""
        return {self.name: pl.Int64()}

    def add(self) -> list[pl.Expr]:
        """Return the expressions that aggregate the records of a group to these columns."""
        counted = pl.len() if self.where is None else self.where.expr.sum()
        return [counted.cast(pl.Int64).alias(self.name)]

    def merge(self) -> list[pl.Expr]:
        """Return the expressions that merge several rows of these columns to one."""
        return [pl.col(self.name).sum()]


def known_sum(value: pl.Expr) -> pl.Expr:
    """Sum the values that are not null; null where there is none, for which polars says 0. For rows of several columns
    too: `known_sum(pl.col("bytes", "seconds"))`."""
    return pl.when(value.count() > 0).then(value.sum())


@dataclass(frozen=True)
class Sum:
    """The exact sum of an integer field over the records where it is not null, in 128 bits; of a boolean field the
    number of those where it is true, in 64. Null where the field is null in all records: unknown is not 0."""

    name: str
    field: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are measured."""
        return (self.field,)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of this measure, by name."""
        return {self.name: self._type}

    def add(self) -> list[pl.Expr]:
        """Return the expressions that aggregate the records of a group to these columns."""
        return [known_sum(self.field.expr.cast(self._type)).alias(self.name)]

    def merge(self) -> list[pl.Expr]:
        """Return the expressions that merge several rows of these columns to one."""
        return [known_sum(pl.col(self.name))]

    @property
    def _type(self) -> pl.DataType:
        return pl.Int64() if self.field.type == pl.Boolean() else pl.Int128()


@dataclass(frozen=True)
class Squares:
    """The exact sum of the squares of an integer field from 0 to 2^63 - 1 over the records where it is not null; null
    where it is null in all records.

    It may leave 128 bits: a value is high · 2^32 + low, and the sums of high², high · low and low² are kept apart.
    """

    name: str
    field: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are measured."""
        return (self.field,)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of this measure, by name."""
        return {f"{self.name}_{part}": pl.Int128() for part in ("high", "mixed", "low")}

    def add(self) -> list[pl.Expr]:
        """Return the expressions that aggregate the records of a group to these columns."""
        high, low = self.field.expr // (1 << 32), self.field.expr & ((1 << 32) - 1)
        # The square of 32 bits needs the bit of the sign.
        products = (high * high, high * low, low.cast(pl.UInt64) * low.cast(pl.UInt64))
        return [
            known_sum(product.cast(pl.Int128)).alias(name)
            for product, name in zip(products, self.schema(), strict=True)
        ]

    def merge(self) -> list[pl.Expr]:
        """Return the expressions that merge several rows of these columns to one."""
        return [known_sum(pl.col(name)) for name in self.schema()]

    def exact(self, rows: pl.DataFrame) -> list[int | None]:
        """Return the sum in each row, as integers of Python."""
        parts = (rows[name].to_list() for name in self.schema())
        return [
            None if high is None else (high << 64) + (mixed << 33) + low
            for high, mixed, low in zip(*parts, strict=True)
        ]


@dataclass(frozen=True)
class Extent:
    """The least and the greatest value of a field, as `first_` and `last_` of the name; null where all are null."""

    name: str
    field: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are measured."""
        return (self.field,)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of this measure, by name."""
        return {f"first_{self.name}": self.field.type, f"last_{self.name}": self.field.type}

    def add(self) -> list[pl.Expr]:
        """Return the expressions that aggregate the records of a group to these columns."""
        return [
            self.field.expr.min().alias(f"first_{self.name}"),
            self.field.expr.max().alias(f"last_{self.name}"),
        ]

    def merge(self) -> list[pl.Expr]:
        """Return the expressions that merge several rows of these columns to one."""
        return [pl.col(f"first_{self.name}").min(), pl.col(f"last_{self.name}").max()]


Measure = Count | Sum | Squares | Extent


def counted_rows(
    rows: pl.DataFrame, keys: Collection[Field], fields: Iterable[Field], state: str | None
) -> pl.DataFrame:
    """Return the records of jobs in a state, None for any, that have a value for each derived key; with `fields`, which
    the keys are among, and derived fields computed."""
    known = dict.fromkeys(fields)
    derived = [field for field in known if isinstance(field, DerivedField)]
    if state is None and not derived:
        return rows
    # Once the columns are few and the state is compared as a code, a filter takes nearly no time.
    wanted = [key.source.expr.is_not_null() for key in keys if isinstance(key, DerivedField)]
    if state is not None:
        wanted.append(pl.col(Record.state.name) == state)
    columns = (field.derived if isinstance(field, DerivedField) else pl.col(field.name) for field in known)
    left = rows.lazy().filter(*wanted) if wanted else rows.lazy()
    return left.select(columns).collect(engine=ENGINE)


@dataclass(frozen=True)
class Cube:
    """Measures of records of the kind `of`, grouped by `keys`, which may be derived fields.

    A frame of a cube has a row for each combination of keys that occurs, in the order of the keys. Texts are encoded
    (see `grt_batch.frames.dictionaries`) and never null.

    With a `state`, only records of jobs in that state count. A `windowed` cube has the day among its keys and holds
    only the days that a window near the end of an archive can reach (`grt_batch.modules.base.WINDOW_DAYS`), so that it
    stays small however long the history is.
    """

    name: str
    keys: tuple[Field, ...]
    measures: tuple[Measure, ...]
    of: type[Record] = Job
    windowed: bool = False
    state: str | None = None

    @property
    def key_names(self) -> list[str]:
        """The names of the key columns."""
        return [key.name for key in self.keys]

    def schema(self) -> pl.Schema:
        """Return the columns of a frame of this cube: keys, then measures."""
        columns = {key.name: key.type for key in self.keys}
        for measure in self.measures:
            columns |= measure.schema()
        return pl.Schema(columns)

    @property
    def texts(self) -> list[str]:
        """The names of the text columns."""
        return [name for name, kind in self.schema().items() if kind == pl.String()]

    def empty(self) -> pl.DataFrame:
        """Return the cube of no records, the identity of `merge`."""
        texts = dict.fromkeys(self.texts, pl.Enum([]))
        return pl.DataFrame(schema={**self.schema(), **texts})

    def count(self, records: Records) -> dict[str, pl.DataFrame]:
        """Count the records of this cube's kind; return its frame by name, with those of cubes that it is counted
        with."""
        return {self.name: self.add(records.windowed(self.of) if self.windowed else records[self.of])}

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Count a frame of records."""
        rows = counted_rows(rows, self.keys, self._fields, self.state)
        codes = self._codes(rows)
        if codes.values is not None and all(isinstance(m, Count) and m.where is None for m in self.measures):
            return self._counted(codes)
        return self._grouped(rows, [part for measure in self.measures for part in measure.add()], codes)

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Merge cubes to one, as if the jobs of all had been added to it; the order does not matter."""
        if len(frames) < 2:
            return frames[0] if frames else self.empty()
        return self._ordered(pl.concat(alike(frames, self.texts), rechunk=True))

    def typed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `rows` in the columns and types of this cube; their texts are encoded already."""
        texts = set(self.texts)
        return pl.DataFrame(
            [rows[name] if name in texts else rows[name].cast(kind) for name, kind in self.schema().items()]
        )

    @property
    def _fields(self) -> tuple[Field, ...]:
        """The fields that the columns are made of."""
        return (*self.keys, *(field for measure in self.measures for field in measure.fields))

    def _codes(self, rows: pl.DataFrame) -> CompositeKeys:
        return CompositeKeys.of(rows[self.key_names], self.texts)

    def _ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        if all(isinstance(measure, Count) for measure in self.measures):
            return self._added(rows)
        return self._grouped(rows, [part for measure in self.measures for part in measure.merge()])

    def _added(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add up the counts of rows with the same keys."""
        order, begins = key_order(rows, self.key_names)
        groups = rows.select(self.key_names)[order[begins]]
        return self.typed(
            groups.with_columns(
                pl.Series(measure.name, np.add.reduceat(rows[measure.name].to_numpy()[order], begins))
                for measure in self.measures
            )
        )

    def _counted(self, codes: CompositeKeys) -> pl.DataFrame:
        """Count the rows with the same keys. Sorting their codes takes less time than grouping by them."""
        code = np.sort(codes.code)
        begins = begins_of(code)
        n = np.diff(begins, append=len(code))
        counts = [pl.Series(measure.name, n) for measure in self.measures]
        return self.typed(pl.DataFrame([*codes.values_of(code[begins]), *counts]))

    def _grouped(
        self, rows: pl.DataFrame, parts: Sequence[pl.Expr], codes: CompositeKeys | None = None
    ) -> pl.DataFrame:
        """Aggregate the rows with the same keys by `parts`; `codes` are those of the keys, where they are known."""
        codes = codes or self._codes(rows)
        # Lazily, so that only the needed columns are carried along.
        coded = rows.lazy().with_columns(pl.Series(_CODE, codes.code))
        if codes.values is None:
            firsts = [key.expr.first() for key in self.keys]
            groups = coded.group_by(_CODE).agg(*firsts, *parts).sort(_CODE).collect(engine=ENGINE)
            groups = groups.with_columns(encoded(groups[name]) for name in self.texts)
        else:
            groups = coded.group_by(_CODE).agg(parts).sort(_CODE).collect(engine=ENGINE)
            groups = groups.with_columns(codes.values_of(groups[_CODE].to_numpy()))
        return self.typed(groups)


@dataclass(frozen=True, kw_only=True)
class JobRows(Cube):
    """The jobs themselves, by job id, with some of their fields: for a few days this is smaller than a cube."""

    fields: tuple[Field, ...]
    keys: tuple[Field, ...] = (Job.job_id,)
    measures: tuple[Measure, ...] = ()

    def schema(self) -> pl.Schema:
        """Return the columns of a frame: job_id, then the fields."""
        return pl.Schema({field.name: field.type for field in self._fields})

    @property
    def _fields(self) -> tuple[Field, ...]:
        return (*self.keys, *self.fields)

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Take the fields of a frame of jobs."""
        rows, texts = counted_rows(rows, self.keys, self._fields, self.state), set(self.texts)
        rows = pl.DataFrame([filled(rows[name]) if name in texts else rows[name] for name in self.schema()])
        return self.typed(rows.sort(self.key_names))

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return the rows of all frames; no job is in two of them."""
        if len(frames) < 2:
            return frames[0] if frames else self.empty()
        return self.typed(pl.concat(alike(frames, self.texts), rechunk=True).sort(self.key_names))


_CODE = "code of the keys"
