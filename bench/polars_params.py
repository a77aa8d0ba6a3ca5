"""Parameters and their values by polars."""

from __future__ import annotations

import polars as pl

from bench.polars_reading import JOB, counts_by_state
from bench.unfolding import MOST_VALUES, unfolded

_IDS = r"^(?:[0-9]{1,18}(?:, ?[0-9]{1,18})*|\[[0-9]{1,18}(?:, ?[0-9]{1,18})*\])$"
_LEAF = {"text": pl.UInt32, "leaf": pl.String, "plain": pl.String, "names_data": pl.Boolean}


def param_tables(lines: pl.DataFrame, jobs: pl.DataFrame, datasets: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """param and param_value."""
    texts = lines.select("name", "value").unique().with_row_index("text")
    found = [(number, *leaf) for number, *text in texts.iter_rows() for leaf in unfolded(*text)]
    leaves = pl.DataFrame(found, schema=_LEAF, orient="row")
    rows = (
        lines.lazy()
        .join(texts.lazy(), on=("name", "value"), nulls_equal=True)
        .join(leaves.lazy(), on="text")
        .select(*JOB, "names_data", name="leaf", value="plain")
        .join(jobs.lazy().select(*JOB, "tool", "family", "state"), on=JOB)
        .with_row_index("row")
        .collect()
    )
    bare = pl.col("row").is_in(_bare_ids(rows, datasets).implode())
    names_data, value = pl.col("names_data") | bare, pl.when(~bare).then(pl.col("value")).fill_null("")
    rows = rows.with_columns(names_data.alias("names_data"), value.alias("value")).drop("row").unique()
    rows = pl.concat([rows, rows.with_columns(tool="family")]).drop("family")
    by = ("tool", "name")
    values = rows.lazy().filter(~pl.col("names_data")).group_by(*by, "value").agg(**counts_by_state()).collect()
    number = pl.len().over(by)
    place = pl.struct(-pl.col("jobs").cast(pl.Int64), "value").rank("ordinal").over(by)
    params = rows.group_by(by).agg(jobs=pl.struct(JOB).n_unique(), naming_datasets=pl.col("names_data").sum())
    params = params.join(values.group_by(by).agg(distinct_values=pl.len()), on=by, how="left")
    popular = values.filter((place <= MOST_VALUES) & ((pl.col("jobs") > 1) | (number <= MOST_VALUES)))
    return {
        "param": params.with_columns(pl.col("distinct_values").fill_null(0)),
        "param_value": popular.with_columns(at_least=pl.lit(value=False)),
    }


def _bare_ids(leaves: pl.DataFrame, datasets: pl.DataFrame) -> pl.Series:
    """The rows whose value is bare ids of inputs of the same job and name: those of `input` are input1, input2, …, and
    the name of a repeat's has a number before each |."""
    ids = pl.col("value").str.extract_all("[0-9]+").cast(pl.List(pl.Int64))
    numbers = leaves.lazy().filter(pl.col("value").str.contains(_IDS)).with_columns(ids=ids)
    place = pl.col("param_name").str.replace_all(r"_[0-9]+\|", "|")
    inputs = datasets.lazy().filter(type="input")
    inputs = pl.concat([inputs, inputs.with_columns(place)]).select(*JOB, "param_name", "dataset_id").unique()
    rows = numbers.join(inputs, on=JOB).filter(pl.col("param_name").str.starts_with(pl.col("name")))
    rest = pl.col("param_name").str.slice(pl.col("name").str.len_chars())
    known = rows.filter(rest.str.contains("^[0-9]*$")).group_by("row").agg(pl.col("ids").first(), pl.col("dataset_id"))
    return known.filter(pl.col("ids").list.set_difference("dataset_id").list.len() == 0).collect()["row"]
