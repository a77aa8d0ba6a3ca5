"""Tables of integers. Texts are codes into a dictionary that is in order, so that codes compare as the texts do.

The least integer of a column's type stands for null. Frames of polars are made of columns where rows are rendered or
exported, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.columns.texts import NO_TEXT, Texts, at

Array = npt.NDArray[Any]


LOW_BITS = 32
"""A sum is a pair of integers (high, low) that means high · 2^32 + low, with 0 <= low < 2^32: 95 bits and a sign."""


def null_of(array: Array) -> int:
    """Return the integer that stands for null in an array of integers."""
    return -(1 << (8 * array.dtype.itemsize - 1))


def least_of(array: Array) -> int:
    """Return the least integer of an array that is not empty, apart from null; null where all are."""
    null, least = null_of(array), int(array.min())
    if least == null and array.max() != null:
        # Less 1, null is the greatest integer of the type.
        least = int((array - array.dtype.type(1)).min()) + 1
    return least


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of the same length, by name.

    An array is of one of these kinds: signed integers[rows], of any width; sums, int64[rows, 2], see LOW_BITS, null
    where the first of the pair is; and bytes, uint8[rows, n], never null. `texts` has the dictionaries of the columns
    that are codes, int32[rows].
    """

    arrays: Mapping[str, Array]
    texts: Mapping[str, Texts] = field(default_factory=dict)
    made: dict[Hashable, Columns] = field(default_factory=dict, init=False, repr=False)
    """What was made of these columns and may be needed again, by any key."""

    @property
    def height(self) -> int:
        """The number of rows."""
        return next((len(array) for array in self.arrays.values()), 0)

    @property
    def bytes(self) -> int:
        """The bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def select(self, names: Iterable[str]) -> Columns:
        """Return some of the columns, in this order."""
        names = tuple(names)
        return Columns(
            {name: self.arrays[name] for name in names},
            {name: self.texts[name] for name in names if name in self.texts},
        )

    def rows(self, which: Array | slice) -> Columns:
        """Return the rows at these places, or those where a mask is true, or a slice of them, which is a view."""
        if isinstance(which, slice):
            return Columns({name: array[which] for name, array in self.arrays.items()}, self.texts)
        # numpy does this for each column otherwise.
        which = np.flatnonzero(which) if which.dtype == np.bool_ else which.astype(np.intp, copy=False)
        return Columns({name: array.take(which, axis=0) for name, array in self.arrays.items()}, self.texts)

    def extended(self, arrays: Mapping[str, Array], texts: Mapping[str, Texts] | None = None) -> Columns:
        """Return these columns with others added or replaced."""
        known = {name: one for name, one in self.texts.items() if name not in arrays}
        return Columns({**self.arrays, **arrays}, {**known, **(texts or {})})

    def filled(self, names: Collection[str]) -> Columns:
        """Return the columns with the empty text in place of null in those of these names."""
        arrays, texts = {}, {}
        for name in names:
            codes, known = self.arrays[name], self.texts[name]
            if len(codes) and codes.min() == NO_TEXT:
                if not len(known) or known.names[0]:
                    longer = pl.concat([pl.Series([""], dtype=pl.String), known.names])
                    codes, known = codes + np.int32(1), Texts(longer)
                arrays[name], texts[name] = np.where(self.arrays[name] == NO_TEXT, np.int32(0), codes), known
        return self.extended(arrays, texts) if arrays else self

    def own_texts(self) -> Columns:
        """Return the columns with dictionaries of just the texts that occur: a part of a table needs few of them."""
        arrays, texts = {}, {}
        for name, known in self.texts.items():
            used = np.zeros(len(known), np.bool_)
            codes = self.arrays[name]
            used[codes[codes >= 0]] = True
            if not used.all():
                arrays[name] = at((np.cumsum(used) - 1).astype(np.int32), codes) if used.any() else codes
                texts[name] = Texts(known.names.filter(pl.Series(used)))
        return self.extended(arrays, texts) if arrays else self

    @staticmethod
    def concat(parts: Sequence[Columns]) -> Columns:
        """Return the rows of all parts, which have the same columns; there is one part at least."""
        if len(parts) == 1:
            return parts[0]
        arrays, texts = {}, {}
        for name in parts[0].arrays:
            several = [part.arrays[name] for part in parts]
            if name in parts[0].texts:
                texts[name], arrays[name] = Texts.concat([part.texts[name] for part in parts], several)
            else:
                arrays[name] = np.concatenate(several)
        return Columns(arrays, texts)

    def frame(self, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Return a frame of the columns that `types` names, in these types; texts are of the type `pl.Enum`."""
        return pl.DataFrame([self._series(name, kind) for name, kind in types.items()])

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Columns:
        """Return the columns of a frame of integers, booleans, dates, times and texts; of sums too, in 128 bits."""
        arrays, texts = {}, {}
        for series in frame:
            arrays[series.name], known = _array(series)
            if known is not None:
                texts[series.name] = known
        return cls(arrays, texts)

    def _series(self, name: str, kind: pl.DataType) -> pl.Series:
        array = self.arrays[name]
        if name in self.texts:
            texts = self.texts[name]
            return _gathered(texts.names.cast(kind) if isinstance(kind, pl.Enum) else texts.encoded, array).alias(name)
        if isinstance(kind, pl.Enum):
            return _gathered(pl.Series(kind.categories, dtype=kind), array).alias(name)
        if array.dtype == np.uint8:
            return pl.Series(name, [row.tobytes() for row in array], pl.Binary())
        if array.ndim == 2:
            parts = pl.DataFrame({"high": array[:, 0], "low": array[:, 1]})
            high, low = pl.col("high").cast(pl.Int128), pl.col("low")
            known = pl.when(high != null_of(array)).then(high * (1 << LOW_BITS) + low)
            return parts.select(known.alias(name)).to_series()
        nulls = array == null_of(array) if array.dtype != np.bool_ else np.zeros(0, np.bool_)
        series = pl.Series(name, array)
        if nulls.any():
            series = series.set(pl.Series(nulls), None)
        if kind == pl.Date():
            series = series.cast(pl.Int32)
        return series.cast(kind)


