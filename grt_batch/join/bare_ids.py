"""Finds values that are the bare ids of datasets: they only name data."""

from __future__ import annotations

from collections.abc import Iterable, Set

import polars as pl

from grt_batch.frames.dictionaries import categories
from grt_batch.schema.records import Dataset, Param

_ID = "(?:0|[1-9][0-9]{0,17})"


_IDS = f"^(?:{_ID}(?:, ?{_ID})*|\\[{_ID}(?:, ?{_ID})*\\])$"
"""A bare dataset id as the value of a parameter, or several."""


def bare_ids(frame: pl.DataFrame, inputs: pl.DataFrame) -> pl.Series:
    """Return which values in a frame of parameters are the ids of `inputs` of the same job and name.

    Galaxy numbers the datasets of a multiple parameter: those of `input` are called input1, input2 and so on.
    """
    value, name, job = Param.value.name, Param.name.name, Param.job_id.name
    nothing = pl.repeat(False, frame.height, dtype=pl.Boolean, eager=True).alias(Param.names_data.name)
    stems = _stems(categories(inputs[Dataset.param_name.name]), set(categories(frame[name])))
    named = categories(frame[name]).is_in(stems[name].implode())
    numbers = categories(frame[value]).str.contains(_IDS)
    bare = _flagged(frame[name], named) & _flagged(frame[value], numbers)
    if not bare.any():
        return nothing
    candidates = (
        frame.with_row_index("place")
        .filter(bare)
        .select("place", job, pl.col(name).cast(pl.String), pl.col(value).cast(pl.String).str.extract_all("[0-9]+"))
        .explode(value)
        .with_columns(pl.col(value).cast(pl.Int64))
    )
    known = inputs.filter(pl.col(Dataset.type.name) == "input").select(
        job, pl.col(Dataset.dataset_id.name).alias(value), pl.col(Dataset.param_name.name).alias("input")
    )
    # Semi joins do not multiply rows: a job may have many parameters and inputs of one id.
    known = known.join(candidates, on=[job, value], how="semi").with_columns(pl.col("input").cast(pl.String))
    found = candidates.join(known.join(stems, on="input"), on=[job, value, name], how="semi")
    found = found.select("place", value).unique()
    whole = candidates.select("place", value).unique().group_by("place").len("wanted")
    whole = whole.join(found.group_by("place").len("found"), on="place").filter(pl.col("wanted") == pl.col("found"))
    return nothing.scatter(whole["place"], True) if whole.height else nothing


def _stems(inputs: Iterable[str], names: Set[str]) -> pl.DataFrame:
    """Return pairs of an input and a name among `names` that equals it without some of its last digits, or with all."""
    rows = []
    for text in inputs:
        digits = len(text) - len(text.rstrip("0123456789"))
        ends = range(len(text) - digits, len(text) + 1)
        rows += [(text, text[:end]) for end in ends if text[:end] in names]
    return pl.DataFrame(rows, schema={"input": pl.String, Param.name.name: pl.String}, orient="row")


def _flagged(texts: pl.Series, flags: pl.Series) -> pl.Series:
    """Return the flag that each encoded text has in its dictionary; null has none."""
    return flags[texts.to_physical()].fill_null(False)
