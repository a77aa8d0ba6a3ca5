"""The loops of groups, each alone, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.kernels import grouping

CODES = st.lists(st.integers(0, 9), min_size=1, max_size=30)


def numbers(codes: list[int]) -> list[int]:
    """The number of each row's group."""
    return [sorted(set(codes)).index(code) for code in codes]


@examples(100)
@given(codes=CODES)
def test_a_table_and_a_sort_number_groups_alike(codes: list[int]) -> None:
    code, group = np.array(codes, np.int64), np.zeros(len(codes), np.int32)
    assert grouping.number_by_table(code, np.zeros(10, np.int32), group) == len(set(codes))
    assert group.tolist() == numbers(codes)
    order = np.argsort(code, kind="stable").astype(np.int32)
    group[:] = -1
    assert grouping.number_sorted(code[order], order, group) == len(set(codes))
    assert group.tolist() == numbers(codes)
    assert grouping.number_rising(np.sort(code), group) == len(set(codes))
    assert group.tolist() == numbers(sorted(codes))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_a_digit_is_appended_and_null_is_the_first(kind: type) -> None:
    null = int(np.iinfo(kind).min)
    code = np.array([0, 1, 2], np.int64)
    grouping.append_digit(np.array([7, null, 5], kind), null, 4, 4, code)
    assert code.tolist() == [3, 4, 9]
    assert grouping.is_rising(code)
    assert not grouping.is_rising(code[::-1].copy())


@examples(100)
@given(codes=st.lists(st.integers(0, 2**40), max_size=30), shift=st.integers(0, 38), width=st.integers(1, 11))
def test_a_pass_sorts_by_some_bits_and_keeps_the_order_of_equal_ones(codes: list[int], shift: int, width: int) -> None:
    code, row = np.array(codes, np.int64), np.arange(len(codes), dtype=np.int32)
    after = np.empty_like(code), np.empty_like(row)
    grouping.radix_pass(code, row, shift, np.zeros((1 << width) + 1, np.int64), *after)
    expected = sorted(range(len(codes)), key=lambda place: codes[place] >> shift & ((1 << width) - 1))
    assert after[1].tolist() == expected
    assert after[0].tolist() == [codes[place] for place in expected]


@examples(100)
@given(codes=CODES)
def test_rows_are_found_by_their_groups(codes: list[int]) -> None:
    group = np.array(numbers(codes), np.int32)
    different = sorted(set(codes))
    firsts, sizes = np.empty(len(different), np.int32), np.zeros(len(different), np.int64)
    grouping.first_rows(group, firsts)
    grouping.count_rows(group, sizes)
    assert firsts.tolist() == [codes.index(code) for code in different]
    assert sizes.tolist() == [codes.count(code) for code in different]
    ends, order = np.append(0, np.cumsum(sizes))[:-1].copy(), np.empty(len(codes), np.int32)
    grouping.put_in_order(group, ends, order)
    assert order.tolist() == sorted(range(len(codes)), key=lambda place: codes[place])
    assert ends.tolist() == np.cumsum(sizes).tolist()


def test_a_sum_may_be_carried_at_any_time() -> None:
    values, group = np.full(9, -(2**63) + 1), np.zeros(9, np.int32)
    sums = np.array([[-(2**63), 0]])
    for _ in range(5):
        grouping.add_values(values, group, sums)
        grouping.carry(sums)
    ((high, low),) = sums.tolist()
    assert (high << 32) + low == 45 * (-(2**63) + 1)
    grouping.add_sums(sums.copy(), np.zeros(1, np.int32), sums)
    grouping.carry(sums)
    ((high, low),) = sums.tolist()
    assert (high << 32) + low == 90 * (-(2**63) + 1)


def test_what_is_null_adds_nothing() -> None:
    null, group = -(2**63), np.array([0, 1, 1], np.int32)
    sums, squares = np.array([[null, 0]] * 2), np.array([[[null, 0]] * 2] * 3)
    grouping.add_values(np.array([null, null, 7]), group, sums)
    grouping.add_squares(np.array([null, null, 7]), group, squares)
    assert sums.tolist() == [[null, 0], [0, 7]]
    assert squares.tolist() == [[[null, 0], [0, 0]], [[null, 0], [0, 0]], [[null, 0], [0, 49]]]
    first, last = np.full(2, null), np.full(2, null)
    grouping.find_extremes(np.array([null, null, 7]), np.array([null, 3, null]), group, first, last)
    assert (first.tolist(), last.tolist()) == ([null, 7], [null, 3])


def test_counts_are_added_to_those_before() -> None:
    out = np.array([1, 2])
    grouping.add_counts(np.array([5, 6, 7]), np.array([1, 0, 1], np.int32), out)
    assert out.tolist() == [7, 14]
