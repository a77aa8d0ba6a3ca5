"""A cube of bounded size: of a key with too many values in a group it keeps a sample, chosen by hash.

What is kept are the values with the least hashes, a bottom-k sample: E. Cohen, H. Kaplan, "Summarizing data using
bottom-k sketches", PODC 2007. A value with one of the least hashes of all has one of the least wherever it occurs, so
nothing of it is ever dropped: its counts are exact, and the sample of a union follows from the samples of its parts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from grt_batch.joined import Field
from grt_batch.measures import Cube
from grt_batch.texts import filled

HASH = Field("hash", pl.UInt64(), "", "the 64-bit BLAKE2b hash of the sampled text, of its UTF-8")

_HASH_BYTES = 8
_NULL = b"\xff"  # No UTF-8 text has this byte.


@dataclass(frozen=True, kw_only=True)
class SampledCube(Cube):
    """A cube that keeps `most` of the values that its key `sampled`, a text or null, has in a group of `by`.

    Its frames hold one value more where there are more: that one says so, and how many there may be. They have the
    column `hash` too. Where two values share a hash, both are kept or none.
    """

    sampled: Field
    by: tuple[Field, ...]
    most: int

    def schema(self) -> pl.Schema:
        """The columns of a frame of this cube: keys, measures, and the hash of the sampled key."""
        return pl.Schema({**super().schema(), HASH.name: HASH.type})

    def add(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The cube of a frame of records."""
        # Group and choose by the dictionary's codes; only what is kept becomes strings.
        groups = rows.group_by(self.key_names).agg(part for measure in self.measures for part in measure.add())
        hashes = _hashes(groups[self.sampled.name].unique())
        kept = self._least(groups.join(hashes, on=self.sampled.name, nulls_equal=True), self.most + 1)
        texts = (filled(kept[name]) for name in self.texts if name != self.sampled.name)
        return self._ordered(self.typed(kept.with_columns(*texts)))

    def sample(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of at most `most` values in each group."""
        return self._least(frame, self.most)

    def sizes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """For each group of `by` the number of its `values`, null among them, and whether they are `sampled`.

        Of a sample the number is the unbiased estimate (k - 1) / h, where h is the k-th least hash as a fraction of all
        hashes, with a relative standard error of about 1 / sqrt(k): K. Beyer et al., "On synopses for distinct-value
        estimation under multiset operations", SIGMOD 2007.
        """
        fraction = (pl.col(HASH.name).max().cast(pl.Float64) + 1) / 2.0 ** (8 * _HASH_BYTES)
        return frame.group_by(field.name for field in self.by).agg(
            values=pl.when(self._is_sampled())
            .then((self.most / fraction).round().cast(pl.Int64))
            .otherwise(pl.col(self.sampled.name).n_unique().cast(pl.Int64)),
            sampled=self._is_sampled(),
        )

    def _is_sampled(self) -> pl.Expr:
        return pl.col(HASH.name).n_unique() > self.most

    def _least(self, rows: pl.DataFrame, count: int) -> pl.DataFrame:
        """The rows with the `count` least hashes in each group of `by`."""
        by = [field.name for field in self.by]
        # Hardly a group has more rows than that, and a rank is dear.
        many = pl.len().over(by) > count
        rank = pl.col(HASH.name).rank("dense").over(by)
        return pl.concat([rows.filter(~many), rows.filter(many).filter(rank <= count)])

    def _ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        merged = rows.group_by(self.key_names).agg(
            *(part for measure in self.measures for part in measure.merge()), pl.col(HASH.name).first()
        )
        least = self._least(merged, self.most + 1).sort(self.key_names)
        return self.typed(least)


def _hashes(values: pl.Series) -> pl.DataFrame:
    """Different texts, and their hashes: the same in every version, on every machine."""
    texts = values.cast(pl.String).to_list()
    digests = b"".join(
        hashlib.blake2b(_NULL if text is None else text.encode(), digest_size=_HASH_BYTES).digest() for text in texts
    )
    return pl.DataFrame([values, pl.Series(HASH.name, np.frombuffer(digests, "<u8").astype(np.uint64))])
