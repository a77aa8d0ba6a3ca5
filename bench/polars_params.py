"""Parameters and their values by polars, which has no expressions for JSON of any form: a Python function unwraps the
distinct values.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import polars as pl

from bench.polars_reading import JOB, counts_by_state

_MOST_VALUES = 1000
_LONGEST = 1024
_IDS, _DIGITS = r"^\[?[0-9]{1,18}(, ?[0-9]{1,18})*\]?$", "0123456789"


def param_tables(lines: pl.DataFrame, jobs: pl.DataFrame, datasets: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """param and param_value."""
    texts = lines.select("name", "value").unique()
    found = [_unwrapped(name, text) for name, text in texts.iter_rows()]
    schema = {"plain": pl.String, "names_data": pl.Boolean}
    texts = texts.hstack(pl.DataFrame(found, schema=schema, orient="row"))
    rows = (
        lines.lazy()
        .join(jobs.lazy().select(*JOB, "tool", "state"), on=JOB)
        .join(texts.lazy(), on=("name", "value"), nulls_equal=True)
        .select("tool", "state", "name", *JOB, "names_data", value=pl.col("plain").fill_null(""))
        .with_row_index("row")
        .collect()
    )
    bare = _bare_ids(rows, datasets)
    rows = rows.with_columns(names_data=pl.col("names_data") | pl.col("row").is_in(bare.implode()))
    by = ("tool", "name")
    values = rows.lazy().filter(~pl.col("names_data")).group_by(*by, "value").agg(**counts_by_state()).collect()
    different = pl.col("values").fill_null(0)
    params = rows.group_by(by).agg(jobs=pl.len(), naming_datasets=pl.col("names_data").sum())
    params = params.join(values.group_by(by).agg(values=pl.len()), on=by, how="left")
    least = pl.col("value").hash(1).rank("ordinal").over(by) <= _MOST_VALUES
    return {
        "param": params.with_columns(different, sampled=different > _MOST_VALUES),
        "param_value": values.filter(least),
    }


def _bare_ids(params: pl.DataFrame, datasets: pl.DataFrame) -> pl.Series:
    """The rows whose value is bare ids of inputs of the same job and name: those of `input` are input1, input2, …"""
    ids = pl.col("value").str.extract_all("[0-9]+").cast(pl.List(pl.Int64))
    stem, input_stem = (pl.col(name).str.strip_chars_end(_DIGITS) for name in ("name", "param_name"))
    numbers = params.lazy().filter(pl.col("value").str.contains(_IDS)).with_columns(stem=stem, ids=ids)
    inputs = datasets.lazy().filter(type="input").select(*JOB, "param_name", "dataset_id", stem=input_stem)
    rows = numbers.join(inputs, on=(*JOB, "stem")).filter(pl.col("param_name").str.starts_with(pl.col("name")))
    known = rows.group_by("row").agg(pl.col("ids").first(), pl.col("dataset_id"))
    return known.filter(pl.col("ids").list.set_difference("dataset_id").list.len() == 0).collect()["row"]


def _unwrapped(name: str, text: str | None) -> tuple[str, bool]:
    """Return the value inside all the JSON around it, empty for null, and whether it only names datasets."""
    if text == '"null"':
        return "[redacted]", False
    value: Any = None if text == "null" else text
    while True:
        if isinstance(value, str) and value.startswith(('"', "{", "[")):
            try:
                value = orjson.loads(value)
            except ValueError:
                break
        elif isinstance(value, dict) and value.keys() == {name}:
            value = None if value[name] == "null" else value[name]
        else:
            break
    if value is None:
        return "", False
    plain = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if len(plain) > _LONGEST:
        plain = f"{plain[: _LONGEST - 19]}…{hashlib.sha256(plain.encode()).hexdigest()[:16]}"
    listed = value["values"] if isinstance(value, dict) and value.keys() == {"values"} else value
    references = listed if isinstance(listed, list) else [listed]
    return plain, all(isinstance(item, dict) and {"id", "src"} <= item.keys() for item in references)
