"""Text columns that are dictionary-encoded in the order of the texts, so that rows are grouped, joined and sorted as
numbers: to do it with the texts themselves takes many times as long."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl


def encoded(column: pl.Series) -> pl.Series:
    """A column of texts with a dictionary of just the texts that occur, in their order."""
    if column.dtype == pl.String():
        return column.cast(pl.Enum(column.unique().drop_nulls().sort()))
    used = column.to_physical().unique().drop_nulls().sort()
    names = categories(column).gather(used).sort()
    return column if names.equals(categories(column)) else recoded(column, names)


def recoded(column: pl.Series, names: pl.Series) -> pl.Series:
    """An encoded column with another dictionary, in order, that has all of its texts."""
    places = names.search_sorted(categories(column))
    # A text that does not occur may stand behind all others.
    places = places.clip(0, max(0, len(names) - 1))
    return decoded(places.gather(column.to_physical()), names).alias(column.name)


def filled(column: pl.Series) -> pl.Series:
    """An encoded column with the empty text in place of null."""
    if not column.null_count():
        return column
    names = pl.concat([categories(column), pl.Series([""])]).unique().sort()
    return recoded(column, names).fill_null("")


def decoded(codes: pl.Series, names: pl.Series) -> pl.Series:
    """The texts that codes stand for, encoded; `names` are in order."""
    return pl.Series(names, dtype=pl.Enum(names)).gather(codes)


def categories(column: pl.Series) -> pl.Series:
    """The dictionary of an encoded column."""
    assert isinstance(column.dtype, pl.Enum)
    return column.dtype.categories


def alike(frames: Sequence[pl.DataFrame], columns: Collection[str]) -> list[pl.DataFrame]:
    """Frames with one dictionary for all encoded columns of the same name, so that they can be put together."""
    found: dict[str, list[pl.Series]] = {}
    for frame in frames:
        for name in frame.columns:
            if name in columns:
                found.setdefault(name, []).append(categories(frame[name]))
    names = {name: pl.concat(parts).unique().sort() for name, parts in found.items()}
    return [
        frame.with_columns(recoded(frame[name], names[name]) for name in frame.columns if name in names)
        for frame in frames
    ]
