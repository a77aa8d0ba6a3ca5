"""The tally of values by group against plain Python's integers, and its bins against those of the sketch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import polars as pl
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.aggregate.sketch import BIN, bin_of
from grt_batch.kernels.constants import BINS, STEP_BITS, STEPS
from grt_batch.kernels.sketch import put_bins, put_ratios, put_rounded, tally
from grt_batch.schema.members import NULL

LAST = 2**63 - 1
POWERS = [1 << bit for bit in range(63)]
BIN_ENDS = [power + step * (power >> STEP_BITS) for power in POWERS if power >= STEPS for step in range(STEPS)]
EDGES = sorted(
    {
        0,
        LAST,
        LAST - 1,
        *range(3 * STEPS),
        *(max(0, power + offset) for power in POWERS for offset in (-1, 0, 1)),
        *(edge + offset for edge in BIN_ENDS for offset in (-1, 0, 1)),
        # What a double rounds, up and down.
        *(power - (1 << bit) + offset for power in POWERS[54:] for bit in range(12) for offset in (-1, 0, 1)),
    }
)
VALUE = st.one_of(
    st.just(NULL),
    st.sampled_from([0, LAST, 2**31, 2**32 - 1, 2**32, 2**53, 2**62]),
    st.sampled_from(EDGES),
    st.integers(0, 3 * STEPS),
    st.integers(0, LAST),
    st.integers(0, 63).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)),
)
Groups = list[list[int]]


@dataclass(frozen=True)
class One:
    """The tally of one series."""

    n: Any
    least: Any
    greatest: Any
    sums: Any
    group: Any
    bin: Any
    count: Any


def tallied(groups: Groups) -> One:
    """The tally of these groups, whose rows are in any order: that of the second of three series."""
    begins = np.array([0, *accumulate(map(len, groups))], np.int64)
    values = np.array([value for group in groups for value in group], np.int64)
    order = np.random.default_rng(len(values)).permutation(len(values)).astype(np.int32)
    given = np.empty_like(values)
    given[order] = values
    before = given.copy()
    found = tally(order, begins, [np.full_like(given, 7), given, np.full_like(given, NULL)])
    assert (given == before).all()
    assert found.n.shape == found.least.shape == found.greatest.shape == (3, len(groups))
    assert found.n[0].tolist() == [len(group) for group in groups]
    assert not found.n[2].any()
    assert found.sums.shape == (3, len(groups), 4, 2)
    assert ((found.sums[..., 1] >= 0) & (found.sums[..., 1] < 2**32)).all()
    filled = sum(1 for group in groups if group)
    assert found.ends[:2].tolist() == [0, filled]
    assert found.ends[2] == found.ends[3] == len(found.group) == len(found.bin) == len(found.count)
    assert found.bin[:filled].tolist() == [7] * filled
    assert (found.group.dtype, found.bin.dtype, found.count.dtype) == (np.int32, np.int16, np.int64)
    bins = (part[found.ends[1] : found.ends[2]] for part in (found.group, found.bin, found.count))
    return One(found.n[1], found.least[1], found.greatest[1], found.sums[1], *bins)


RATIOS = st.lists(st.tuples(*[st.just(NULL) | st.integers(0, 100) | st.integers(0, LAST)] * 2), max_size=20)


@examples(200)
@given(pairs=RATIOS, more=st.sampled_from([1.0, 100.0]), less=st.sampled_from([1.0, 1e9]))
def test_a_ratio_is_one_division_and_is_rounded_half_to_even(
    pairs: list[tuple[int, int]], more: float, less: float
) -> None:
    used, given = (np.array([pair[place] for pair in pairs], np.int64) for place in range(2))
    ratios, values = np.empty(len(pairs)), np.empty(len(pairs), np.int64)
    least, greatest = put_ratios(used, more, given, less, ratios)
    expected = [float(one) * more / (float(all_) * less) if one != NULL and all_ > 0 else None for one, all_ in pairs]
    assert [None if np.isnan(ratio) else ratio for ratio in ratios.tolist()] == expected
    known = [ratio for ratio in expected if ratio is not None]
    assert (least, greatest) == (min(known, default=np.inf), max(known, default=-np.inf))
    put_rounded(ratios, 0.5, 1000.0, 10.0, values)
    inside = [ratio is not None and 0.5 <= ratio < 1000 for ratio in expected]
    assert values.tolist() == [
        round((ratio or 0) * 10.0) if kept else NULL for ratio, kept in zip(expected, inside, strict=True)
    ]


@examples(100)
@given(values=st.lists(VALUE, max_size=20))
def test_bins_are_those_of_the_sketch(values: list[int]) -> None:
    bins = np.empty(len(values), np.int16)
    put_bins(np.array(values, np.int64), bins)
    expected = iter(bins_of(known(values)))
    assert bins.tolist() == [-(2**15) if value == NULL else next(expected) for value in values]


def known(group: list[int]) -> list[int]:
    return [value for value in group if value != NULL]


def bins_of(values: list[int]) -> list[int]:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Int64})
    return frame.select(bin_of(pl.col("value")))[BIN.name].to_list()


def parts(found: One, group: int) -> list[int]:
    """The four exact sums of a group: of the values, and of high², high · low and low²."""
    return [(int(high) << 32) + int(low) for high, low in found.sums[group]]


@examples(300)
@given(groups=st.lists(st.lists(VALUE, max_size=12), max_size=6))
@example(groups=[])
@example(groups=[[]])
@example(groups=[[NULL], [], [0], [NULL, NULL]])
@example(groups=[[LAST] * 50, [2**32 - 1] * 50])
def test_a_tally_is_what_python_counts_and_sums(groups: Groups) -> None:
    found = tallied(groups)
    for i, group in enumerate(groups):
        values = known(group)
        assert found.n[i] == len(values)
        assert found.least[i] == min(values, default=0)
        assert found.greatest[i] == max(values, default=0)
        total, high, mixed, low = parts(found, i)
        assert total == sum(values)
        assert high == sum((value >> 32) ** 2 for value in values)
        assert mixed == sum((value >> 32) * (value & 0xFFFFFFFF) for value in values)
        assert low == sum((value & 0xFFFFFFFF) ** 2 for value in values)
        assert (high << 64) + (mixed << 33) + low == sum(value**2 for value in values)


@examples(200)
@given(groups=st.lists(st.lists(VALUE, max_size=12), max_size=6))
def test_the_bins_are_counted_by_rising_group_and_bin(groups: Groups) -> None:
    found = tallied(groups)
    counts = Counter((i, place) for i, group in enumerate(groups) for place in bins_of(known(group)))
    rows = list(zip(found.group.tolist(), found.bin.tolist(), found.count.tolist(), strict=True))
    assert rows == [(*key, count) for key, count in sorted(counts.items())]


def test_every_edge_falls_into_the_bin_of_the_sketch() -> None:
    found = tallied([[value] for value in EDGES])
    assert found.group.tolist() == list(range(len(EDGES)))
    assert found.bin.tolist() == bins_of(EDGES)
    together = tallied([EDGES])
    assert together.bin.tolist() == list(range(BINS))
    assert together.count.tolist() == [count for _, count in sorted(Counter(bins_of(EDGES)).items())]


def test_the_bins_of_a_group_leave_nothing_to_the_next() -> None:
    """Neither counts nor the span of the bins."""
    groups = [[0, LAST], [5], [NULL], [LAST], [0], []]
    found = tallied(groups)
    assert found.group.tolist() == [0, 0, 1, 3, 4]
    assert found.bin.tolist() == [0, BINS - 1, 5, BINS - 1, 0]
    assert found.count.tolist() == [1] * 5


def test_a_group_may_have_more_values_than_there_are_bins() -> None:
    found = tallied([list(range(2 * STEPS)) * 100])
    assert found.bin.tolist() == list(range(2 * STEPS))
    assert set(found.count.tolist()) == {100}
    assert found.n.tolist() == [200 * STEPS]


@examples(50)
@given(drawn=st.lists(st.lists(VALUE, max_size=8), min_size=2, max_size=2))
def test_the_sums_of_two_tallies_are_those_of_both_together(drawn: Groups) -> None:
    one, other = drawn
    apart, together = tallied([one, other]), tallied([one + other])
    assert apart.n.sum() == together.n[0]
    both = [sum(part) for part in zip(parts(apart, 0), parts(apart, 1), strict=True)]
    assert both == parts(together, 0)
