"""The settings of jobs: what their parameters hold, each value by its name."""

from __future__ import annotations

import polars as pl

from grt_batch.schema.records import Leaf, Param


def leaves(params: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `Leaf`, without the fields of their jobs, from those of `Param`."""
    job, name = Leaf.job_id.name, Leaf.name.name
    value = pl.when(~Param.names_data.expr).then(pl.col(Param.value.name))
    rows = params.select(job, name, value.alias(Leaf.value.name), Leaf.names_data.name)
    rows = rows.unique(maintain_order=True, keep="first")
    return rows.with_columns(pl.struct(job, name).is_first_distinct().alias(Leaf.first.name))
