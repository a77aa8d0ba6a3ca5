"""The rule, number by number."""

from __future__ import annotations

import math

import pytest
from build import examples
from evidence import evidence, needed
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.advice.evidence import Needed
from grt_batch.advice.rule import Memory, Rule, cores_of, may_fall, memory_of, percentile, samples, tenths_up

RULE = Rule()


def of(*some: Needed, old: float | None = None, rule: Rule = RULE, lower: bool = True) -> float:
    return memory_of(some, rule, None if old is None else Memory(old), lower)


@examples(100)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50), st.integers(1, 100))
def test_a_percentile_is_the_value_of_its_rank(memory: list[int], percent: int) -> None:
    found = percentile([needed(one, 1) for one in memory], percent)
    assert found == sorted(memory)[math.ceil(percent * len(memory) / 100) - 1]


def test_inside_of_a_bin_jobs_are_spread_evenly() -> None:
    one = Needed(0, 8, 10, 4, 0, 1)
    assert [percentile([one], percent) for percent in (25, 50, 100)] == [8.25, 8.75, 9.75]
    with pytest.raises(ValueError, match="no jobs"):
        percentile([], 95)


def test_memory_is_the_percentile_and_the_margin_in_tenths() -> None:
    assert of(needed(10, 95), needed(40, 5)) == 11.5
    assert of(needed(10, 94), needed(40, 6)) == 46
    assert of(needed(10.01, 20)) == 11.6
    assert of(needed(10, 20), rule=Rule(percentile=50, margin=0)) == 10


def test_there_is_a_floor_and_perhaps_a_cap() -> None:
    assert of(needed(0.1, 20)) == 3.8
    assert of(needed(100, 20), rule=Rule(cap=64)) == 64
    assert of(needed(10, 20), old=300, rule=Rule(cap=64)) == 64


def test_nothing_falls_to_less_than_a_third_unless_that_is_wanted() -> None:
    assert of(needed(1, 20), old=30) == 10
    assert of(needed(1, 20), old=30, rule=Rule(most_fall=math.inf)) == 3.8


def test_killed_jobs_push_the_advice_up() -> None:
    assert of(needed(10, 100), needed(40, 0, killed=5)) == 11.5
    assert of(needed(10, 100), needed(40, 0, killed=6)) == tenths_up(40 * 1.2 * 1.15)
    assert of(needed(10, 100), needed(40, 0, killed=6), rule=Rule(killed_factor=2)) == 92


@examples(100)
@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.integers(1, 50)), min_size=1, max_size=10),
    st.lists(st.tuples(st.floats(0.1, 100), st.integers(1, 5)), max_size=4),
)
def test_a_killed_job_never_lowers_what_comes_out_below_its_limit(
    ok: list[tuple[float, int]], killed: list[tuple[float, int]]
) -> None:
    """As if it had run with more: the percentile of the jobs with it is not below that without it, where it lies
    above all."""
    least = max(memory for memory, _ in ok)
    some = [needed(*one) for one in ok]
    more = [needed(least + memory, 0, killed=count) for memory, count in killed]
    assert of(*some, *more) >= of(*some)


def test_where_many_were_killed_nothing_is_lowered() -> None:
    some = needed(10, 90), needed(2, 0, killed=10)
    assert not may_fall(evidence(some), RULE)
    assert of(*some, old=32, lower=False) == 32
    assert may_fall(evidence([needed(10, 95, killed=5)]), RULE)


def test_a_killed_job_is_above_its_bin() -> None:
    one, more = samples([Needed(1, 8, 10, 3, 2, 5.0)], RULE)
    assert one == Needed(1, 8, 10, 3, 2, 5.0)
    assert more == Needed(1, 12, 12, 2, 0, 0)
    assert samples([Needed(1, 8, 10, 0, 0, 5.0)], RULE) == []


@pytest.mark.parametrize(
    ("jobs", "days", "why"), [(19, True, "too few jobs"), (20, False, "jobs of one day"), (20, True, "")]
)
def test_what_is_too_little_evidence(jobs: int, days: bool, why: str) -> None:
    assert RULE.enough(evidence([needed(10, jobs, killed=5)], days=days)) == why


def test_memory_by_size() -> None:
    memory = Memory(20, ((0, 4), (1, 8), (16, 30)))
    assert [memory.at(size) for size in (0, 0.99, 1, 15, 16, 1000)] == [4, 4, 8, 8, 30, 30]
    some = [needed(3, 2, 0.5), needed(9, 1, 4)]
    assert memory.hours(some) == 4 * 2 + 8
    assert memory.kills(some) == 1 / 3
    assert Memory(9).kills(some) == 0
    assert Memory(9).unfit([*some, needed(9, 0, killed=1)], RULE) == 1 / 4
    assert Memory(9).kills([]) == 0
    assert Memory(9).kills([Needed(0, 8, 12, 1, 0, 0)]) == 0.75


def test_cores_are_those_that_were_used() -> None:
    def cores(given: float | None, efficiency: float | None, old: float | None = None) -> int | None:
        return cores_of(evidence([needed(1, 20)], cores=given, efficiency=efficiency), RULE, old)

    assert cores(8, 0.45) == 4
    assert cores(8, 0.1) == 3, "never less than a third"
    assert cores(8, 0.8) == 8, "this saves too little"
    assert cores(8, 3.0) == 8
    assert cores(1, 0.01) == 1
    assert cores(8, 0.45, old=16) == 6
    assert cores(8, 0.45, old=2) == 2
    assert cores(None, 0.5) is cores(8, None) is None
    assert cores_of(evidence([needed(1, 19)], cores=8, efficiency=0.1), RULE, None) is None
