"""A cube of bounded size: of a key with too many values in a group it keeps a sample, chosen by hash.

What is kept are the values with the least hashes, a bottom-k sample: E. Cohen, H. Kaplan, "Summarizing data using
bottom-k sketches", PODC 2007. A value with one of the least hashes of all has one of the least wherever it occurs, so
nothing of it is ever dropped: its counts are exact, and the sample of a union follows from the samples of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from grt_batch.hashing import hashes
from grt_batch.joined import Field
from grt_batch.measures import Cube
from grt_batch.texts import categories, filled

HASH = Field("hash", pl.UInt64(), "", "the 64-bit hash of the sampled text")


@dataclass(frozen=True, kw_only=True)
class SampledCube(Cube):
    """A cube that keeps `most` of the values that its key `sampled`, a text, has in a group of `by`, its first keys.

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
        values = filled(rows[self.sampled.name])
        hash_of_each = pl.Series(HASH.name, hashes(categories(values))).gather(values.to_physical())
        parts = [part for measure in self.measures for part in measure.add()]
        return self._fewer(rows.with_columns(values, hash_of_each), parts)

    def sample(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows of at most `most` values in each group."""
        return self._least(frame, self.most)

    def sizes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """For each group of `by` the number of its `values`, the empty one among them, and whether they are `sampled`.

        Of a sample the number is the unbiased estimate (k - 1) / h, where h is the k-th least hash as a fraction of all
        hashes, with a relative standard error of about 1 / sqrt(k): K. Beyer et al., "On synopses for distinct-value
        estimation under multiset operations", SIGMOD 2007.
        """
        fraction = (pl.col(HASH.name).max().cast(pl.Float64) + 1) / 2.0**64
        return frame.group_by(field.name for field in self.by).agg(
            values=pl.when(self._is_sampled())
            .then((self.most / fraction).round().cast(pl.Int64, strict=False))
            .otherwise(pl.col(self.sampled.name).n_unique().cast(pl.Int64)),
            sampled=self._is_sampled(),
        )

    def _is_sampled(self) -> pl.Expr:
        return pl.col(HASH.name).n_unique() > self.most

    def _ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self._fewer(rows, [part for measure in self.measures for part in measure.merge()])

    def _fewer(self, rows: pl.DataFrame, parts: Sequence[pl.Expr]) -> pl.DataFrame:
        """`parts` of each group of rows with the same keys, of the values that are kept."""
        groups = self._grouped(rows, [*parts, pl.col(HASH.name).first()])
        least = self._least(groups, self.most + 1)
        return groups if least.height == groups.height else self.typed(least)

    def _least(self, rows: pl.DataFrame, count: int) -> pl.DataFrame:
        """The rows with the `count` least hashes in each group of `by`; rows are in the order of the keys, and stay."""
        group = pl.struct(field.name for field in self.by).rle_id()
        sizes = rows.select(group.alias("group"))["group"].value_counts()["count"] if rows.height else pl.Series([0])
        # Hardly ever a group has more rows than that, and a rank is dear.
        most = sizes.max()
        if not isinstance(most, int) or most <= count:
            return rows
        return rows.filter(pl.col(HASH.name).rank("dense").over(group) <= count)
