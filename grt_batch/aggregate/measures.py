"""Mergeable measures, and the cube that groups them by keys.

The law of every measure, and so of every cube: merging two results gives what adding everything to one would have
given. It holds to the last digit, since nothing here is a floating-point number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import polars as pl

from grt_batch.aggregate.grouping import Groups
from grt_batch.columns.columns import Array, Columns, null_of
from grt_batch.schema.records import WINDOW_DAYS, DerivedField, Field, Job, Record

Arrays = Mapping[str, Array]
"""The columns of a measure, by name, with a row for each group."""


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
        """Return the columns of this measure, by name, and their types in a frame."""
        return {self.name: pl.Int64()}

    def add(self, records: Columns, groups: Groups) -> Arrays:
        """Count the records of each group."""
        if self.where is None:
            return {self.name: groups.sizes}
        return {self.name: groups.added(records[self.where.name] > 0)}

    def merge(self, rows: Columns, groups: Groups) -> Arrays:
        """Merge the rows of each group to one."""
        return {self.name: groups.added(rows[self.name])}


@dataclass(frozen=True)
class Sum:
    """The exact sum of an integer field over the records where it is not null, in 95 bits; of a boolean field the
    number of those where it is true, in 64. Null where the field is null in all records: unknown is not 0."""

    name: str
    field: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are measured."""
        return (self.field,)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of this measure, by name, and their types in a frame."""
        return {self.name: pl.Int64() if self._small else pl.Int128()}

    def add(self, records: Columns, groups: Groups) -> Arrays:
        """Sum the field over the records of each group."""
        return self._typed(groups.summed(records[self.field.name]))

    def merge(self, rows: Columns, groups: Groups) -> Arrays:
        """Merge the rows of each group to one."""
        return self._typed(groups.summed(rows[self.name]))

    @property
    def _small(self) -> bool:
        return self.field.type == pl.Boolean()

    def _typed(self, sums: Array) -> Arrays:
        if not self._small:
            return {self.name: sums}
        high, low = sums[:, 0], sums[:, 1]
        return {self.name: np.where(high == null_of(high), high, low)}


@dataclass(frozen=True)
class Squares:
    """The exact sum of the squares of an integer field from 0 to 2^63 - 1 over the records where it is not null; null
    where it is null in all records.

    It may leave 95 bits: a value is high · 2^32 + low, and the sums of high², high · low and low² are kept apart.
    """

    name: str
    field: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that are measured."""
        return (self.field,)

    def schema(self) -> dict[str, pl.DataType]:
        """Return the columns of this measure, by name, and their types in a frame."""
        return {f"{self.name}_{part}": pl.Int128() for part in ("high", "mixed", "low")}

    def add(self, records: Columns, groups: Groups) -> Arrays:
        """Sum the squares of the field over the records of each group."""
        return dict(zip(self.schema(), groups.squares(records[self.field.name]), strict=True))

    def merge(self, rows: Columns, groups: Groups) -> Arrays:
        """Merge the rows of each group to one."""
        return {name: groups.summed(rows[name]) for name in self.schema()}

    def exact(self, rows: pl.DataFrame) -> list[int | None]:
        """Return the sum in each row of a frame, as integers of Python."""
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
        """Return the columns of this measure, by name, and their types in a frame."""
        return {f"first_{self.name}": self.field.type, f"last_{self.name}": self.field.type}

    def add(self, records: Columns, groups: Groups) -> Arrays:
        """Find the extremes of the field over the records of each group."""
        values = records[self.field.name]
        return dict(zip(self.schema(), groups.extent(values, values), strict=True))

    def merge(self, rows: Columns, groups: Groups) -> Arrays:
        """Merge the rows of each group to one."""
        first, last = self.schema()
        return dict(zip((first, last), groups.extent(rows[first], rows[last]), strict=True))


Measure = Count | Sum | Squares | Extent


def known_sum(value: pl.Expr) -> pl.Expr:
    """Sum the values that are not null; null where there is none, for which polars says 0. For rows of several columns
    too: `known_sum(pl.col("bytes", "seconds"))`."""
    return pl.when(value.count() > 0).then(value.sum())


