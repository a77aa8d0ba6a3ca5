"""A cube of bounded size: where a key has too many values in a group, it keeps a sample of them, chosen by hash.

The sample holds the values with the least hashes, a bottom-k sample: E. Cohen, H. Kaplan, "Summarizing data using
bottom-k sketches", PODC 2007. A value with one of the least hashes of all has one of the least wherever it occurs, so
nothing of it is ever dropped: its counts are exact, and the sample of a union follows from the samples of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.aggregate.text_hash import hashes
from grt_batch.frames.composite_keys import key_order
from grt_batch.frames.dictionaries import categories
from grt_batch.schema.records import Field


@dataclass(frozen=True, kw_only=True)
class BottomKCube(Cube):
    """A cube that keeps at most `most` values of its key `sampled`, a text, in each group of its first keys, `by`.

    Its frames hold one value more where there are more: that one says so, and how many there may be. Where two values
    share a hash, both are kept or none.
    """

    sampled: Field
    by: tuple[Field, ...]
    most: int

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Count a frame of records."""
        return self._fewer(super().add(rows))

    def merge(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Merge cubes to one, as if the jobs of all had been added to it; the order does not matter."""
        return self._fewer(super().merge(frames))

    def sample(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of at most `most` values in each group."""
        return self._least(frame, self.most)

    def sizes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return for each group of `by` the number of distinct `values`, the empty one included, and whether they are
        `sampled`.

        Of a sample the number is the unbiased estimate (k - 1) / h, where h is the k-th least hash as a fraction of all
        hashes, with a relative standard error of about 1 / sqrt(k): K. Beyer et al., "On synopses for distinct-value
        estimation under multiset operations", SIGMOD 2007.
        """
        hashed = frame.with_columns(self._hashes(frame))
        fraction = (pl.col(_HASH).max().cast(pl.Float64) + 1) / 2.0**64
        sampled = pl.col(_HASH).n_unique() > self.most
        return hashed.group_by(field.name for field in self.by).agg(
            values=pl.when(sampled)
            .then((self.most / fraction).round().cast(pl.Int64, strict=False))
            .otherwise(pl.col(self.sampled.name).n_unique().cast(pl.Int64)),
            sampled=sampled,
        )

    def _fewer(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of the values that are kept."""
        least = self._least(frame, self.most + 1)
        return frame if least.height == frame.height else self.typed(least)

    def _least(self, frame: pl.DataFrame, count: int) -> pl.DataFrame:
        """Return the rows with the `count` least hashes in each group of `by`, in their order, which is that of the
        keys."""
        _, begins = key_order(frame, [field.name for field in self.by])
        sizes = np.diff(begins, append=frame.height)
        large = np.flatnonzero(sizes > count)
        if not len(large):
            return frame
        found, kept = self._hashes(frame).to_numpy(), np.ones(frame.height, np.bool_)
        for begin, size in zip(begins[large], sizes[large], strict=True):
            of_group = found[begin : begin + size]
            kept[begin : begin + size] = of_group <= np.unique(of_group)[:count][-1]
        return frame.filter(kept)

    def _hashes(self, frame: pl.DataFrame) -> pl.Series:
        """Return the hash of the sampled key in each row."""
        values = frame[self.sampled.name]
        return pl.Series(_HASH, hashes(categories(values)))[values.to_physical()]


_HASH = "hash of the sampled key"
