"""The tally of values by group against plain Python's integers, and its bins against those of the sketch."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

import numpy as np
import polars as pl
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.aggregate.sketch import BIN, bin_of
from grt_batch.kernels.constants import BINS, STEP_BITS, STEPS
from grt_batch.kernels.sketch import Tally, tally
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


def tallied(groups: Groups) -> Tally:
    """The tally of these groups, and a look at its shapes."""
    begins = np.array([0, *accumulate(map(len, groups))], np.int64)
    values = np.array([value for group in groups for value in group], np.int64)
    before = values.copy()
    found = tally(begins, values)
    assert (values == before).all()
    assert found.n.shape == found.least.shape == found.greatest.shape == (len(groups),)
    assert found.sums.shape == (len(groups), 4, 2)
    assert found.group.shape == found.bin.shape == found.count.shape
    for part in (found.n, found.least, found.greatest, found.sums, found.group, found.bin, found.count):
        assert part.dtype == np.int64
    return found


def known(group: list[int]) -> list[int]:
    return [value for value in group if value != NULL]


def bins_of(values: list[int]) -> list[int]:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Int64})
    return frame.select(bin_of(pl.col("value")))[BIN.name].to_list()


def parts(found: Tally, group: int) -> list[int]:
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
    assert (apart.sums.sum(axis=0) == together.sums[0]).all()