@dataclass(frozen=True)
class Cube:
    """Measures of records of the kind `of`, grouped by `keys`, which may be derived fields.

    The columns of a cube have a row for each combination of keys that occurs, in the order of the keys. Texts are
    never null: null is the empty text.

    With a `state`, only records of jobs in that state count. A `windowed` cube has the day among its keys and holds
    only the days that a window of `days` near the end of an archive can reach, so that it stays small however long the
    history is.
    """

    name: str
    keys: tuple[Field, ...]
    measures: tuple[Measure, ...]
    of: type[Record] = Job
    windowed: bool = False
    state: str | None = None
    days: int = WINDOW_DAYS

    @property
    def key_names(self) -> list[str]:
        """The names of the key columns."""
        return [key.name for key in self.keys]

    def schema(self) -> pl.Schema:
        """Return the columns of this cube, keys, then measures, and their types in a frame."""
        columns = {key.name: key.type for key in self.keys}
        for measure in self.measures:
            columns |= measure.schema()
        return pl.Schema(columns)

    @property
    def texts(self) -> list[str]:
        """The names of the text columns."""
        return [name for name, kind in self.schema().items() if kind == pl.String()]

    def empty(self) -> Columns:
        """Return the cube of no records, the identity of `merge`."""
        return self._empty

    def frame(self, columns: Columns) -> pl.DataFrame:
        """Return the columns as a frame of the types of `schema`, its texts of the type `pl.Enum`."""
        return columns.frame(self.schema())

    def add(self, records: Columns, since: int | None = None) -> Columns:
        """Count records of this cube's kind; with `since`, only those of jobs that were created on that day or later,
        in days since 1970."""
        rows = self.counted(records, since)
        return self._reduced(rows, lambda measure, groups: measure.add(rows, groups))

    def merge(self, parts: Sequence[Columns]) -> Columns:
        """Merge cubes to one, as if the records of all had been added to it; the order does not matter."""
        parts = [part for part in parts if part.height]
        if len(parts) < 2:
            return parts[0] if parts else self.empty()
        return self.rolled_up(Columns.concat(parts))

    def rolled_up(self, rows: Columns) -> Columns:
        """Merge the rows with the same keys."""
        return self._reduced(rows, lambda measure, groups: measure.merge(rows, groups))

    def counted(self, records: Columns, since: int | None = None) -> Columns:
        """Return the records that count, with the columns that this cube is made of: those of jobs in the state that
        have a value for each derived key. Derived fields are computed, and no text is null."""
        return fields_of(records, self._fields, selected(records, self.keys, self.state, since))

    def _reduced(self, rows: Columns, measured: Callable[[Measure, Groups], Arrays]) -> Columns:
        """Return a row for all rows with the same keys, with what is `measured` of them."""
        groups = Groups.of(rows, self.key_names)
        arrays: dict[str, Array] = {}
        for measure in self.measures:
            arrays |= measured(measure, groups)
        return rows.select(self.key_names).rows(groups.firsts).extended(arrays)

    @cached_property
    def _empty(self) -> Columns:
        return Columns.of(pl.DataFrame(schema=self.schema()))

    @property
    def _fields(self) -> tuple[Field, ...]:
        """The fields that the columns are made of."""
        return (*self.keys, *(field for measure in self.measures for field in measure.fields))


@dataclass(frozen=True, kw_only=True)
class JobRows(Cube):
    """The jobs themselves, by job id, with some of their fields: for a few days this is smaller than a cube."""

    fields: tuple[Field, ...]
    keys: tuple[Field, ...] = (Job.job_id,)
    measures: tuple[Measure, ...] = ()

    def schema(self) -> pl.Schema:
        """Return the columns and their types in a frame: job_id, then the fields."""
        return pl.Schema({field.name: field.type for field in self._fields})

    def add(self, records: Columns, since: int | None = None) -> Columns:
        """Take the fields of jobs."""
        return self._ordered(self.counted(records, since))

    def merge(self, parts: Sequence[Columns]) -> Columns:
        """Return the rows of all parts; no job is in two of them."""
        parts = [part for part in parts if part.height]
        return self._ordered(Columns.concat(parts)) if parts else self.empty()

    @property
    def _fields(self) -> tuple[Field, ...]:
        return (*self.keys, *self.fields)

    def _ordered(self, rows: Columns) -> Columns:
        (ids,) = (rows[name] for name in self.key_names)
        return rows if (ids[1:] >= ids[:-1]).all() else rows.rows(np.argsort(ids, kind="stable"))


def selected(
    records: Columns, keys: Collection[Field], state: str | None = None, since: int | None = None
) -> Array | None:
    """Return the places of the records of jobs in a state, of days from `since` on, that have a value for each derived
    key; None for all."""
    derived = [key for key in keys if isinstance(key, DerivedField) and not key.counts_unknown]
    needed = [key.source.name for key in derived if key.source.type != pl.String()]
    wanted = [records[name] != null_of(records[name]) for name in needed]
    if state is not None:
        states = _column(records, Record.state)
        wanted.append(states[Record.state.name] == states.texts[Record.state.name].code(state))
    if since is not None:
        wanted.append(records[Record.day.name] >= since)
    return np.flatnonzero(reduce(np.logical_and, wanted)) if wanted else None


def fields_of(records: Columns, fields: Iterable[Field], places: Array | None) -> Columns:
    """Return some fields of the records at some places, None for all. Derived fields are computed, and no text is
    null."""
    columns = [_column(records, field) for field in dict.fromkeys(fields)]
    arrays = {name: array for one in columns for name, array in one.arrays.items()}
    found = Columns(arrays, {name: texts for one in columns for name, texts in one.texts.items()})
    return found if places is None else found.rows(places)


def _column(records: Columns, field: Field) -> Columns:
    """Return a field of all records. What has to be made is kept for other cubes."""
    if field not in records.made:
        if isinstance(field, DerivedField):
            found = field.of(_column(records, field.source))
        else:
            found = records.select([field.name])
            found = found.filled([field.name]) if field.type == pl.String() else found
        records.made[field] = found
    return records.made[field]
