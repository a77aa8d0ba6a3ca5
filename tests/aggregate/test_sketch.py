"""The sketch against exact order statistics, over integers of every size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.sketch import (
    BIN,
    bin_of,
    coarse_bins,
    coarse_end,
    coarse_last,
    end,
    high,
    low,
    middle,
)
from grt_batch.kernels.constants import BINS, STEP_BITS, STEPS

LAST = 2**63 - 1
POWERS = [1 << bit for bit in range(63)]
EDGES = sorted({0, LAST, *(max(0, power + offset) for power in POWERS for offset in (-1, 0, 1))})
"""Where a bin, an octave, or what a double holds exactly begins or ends."""

VALUES = st.one_of(
    st.sampled_from(EDGES),
    st.integers(0, 3 * STEPS),
    st.integers(0, LAST),
    # As many of each size: most integers to 2^63 are of the last octaves.
    st.integers(0, 63).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)),
)
PERCENTS = (1, 25, 50, 75, 90, 95, 99, 100)


def bins_of(values: Sequence[int | None]) -> list[int | None]:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Int64})
    return frame.select(bin_of(pl.col("value")))[BIN.name].to_list()


@cache
def every_bin() -> pl.DataFrame:
    """A row a bin, with what there is to know of it."""
    frame = pl.DataFrame({BIN.name: range(BINS)}, schema={BIN.name: BIN.type})
    column = pl.col(BIN.name)
    return frame.with_columns(low=low(column), high=high(column), middle=middle(column), end=end(column))


def exact(values: Sequence[int], percent: int) -> int:
    """The order statistic by its definition."""
    return sorted(values)[-(-percent * len(values) // 100) - 1]


@examples(300)
@given(value=VALUES)
def test_a_bin_is_the_highest_bits_of_a_value(value: int) -> None:
    shift = max(0, value.bit_length() - 1 - STEP_BITS)
    assert bins_of([value]) == [shift * STEPS + (value >> shift)]


@examples(200)
@given(values=st.lists(VALUES, min_size=2))
def test_bins_rise_with_their_values(values: list[int]) -> None:
    bins = [number for number in bins_of(sorted(values)) if number is not None]
    assert bins == sorted(bins)
    assert bins[0] >= 0
    assert bins[-1] < BINS


def test_the_bin_of_null_is_null() -> None:
    assert bins_of([None, 0, None]) == [None, 0, None]
    assert bins_of([]) == []


def test_the_bins_are_all_integers_once_and_have_their_type() -> None:
    frame = every_bin()
    assert frame["low"][0] == 0
    assert frame["end"].to_list() == [*frame["low"].to_list()[1:], 2**63]
    assert frame.select((pl.col("high").cast(pl.UInt64) + 1 == pl.col("end")).all()).item()
    assert frame.select(bin_of(pl.col("low")))[BIN.name].equals(frame[BIN.name])
    assert frame.select(bin_of(pl.col("high")))[BIN.name].equals(frame[BIN.name])


def test_a_value_below_twice_the_steps_has_a_bin_of_its_own() -> None:
    assert every_bin().head(2 * STEPS).filter(pl.col("low") != pl.col("high")).is_empty()


@examples(300)
@given(value=VALUES)
def test_a_value_lies_in_its_bin_and_near_the_middle_of_it(value: int) -> None:
    row = every_bin().row(bins_of([value])[0] or 0, named=True)
    assert row["low"] <= value <= row["high"] < row["end"]
    assert abs(row["middle"] - value) * 2 * STEPS <= value


@pytest.mark.parametrize("step_bits", range(STEP_BITS + 1))
def test_coarse_bins_are_whole_bins_that_touch(step_bits: int) -> None:
    column = pl.col(BIN.name)
    frame = every_bin().with_columns(
        first=pl.Series(coarse_bins(step_bits), dtype=BIN.type),
        last=coarse_last(column, step_bits),
        size=pl.col("end") - pl.col("low"),
    )
    assert frame.select((pl.col("first") <= column).all() & (column <= pl.col("last")).all()).item()
    coarser = frame.group_by("first", "last", maintain_order=True).agg(pl.col(BIN.name), pl.col("size").sum())
    for row in coarser.iter_rows(named=True):
        assert row[BIN.name] == list(range(row["first"], row["last"] + 1))
    assert all(one["last"] + 1 == other["first"] for one, other in pairwise(coarser.iter_rows(named=True)))
    # Every power of two with so many values is cut into so many bins of one size.
    lows = every_bin()["low"].gather(coarser["first"]).to_list()
    sizes = dict(zip(lows, coarser["size"], strict=True))
    assert [coarse_end(begin, step_bits) for begin in lows] == [begin + sizes[begin] for begin in lows]
    for power in POWERS[step_bits:]:
        inside = [size for begin, size in sizes.items() if power <= begin < 2 * power]
        assert inside == [power >> step_bits] * (1 << step_bits)


def test_all_steps_are_as_coarse_as_can_be() -> None:
    column = pl.col(BIN.name)
    frame = every_bin().select(
        column, first=pl.Series(coarse_bins(STEP_BITS), dtype=BIN.type), last=coarse_last(column, STEP_BITS)
    )
    assert frame["first"].equals(frame[BIN.name], check_names=False)
    assert frame["last"].equals(frame[BIN.name], check_names=False)
