"""The parts of a table: rows that are written, published and kept together.

A table with a key that begins with the instance has a part for each instance, and one for all together (`*`). Where it
is kept apart `by_year`, it has one for each of an instance's newest years, for all earlier ones together, and for the
rows without a date. Any other table is a single part. Of more instances than `GROUPS` several share a part: a database
holds locks for each part that it exchanges, and the room for locks is limited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.core.digest import digest
from grt_batch.schema.tables import Table, with_own_texts

GROUPS = 32
"""The most groups of instances."""


YEARS = 3
"""The newest years of a group that are parts of their own."""


@dataclass(frozen=True)
class Group:
    """Instances whose rows of a table share their parts; all instances where none is named."""

    name: str = ""
    instances: tuple[str, ...] = ()


WHOLE = Group()
"""All rows of a table that is not kept apart."""


ALL = "*"
"""The instance_id of rows of all instances together, which are a group of their own."""


def grouped(instances: Iterable[str]) -> list[Group]:
    """Return the groups of these instances: each by itself, as long as there are few. The order does not matter."""
    ids = sorted(instances)
    if len(ids) <= GROUPS:
        return [Group(instance_id, (instance_id,)) for instance_id in ids]
    numbered: dict[int, list[str]] = {}
    for instance_id in ids:
        numbered.setdefault(int(digest(instance_id)[:8], 16) % GROUPS, []).append(instance_id)
    return [Group(f"{number} of {GROUPS}", tuple(numbered[number])) for number in sorted(numbered)]


@dataclass(frozen=True)
class Years:
    """The rows with a date from the year `begin` on, where that is given, and before the year `end`; without either,
    those whose date is null."""

    begin: int | None = None
    end: int | None = None

    @property
    def place(self) -> int:
        """Return what puts the years of an instance in the order of the rows: null comes first."""
        return self.end or 0


def cut(table: Table, rows: pl.DataFrame) -> Iterator[tuple[Years | None, pl.DataFrame]]:
    """Yield the rows of a group, which are in the order of the table, part by part."""
    if not table.by_year:
        yield None, rows
        return
    year = rows[table.by_year].dt.year()
    newest = year.drop_nulls().unique().sort().tail(YEARS).to_list()
    spans = [Years(), *(Years(None, first) for first in newest[:1]), *(Years(first, first + 1) for first in newest)]
    for years in spans:
        if years.end is None:
            part = rows.filter(year.is_null())
        else:
            part = rows.filter((year >= (years.begin or year.min())) & (year < years.end))
        if part.height:
            yield years, part


def by_group(table: Table, rows: pl.DataFrame) -> Iterator[tuple[Group, pl.DataFrame]]:
    """Yield the rows of a table, which are in its order, by group; all at once, even none, if it is not kept apart."""
    if not table.by_instance:
        yield WHOLE, rows
        return
    found = dict(by_instance(table, rows))
    everywhere = [Group(ALL, (ALL,))] if ALL in found else []
    for group in (*everywhere, *grouped(found.keys() - {ALL})):
        yield group, pl.concat([found[instance_id] for instance_id in group.instances])


def by_instance(table: Table, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of a part that are next to each other in the table: those of each instance. The rows of a table
    that is not kept apart are all next to each other, and of the instance "".
    """
    if not table.by_instance:
        yield "", rows
        return
    begin = 0
    for length, instance_id in rows[table.key[0]].rle().struct.unnest().iter_rows():
        yield instance_id, rows[begin : begin + length]
        begin += length


def rows_digest(rows: pl.DataFrame) -> str:
    """Return a digest of rows in their order; texts count as they are, however they are encoded."""
    found = hashlib.sha256()
    for column in rows.get_columns():
        for content in _content(column):
            found.update(content)
    return found.hexdigest()


def _content(column: pl.Series) -> Iterator[Any]:
    nulls = column.is_null()
    yield f"{column.name} {len(column)} {nulls.sum()}".encode()
    if nulls.any():
        yield np.packbits(nulls.to_numpy())
    known = column.drop_nulls()
    match column.dtype:
        case pl.Enum():
            yield from _coded(known)
        case pl.String():
            yield from _texts(known)
        case pl.Int128():
            small = known.cast(pl.Int64, strict=False)
            yield from _texts(known.cast(pl.String)) if small.null_count() else [_array(small)]
        case _:
            yield _array(known.to_physical())


def _coded(known: pl.Series) -> Iterator[Any]:
    """Yield the texts that occur, and which of them each row has: other texts of the dictionary do not matter."""
    own = with_own_texts(known)
    assert isinstance(own.dtype, pl.Enum)
    yield from _texts(own.dtype.categories)
    yield _array(own.to_physical())


def _texts(texts: pl.Series) -> Iterator[Any]:
    yield _array(texts.str.len_bytes())
    yield "".join(texts.to_list()).encode()


def _array(known: pl.Series) -> npt.NDArray[Any]:
    return np.ascontiguousarray(known.to_numpy())
