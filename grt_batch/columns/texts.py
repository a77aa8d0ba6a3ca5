"""The dictionary of a column of texts, whose rows are codes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

Codes = npt.NDArray[np.int32]
"""The code of each row: the place of its text in the dictionary, NO_TEXT for null."""


NO_TEXT = int(np.iinfo(np.int32).min)


class Texts:
    """Different texts in order, none of them null. The order is that of their UTF-8, which is that of code points."""

    def __init__(self, names: pl.Series) -> None:
        """Take `names`, which are in order."""
        self.names = names

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Texts:
        """Return the dictionary of some texts, which may repeat."""
        return cls(pl.Series(sorted({text for text in texts if text is not None}), dtype=pl.String))

    @classmethod
    def coded(cls, texts: Sequence[str | None]) -> tuple[Texts, Codes]:
        """Return the dictionary of some texts, which may repeat, and the code of each."""
        names = sorted({text for text in texts if text is not None})
        codes: dict[str | None, int] = dict(zip(names, range(len(names)), strict=True))
        codes[None] = NO_TEXT
        known = cls(pl.Series(names, dtype=pl.String))
        return known, np.fromiter(map(codes.__getitem__, texts), np.int32, len(texts))

    @classmethod
    def united(cls, several: Sequence[Texts]) -> Texts:
        """Return the dictionary of the texts of all."""
        first, *others = several
        if all(other is first or other.names.equals(first.names) for other in others):
            return first
        return cls(pl.concat([one.names for one in several]).unique().sort())

    @classmethod
    def concat(cls, several: Sequence[Texts], codes: Sequence[Codes]) -> tuple[Texts, Codes]:
        """Return the dictionary of the texts of all, and the rows of all, given the codes of each."""
        united, rows = cls.united(several), np.concatenate(codes)
        if united is several[0]:
            return united, rows
        # At once: there may be hundreds of them, with a few rows each.
        places = united.names.search_sorted(pl.concat([one.names for one in several])).to_numpy().astype(np.int32)
        begins = np.cumsum([0, *(len(one) for one in several[:-1])])
        begins = np.repeat(begins.astype(np.int32), [len(some) for some in codes])
        # No text stays less than 0.
        return united, at(places, np.where(rows < 0, rows, rows + begins))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def encoded(self) -> pl.Series:
        """The texts as a series of the type `pl.Enum`, of which rows can be gathered."""
        return pl.Series(self.names, dtype=pl.Enum(self.names))

    def code(self, text: str) -> int:
        """Return the code of a text, -1 where the dictionary does not hold it."""
        place = bisect_left(self._listed, text)
        return place if self._listed[place : place + 1] == [text] else -1

    @cached_property
    def _listed(self) -> list[str]:
        listed: list[str] = self.names.to_list()
        return listed

    def codes_of(self, texts: Sequence[str | None]) -> Codes:
        """Return the codes of some texts, which the dictionary holds."""
        if not len(self.names):
            return np.full(len(texts), NO_TEXT, np.int32)
        places = self.names.search_sorted(pl.Series(texts, dtype=pl.String).fill_null("")).to_numpy().astype(np.int32)
        places[[place for place, text in enumerate(texts) if text is None]] = NO_TEXT
        return places

    def recoded(self, codes: Codes, other: Texts) -> Codes:
        """Return codes into this dictionary as codes into another one, which holds the texts that occur."""
        if other is self or not len(self):
            return codes
        return at(other.names.search_sorted(self.names).to_numpy().astype(np.int32), codes)


def at(values: npt.NDArray[np.int32], codes: Codes) -> Codes:
    """Return the value of each code, NO_TEXT for null."""
    found = values[np.maximum(codes, 0)]
    found[codes < 0] = NO_TEXT
    return found