def _gathered(texts: pl.Series, codes: Array) -> pl.Series:
    """Return the text of each code, null for null."""
    if not len(texts):
        return pl.Series([None], dtype=texts.dtype).new_from_index(0, len(codes))
    nulls = codes < 0
    # The null of a code is gathered as any text, and then taken away.
    found = texts[pl.Series(np.maximum(codes, 0).astype(np.uint32))]
    return found.set(pl.Series(nulls), None) if nulls.any() else found


def _array(series: pl.Series) -> tuple[Array, Texts | None]:
    """Return the array of a series, and its dictionary if it has one."""
    if series.dtype == pl.String():
        series = series.cast(pl.Enum(series.drop_nulls().unique().sort()))
    if isinstance(series.dtype, pl.Enum):
        names = series.dtype.categories
        # Others are declared in an order of their own: a column of places, without a dictionary.
        texts = Texts(names) if names.is_sorted() else None
        return series.to_physical().cast(pl.Int64).fill_null(NO_TEXT).to_numpy().astype(np.int32), texts
    if series.dtype == pl.Int128():
        value, null = pl.col(series.name), pl.lit(np.iinfo(np.int64).min)
        high, low = value // (1 << LOW_BITS), value % (1 << LOW_BITS)
        parts = series.to_frame().select(high=high.cast(pl.Int64).fill_null(null), low=low.cast(pl.Int64).fill_null(0))
        return np.stack([parts["high"].to_numpy(), parts["low"].to_numpy()], axis=1), None
    if series.dtype == pl.Binary():
        return np.frombuffer(b"".join(series.to_list()), np.uint8).reshape(len(series), -1), None
    if series.dtype == pl.Boolean():
        series = series.cast(pl.Int8)
    array = series.to_physical()
    if not array.null_count():
        return array.to_numpy(), None
    # The kind first: a column may be null throughout.
    found = array.fill_null(0).to_numpy().copy()
    found[array.is_null().to_numpy()] = null_of(found)
    return found, None
