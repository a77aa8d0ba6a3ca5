"""Portions are as large as they may be, and hold everything in order."""

from __future__ import annotations

from itertools import pairwise

from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.documents.portions import portions


@examples(150)
@given(st.lists(st.integers(1, 30)), st.integers(1, 40))
def test_portions_are_as_large_as_they_may_be(sizes: list[int], most: int) -> None:
    made = list(portions(sizes, int, most))
    assert [size for portion in made for size in portion] == sizes
    assert all(sum(portion) <= most or len(portion) == 1 for portion in made)
    assert all(sum(portion) + then[0] > most for portion, then in pairwise(made))
