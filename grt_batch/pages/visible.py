"""Which rows of a table readers of the pages see: by the same declarations as the views of `grt_public`.

`grt_batch.sinks.public_views` makes SQL of a visibility, this makes a filter of it; a test holds that both show the
same rows. A table that does not say who may see it has no rows here.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.schema.tables import Shown, Table
from grt_batch.schema.visibility import (
    CountedInstances,
    Evidence,
    FromPublicInstances,
    NotShown,
    OfPublicInstances,
    ShownToAll,
)
from grt_batch.sinks.public_views import EMAIL, Threshold

_INSTANCES = "instance"


_OTHER = "other."


Tables = Mapping[str, tuple[Table, pl.LazyFrame]]
"""All tables of a set by their names, with their rows."""


def visible(table: Table, rows: pl.LazyFrame, tables: Tables, threshold: Threshold) -> pl.LazyFrame:
    """Return what is public of the rows of a table."""
    return _rows(table, rows, tables, threshold).with_columns(_hidden(table, rows.collect_schema()))


def _rows(table: Table, rows: pl.LazyFrame, tables: Tables, threshold: Threshold) -> pl.LazyFrame:
    match table.visibility:
        case NotShown():
            return rows.clear()
        case ShownToAll():
            return rows
        case CountedInstances(enough=False):
            return rows.filter(pl.col("public_instances") > 0)
        case CountedInstances(enough=True):
            enough = (pl.col("jobs") >= threshold.jobs) & (pl.col("instances") >= threshold.instances)
            return rows.filter(enough, pl.col("public_instances") > 0)
        case FromPublicInstances(evidence):
            return _contributed(table, rows, tables, evidence)
        case OfPublicInstances(evidence) if _INSTANCES in tables:
            of_public = rows.filter(pl.col(INSTANCE).is_in(_public(tables)))
            if len(table.key) == 1:
                # There is no row of all instances together.
                return of_public
            of_all = rows.filter(pl.col(INSTANCE) == ALL_INSTANCES)
            shown = _contributed(table, of_all, tables, evidence or Evidence(table.name, "TRUE"))
            return pl.concat([shown, of_public])
    return rows.clear()


def _public(tables: Tables) -> list[str]:
    """Return the ids of the instances that are public."""
    _, rows = tables[_INSTANCES]
    return rows.filter(pl.col("public")).select(INSTANCE).collect()[INSTANCE].to_list()


def _contributed(table: Table, rows: pl.LazyFrame, tables: Tables, evidence: Evidence) -> pl.LazyFrame:
    """Return the rows for which a public instance has a row with the same key in the table of the evidence."""
    if not {_INSTANCES, evidence.table} <= tables.keys():
        return rows.clear()
    key = [name for name in table.key if name != INSTANCE]
    _, others = tables[evidence.table]
    others = others.filter(pl.col(INSTANCE).is_in(_public(tables)))
    if evidence.where != "TRUE":
        others = others.filter(pl.sql_expr(evidence.where.replace(_OTHER, "")))
    return rows.join(others.select(key).unique(), on=key, how="semi", nulls_equal=True, maintain_order="left")


def _hidden(table: Table, schema: pl.Schema) -> list[pl.Expr]:
    """Return the columns of which less is shown."""
    return [
        pl.lit(None, schema[column.name]).alias(column.name)
        if column.shown is Shown.AS_NULL
        else pl.col(column.name).str.replace_all(EMAIL, "[redacted]")
        for column in table.columns
        if column.shown is not Shown.AS_IT_IS and column.name in schema
    ]
