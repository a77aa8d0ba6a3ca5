"""Text columns that are dictionary-encoded in the order of the texts, so that rows are grouped, joined and sorted as
numbers: to do it with the texts themselves takes many times as long."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl


def encoded(column: pl.Series) -> pl.Series:
    """A column of texts with a dictionary of just the texts that occur, in their order."""
    if column.dtype == pl.String():
        return column.cast(pl.Enum(column.unique().drop_nulls().sort()))
    names = categories(column)
    used = np.zeros(len(names), np.bool_)
    used[column.to_physical().drop_nulls().to_numpy()] = True
    if not names.is_sorted():
        return recoded(column, names.filter(pl.Series(used)).sort())
    if used.all():
        return column
    names = names.filter(pl.Series(used))
    return _gathered(column, np.cumsum(used) - 1, pl.Series(names, dtype=pl.Enum(names)))


def with_own_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """A part of a frame, whose dictionaries may hold many times the texts that occur in it, with just these."""
    return frame.with_columns(encoded(column) for column in frame if isinstance(column.dtype, pl.Enum))


def recoded(column: pl.Series, names: pl.Series) -> pl.Series:
    """An encoded column with another dictionary, in order, that has all of its texts."""
    return _recoded(column, names, pl.Series(names, dtype=pl.Enum(names)))


def _recoded(column: pl.Series, names: pl.Series, texts: pl.Series) -> pl.Series:
    """As `recoded`; `texts` are the names, encoded by themselves."""
    before = categories(column)
    if before.equals(names):
        return column
    # A text that does not occur may stand behind all others.
    return _gathered(column, names.search_sorted(before).to_numpy(), texts)


def _gathered(column: pl.Series, places: npt.NDArray[np.integer[Any]], texts: pl.Series) -> pl.Series:
    """A column of `texts`: for each code in the encoded `column` that at its place."""
    codes = pl.Series(np.minimum(places, max(len(texts), 1) - 1).astype(np.uint32))[column.to_physical()]
    return texts_of(codes.alias(column.name), texts)


def texts_of(codes: pl.Series, texts: pl.Series) -> pl.Series:
    """The column of those of `texts` that stand at these places, null for null."""
    if not len(texts):
        return pl.Series(codes.name, [None], texts.dtype).new_from_index(0, len(codes))
    # Not gather, which takes several times as long.
    return texts[codes].alias(codes.name)


def filled(column: pl.Series) -> pl.Series:
    """A column of texts, encoded in their order, with the empty text in place of null."""
    column, names = in_order(column)
    if not column.null_count():
        return column
    if not len(names) or names[0]:
        names = pl.concat([pl.Series([""]), names])
        column = recoded(column, names)
    return column.fill_null("")


def in_order(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """A column of texts, encoded in their order, and the dictionary."""
    column = column if isinstance(column.dtype, pl.Enum) else encoded(column)
    names = categories(column)
    if names.is_sorted():
        return column, names
    names = names.sort()
    return recoded(column, names), names


def categories(column: pl.Series) -> pl.Series:
    """The dictionary of an encoded column."""
    kind = column.dtype
    assert isinstance(kind, pl.Enum)
    return kind.categories


def alike(frames: Sequence[pl.DataFrame], columns: Collection[str]) -> list[pl.DataFrame]:
    """Frames with one dictionary for all encoded columns of the same name, so that they can be put together."""
    found: dict[str, list[pl.Series]] = {}
    for frame in frames:
        for name in frame.columns:
            if name in columns:
                found.setdefault(name, []).append(categories(frame[name]))
    texts = {}
    for name, parts in found.items():
        if not (parts[0].is_sorted() and all(part.equals(parts[0]) for part in parts[1:])):
            names = pl.concat(parts).unique().sort()
            texts[name] = names, pl.Series(names, dtype=pl.Enum(names))
    return [
        frame.with_columns(_recoded(frame[name], *texts[name]) for name in frame.columns if name in texts)
        for frame in frames
    ]
