"""Rows as JSON, whole columns at a time: ten thousand tools have millions of values, too many to make objects of."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import polars as pl

from grt_batch.schema.figures import significant

_DIGITS = 4
"""Charts and short tables need no more; the tables of the set have all digits."""


_EXACT = 2.0**53
"""Beyond this a double is whole by chance."""


RAW = "json"
"""The end of the name of a column that is JSON already."""


def lists(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return for each key the list of its rows, each a list of the other columns, as JSON in a column `json`. Keys and
    rows stay in order."""
    values = [name for name in rows.columns if name not in key]
    texts = rows.select(*key, *(_text(rows[name]).alias(name) for name in values))
    row = pl.concat_str(pl.lit("["), pl.concat_str(values, separator=","), pl.lit("]"))
    whole = pl.concat_str(pl.lit("["), row.str.join(","), pl.lit("]"))
    return texts.group_by(key, maintain_order=True).agg(whole.alias(RAW))


def _text(values: pl.Series) -> pl.Series:
    """Return each value as JSON."""
    if values.name.endswith(RAW):
        texts = values
    elif values.dtype.is_float():
        texts = _figures(significant(values, _DIGITS))
    elif values.dtype == pl.String:
        different = values.unique().drop_nulls()
        written = [orjson.dumps(text).decode() for text in different]
        texts = values.replace_strict(different, pl.Series(written, dtype=pl.String), return_dtype=pl.String)
    else:
        texts = values.cast(pl.String)
    return texts.fill_null("null")


def _figures(values: pl.Series) -> pl.Series:
    """Return doubles as JSON: without a point where they are whole, which saves a tenth of the bytes, and null where
    JSON has no number for them."""
    value = pl.col(values.name)
    whole = (value == value.floor()) & (value.abs() < _EXACT)
    text = pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(value.cast(pl.String))
    return values.to_frame().select(pl.when(value.is_finite()).then(text)).to_series()
