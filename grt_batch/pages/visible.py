"""Which rows of a table readers of the pages see: by the same declarations as the views of `grt_public`.

`grt_batch.sinks.public_views` makes SQL of a visibility, this makes a filter of it; a test holds that both show the
same rows. A table that does not say who may see it has no rows here.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.schema.tables import Shown, Table
from grt_batch.schema.visibility import (
    CountedInstances,
    Evidence,
    FromPublicInstances,
    OfPublicInstances,
    ShownToAll,
)
from grt_batch.sinks.public_views import EMAIL, Threshold

PUBLIC = "public"
"""The column of the table of instances that all visibility rests on."""


_OTHER = "other."


def evidence_of(table: Table) -> Evidence | None:
    """Return what shows that a public instance contributed to a row of all instances, None where there is no such row
    or nothing of the kind is asked for."""
    match table.visibility:
        case FromPublicInstances(evidence):
            return evidence
        case OfPublicInstances(evidence) if table.by_instance:
            return evidence or Evidence(table.name, "TRUE")
    return None


def condition(evidence: Evidence) -> pl.Expr:
    """Return which rows of the table of an evidence count."""
    return pl.sql_expr(evidence.where.replace(_OTHER, ""))


def visible(table: Table, rows: pl.LazyFrame, public: Collection[str], threshold: Threshold) -> pl.LazyFrame:
    """Return what is public of the rows of a table, `public` being the ids of the public instances. Of rows with an
    evidence, see `evidence_of`, only those are that the evidence shows."""
    return _rows(table, rows, public, threshold).with_columns(_hidden(table, rows.collect_schema()))


def _rows(table: Table, rows: pl.LazyFrame, public: Collection[str], threshold: Threshold) -> pl.LazyFrame:
    match table.visibility:
        case ShownToAll() | FromPublicInstances():
            return rows
        case CountedInstances(enough=False):
            return rows.filter(pl.col("public_instances") > 0)
        case CountedInstances(enough=True):
            enough = (pl.col("jobs") >= threshold.jobs) & (pl.col("instances") >= threshold.instances)
            return rows.filter(enough, pl.col("public_instances") > 0)
        case OfPublicInstances():
            of_all = [ALL_INSTANCES] if table.by_instance else []
            return rows.filter(pl.col(INSTANCE).is_in([*public, *of_all]))
    return rows.clear()


def _hidden(table: Table, schema: pl.Schema) -> list[pl.Expr]:
    """Return the columns of which less is shown."""
    return [
        pl.lit(None, schema[column.name]).alias(column.name)
        if column.shown is Shown.AS_NULL
        else pl.col(column.name).str.replace_all(EMAIL, "[redacted]")
        for column in table.columns
        if column.shown is not Shown.AS_IT_IS and column.name in schema
    ]
