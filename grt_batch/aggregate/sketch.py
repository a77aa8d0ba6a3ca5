"""Quantiles from counts in logarithmic bins: mergeable, exact to a known error, and the same on every machine.

The idea is that of DDSketch (C. Masson, J. E. Rim, H. K. Lee, "DDSketch: a fast and fully-mergeable quantile sketch
with relative-error guarantees", VLDB 2019), with the bins of an HDR histogram: each power of two is cut into `STEPS`
bins of the same width. So the bin of an integer is its highest bits, found without a logarithm. A value below
2 * STEPS has a bin of its own; any other lies within 1 / (2 * STEPS) of the middle of its bin, less than 0.8 %.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from grt_batch.aggregate.grouping import wide
from grt_batch.columns.columns import Columns
from grt_batch.kernels.constants import BINS, STEP_BITS, STEPS
from grt_batch.schema.records import DerivedField, Field

BIN = Field("bin", pl.Int16(), "", "the logarithmic bin of the value")


class BinField(DerivedField):
    """The logarithmic bin of a field."""

    def of(self, rows: Columns) -> Columns:
        """Return the bins of the source: those of `bin_of`, in less time."""
        from grt_batch.kernels import sketch

        values = wide(rows[self.source.name])
        bins = np.empty(len(values), np.int16)
        sketch.put_bins(values, bins)
        return Columns({self.name: bins})


def bin_field(source: Field) -> DerivedField:
    """Return the logarithmic bin of a field as a key of a cube, whose jobs per bin give `quantiles` of the field."""
    doc = f"the logarithmic bin of {source.name}"
    return BinField(BIN.name, BIN.type, BIN.unit, doc, source=source, derive=bin_of)


def bin_of(value: pl.Expr) -> pl.Expr:
    """Return the bins of integers from 0 to 2^63 - 1, in the order of the values; null for null."""
    # A double has 53 bits. Without its lowest bits a larger integer is not rounded up, perhaps into the next bin.
    held = pl.when(value < 1 << 53).then(value).otherwise(value & -(1 << 10)).cast(pl.Float64)
    # The exponent of a double and the first bits of its fraction are the octave and the step.
    place = held.reinterpret(dtype=pl.Int64) // (1 << (52 - STEP_BITS)) - (1023 + STEP_BITS - 1) * STEPS
    return pl.when(value < STEPS).then(value).otherwise(place).cast(pl.Int16).alias(BIN.name)


def low(bins: pl.Expr) -> pl.Expr:
    """Return the least integer of a bin."""
    return _looked_up(bins, _LOWS[:-1])


def end(bins: pl.Expr) -> pl.Expr:
    """Return the integer after the greatest one of a bin, unsigned: for the very last bin it is 2^63."""
    return _looked_up(bins, _LOWS[1:])


def high(bins: pl.Expr) -> pl.Expr:
    """Return the greatest integer of a bin."""
    return _looked_up(bins, [end - 1 for end in _LOWS[1:]])


def middle(bins: pl.Expr) -> pl.Expr:
    """Return the integer that stands for a bin."""
    return _looked_up(bins, [(low + end - 1) // 2 for low, end in pairwise(_LOWS)])


def coarse_last(bins: pl.Expr, step_bits: int) -> pl.Expr:
    """Return the last bin of the coarse bin that a bin is in."""
    first = coarse_bins(step_bits)
    return _looked_up(bins, [bisect_right(first, place) - 1 for place in first])


def _low(place: int) -> int:
    """Return the least integer of a bin, a small multiple of a power of two."""
    shift = max(0, place // STEPS - 1)
    return (place - shift * STEPS) << shift


_LOWS = [_low(place) for place in range(BINS + 1)]


def coarse_bins(step_bits: int) -> list[int]:
    """Return for each bin the first bin of the coarse bin that it is in, where a power of two has only 2^`step_bits`
    bins."""
    # Below STEPS the bins are those of ever smaller powers of two.
    steps = (place if place < STEPS else STEPS + place % STEPS for place in range(BINS))
    widths = (1 << max(0, step.bit_length() - 1 - step_bits) for step in steps)
    return [place - place % width for place, width in enumerate(widths)]


def coarse_end(low: int, step_bits: int) -> int:
    """Return the integer after the greatest one of the coarse bin that begins with `low`."""
    return low + (1 << max(0, low.bit_length() - 1 - step_bits))


def _looked_up(bins: pl.Expr, table: Sequence[int]) -> pl.Expr:
    """Look up the value of each bin in a table."""
    kind = pl.Int64() if table[-1] < 1 << 63 else pl.UInt64()
    return pl.lit(pl.Series(table, dtype=kind)).gather(bins.cast(pl.UInt32))
