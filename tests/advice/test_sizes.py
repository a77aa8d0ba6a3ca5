"""Memory by the size of the input."""

from __future__ import annotations

import math
from itertools import pairwise

from build import examples
from evidence import evidence, needed
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.advice.evidence import Needed
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.sizes import advised

RULE = Rule()


def of(*some: Needed, old: float | None = None, rule: Rule = RULE) -> Memory:
    return advised(evidence(some), rule, None if old is None else Memory(old))


GROWING = tuple(needed(4.0 * 2**bit, 25, 2.0**bit) for bit in range(-3, 4))
"""25 jobs of each size need four times the bytes of their input."""


def test_memory_that_grows_with_the_input_has_rules() -> None:
    memory = of(*GROWING)
    assert memory.mem == 36.8
    assert memory.steps[0][0] == 0
    assert len(memory.steps) == RULE.max_steps
    assert memory.steps[-1] == (8, 36.8)
    values = [mem for _, mem in memory.steps]
    assert values == sorted(values)


def test_where_the_input_does_not_matter_there_are_none() -> None:
    assert of(*(needed(20, 25, 2.0**bit) for bit in range(5))) == Memory(23)
    assert of(*(needed(40 / 2**bit, 25, 2.0**bit) for bit in range(5))).steps == ()
    assert of(needed(20, 200)) == Memory(23)


def test_rules_must_save_enough() -> None:
    many, few = needed(20, 99, 8), needed(2, 21, 1)
    assert of(many, few, needed(20, 1, 9)).steps == ()
    assert of(many, few, rule=Rule(least_saving=0.1)).steps == ((0, 3.8), (8, 23))


def test_sizes_with_few_jobs_go_with_larger_ones_and_the_last_with_smaller_ones() -> None:
    memory = of(needed(4, 19, 1), needed(6, 100, 2), needed(30, 50, 4), needed(40, 3, 8))
    assert memory.steps == ((0, 6.9), (4, 46))


def test_nothing_by_size_falls_further_than_all() -> None:
    assert {mem for _, mem in of(*GROWING, old=60).steps} == {20, 36.8}
    assert len(of(*GROWING, old=60, rule=Rule(most_fall=math.inf)).steps) == 4


def test_where_many_were_killed_no_size_gets_less() -> None:
    assert of(*GROWING, needed(1, 0, 0.1, killed=20), old=32) == Memory(36.8, ())


def test_one_rule_is_none() -> None:
    assert of(*GROWING, rule=Rule(max_steps=1)).steps == ()


JOBS = st.lists(
    st.builds(needed, st.floats(0.1, 200), st.integers(0, 60), st.sampled_from([0, 0.5, 1, 2, 4, 8, 16]),
              killed=st.integers(0, 2)),
    min_size=1, max_size=40,
).filter(lambda some: sum(one.jobs for one in some) >= 20)  # fmt: skip


@examples(150)
@given(JOBS, st.none() | st.floats(1, 300))
def test_rules_rise_and_save_and_fit(some: list[Needed], old: float | None) -> None:
    memory = of(*some, old=old)
    begins, values = [begin for begin, _ in memory.steps], [mem for _, mem in memory.steps]
    assert len(values) in (0, 2, 3, 4)
    assert begins == sorted(set(begins))
    if values:
        assert begins[0] == 0
        assert all(later >= 1.2 * earlier for earlier, later in pairwise(values))
        assert values[-1] >= memory.mem, "the mean of percentiles of groups"
        assert memory.hours(some) <= 0.8 * Memory(memory.mem).hours(some)
    assert min(values, default=memory.mem) >= max(3.8, (old or 0) / 3)
    assert memory.unfit(some, RULE) <= 0.05 + 1e-9
