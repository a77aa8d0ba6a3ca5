"""Rows as JSON objects, whole columns at a time. Numbers have the digits of the tables; what is null is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson
import polars as pl

from grt_batch.schema.tables import Column, Type

JSON = "json"
"""The column with the object, or the list, that stands for a row."""


_TEXTS = (Type.TEXT, Type.JSON, Type.DATE)


_NO_NUMBERS = ("NaN", "inf", "-inf")
"""Numbers that JSON does not have."""


def objects(rows: pl.DataFrame, columns: Iterable[Column], key: Sequence[str], *more: str) -> pl.DataFrame:
    """Return the columns `key`, and an object for each row: of the `columns`, then of `more` that are JSON already."""
    texts = {column.name: as_json(rows[column.name], column) for column in columns}
    texts |= {name: rows[name] for name in more}
    members = [pl.concat_str(pl.lit(f'"{name}":'), pl.col(name)) for name in texts]
    made = pl.DataFrame(texts).select(_braced(pl.concat_str(members, separator=",", ignore_nulls=True)))
    return rows.select(key).with_columns(made[JSON])


def by_name(rows: pl.DataFrame, name: str, key: Sequence[str]) -> pl.DataFrame:
    """Return for each key an object of the objects of its rows, under their texts in the column `name`."""
    names = {text: orjson.dumps(text).decode() for text in rows[name].unique(maintain_order=True)}
    member = pl.concat_str(pl.col(name).replace_strict(names, return_dtype=pl.String), pl.lit(":"), pl.col(JSON))
    return rows.group_by(key, maintain_order=True).agg(_braced(member.str.join(",")))


def lists(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return for each key a list of the objects of its rows."""
    return rows.group_by(key, maintain_order=True).agg(
        pl.concat_str(pl.lit("["), pl.col(JSON).str.join(","), pl.lit("]")).alias(JSON)
    )


def as_json(values: pl.Series, column: Column) -> pl.Series:
    """Return the JSON of each value of a column, which is null for null."""
    if column.type in _TEXTS:
        different = values.unique().drop_nulls()
        written = [orjson.dumps(text).decode() for text in different]
        return values.replace_strict(different, pl.Series(written, dtype=pl.String), return_dtype=pl.String)
    if column.type is Type.TIMESTAMP:
        moments = pl.concat_str(pl.lit('"'), pl.col(values.name).str.replace(" ", "T", literal=True), pl.lit('Z"'))
        return values.to_frame().select(moments).to_series()
    texts = values.cast(pl.String)
    return texts.set(texts.is_in(_NO_NUMBERS), None)


def _braced(members: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit("{"), members, pl.lit("}")).alias(JSON)
