"""The number of distinct texts: its law, and how near it is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.distinct import PRECISION, Registers, estimate, registers
from grt_batch.aggregate.text_hash import hashes

TEXTS = st.lists(st.text(max_size=3), max_size=20)
SIGMA = 1.04 / 2 ** (PRECISION / 2)


def of(texts: list[str]) -> Registers:
    return registers(hashes(pl.Series(texts, dtype=pl.String)))


@examples(60)
@given(parts=st.lists(TEXTS, max_size=4))
def test_united_registers_are_those_of_the_union(parts: list[list[str]]) -> None:
    united = np.maximum.reduce([of([]), *map(of, parts)])
    assert united.tolist() == of([text for part in parts for text in part]).tolist()


@examples(60)
@given(texts=TEXTS)
def test_a_few_are_counted_one_by_one(texts: list[str]) -> None:
    assert estimate(of(texts)) == len(set(texts))


@pytest.mark.parametrize("count", [3000, 20_000, 100_000, 1_000_000])
def test_the_estimate_is_near_and_on_neither_side(count: int) -> None:
    """Hashes depend on the texts alone, so each sample has texts of its own; nothing here is random."""
    samples = 20 if count <= 100_000 else 4
    numbers = pl.Series(np.arange(samples * count)).cast(pl.String)
    found = [estimate(registers(hashes(numbers[i * count : (i + 1) * count]))) for i in range(samples)]
    errors = np.array(found) / count - 1
    assert abs(errors).max() < 0.02, "the tables promise 3 %"
    assert abs(errors.mean()) < 3 * SIGMA / samples**0.5
    assert errors.std() < 1.5 * SIGMA


def test_registers_that_are_full_have_an_estimate() -> None:
    full = np.full(1 << PRECISION, 64 - PRECISION, np.uint8)
    less, more = full.copy(), full.copy()
    less[0], more[0] = 1, 65 - PRECISION
    assert estimate(full) > estimate(less) > 2**30
    assert estimate(more) > estimate(full) > 2**62
