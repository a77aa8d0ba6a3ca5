"""Records made by hand, as the join makes them, and what modules count of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import polars as pl
from build import plain

from grt_batch.aggregate.counting import counted
from grt_batch.columns.columns import Columns
from grt_batch.modules.base import Counted, Module
from grt_batch.schema.records import ROW, Job, Record, Records

Row = Mapping[str, Any]


def records(
    jobs: Iterable[Row], others: Mapping[type[Record], Iterable[Row]] | None = None, since: date | None = None
) -> Records:
    """Jobs, and records that name the place of their job among them as `row`. What is not given is null."""
    tables = {Job: _columns(jobs, {field.name: field.type for field in Job.fields()})}
    of_the_job = {field.name for field in Record.fields()}
    for record, rows in (others or {}).items():
        own = {field.name: field.type for field in record.fields() if field.name not in of_the_job}
        tables[record] = _columns(rows, {ROW: pl.Int32(), **own})
    return Records(tables, since)


def _columns(rows: Iterable[Row], schema: Mapping[str, pl.DataType]) -> Columns:
    return Columns.of(pl.DataFrame(list(rows), schema=schema))


def counted_of(module: Module, of: Records) -> Counted:
    """What a module counts of some records."""
    return dict(zip((cube.name for cube in module.cubes), counted(module.cubes, of), strict=True))


def same(module: Module, one: Counted, other: Counted) -> bool:
    """Whether two summaries say the same: their dictionaries may hold other texts besides."""
    cubes = {cube.name: cube for cube in module.cubes}
    here, there = ({name: plain(cubes[name].frame(rows)) for name, rows in found.items()} for found in (one, other))
    return here.keys() == there.keys() and all(
        table.schema == there[name].schema and table.equals(there[name]) for name, table in here.items()
    )
