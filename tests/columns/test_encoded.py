"""Encoded columns of frames against plain Python: the texts stay, and their order is that of their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.columns.encoded import categories, encoded, key_order

Texts = list[str | None]
NAMES = ["", " ", "a", "aa", "b", "B", "é", "e\u0301", "大", "😀", "\uffff", "None", "tab\t"]
TEXT = st.sampled_from(NAMES) | st.text(max_size=4)
TEXTS = st.lists(st.none() | TEXT, max_size=20)
DICTIONARY = st.lists(TEXT, unique=True, max_size=8)


def column(texts: Sequence[str | None], names: Sequence[str] | None = None) -> pl.Series:
    """A column of texts; with `names`, by a dictionary of them, in that order, and of all the texts."""
    if names is None:
        return pl.Series("texts", texts, dtype=pl.String)
    known = dict.fromkeys([*names, *(text for text in texts if text is not None)])
    return pl.Series("texts", texts, dtype=pl.Enum(list(known)))


@examples(200)
@given(texts=TEXTS, names=st.none() | DICTIONARY)
@example(texts=[], names=None)
@example(texts=[], names=["a"])
@example(texts=[None, None], names=None)
@example(texts=[None, None], names=["b", "a"])
@example(texts=["b", "a", None, "b"], names=["b", "x", "a"])
@example(texts=["a", "b"], names=["a", "b", "c"])
def test_the_dictionary_is_just_the_texts_that_occur_in_order(texts: Texts, names: list[str] | None) -> None:
    once = encoded(column(texts, names))
    for found in (once, encoded(once)):
        assert found.to_list() == texts
        assert found.name == "texts"
        assert categories(found).to_list() == sorted({text for text in texts if text is not None})


def test_only_an_encoded_column_has_a_dictionary() -> None:
    with pytest.raises(AssertionError):
        categories(pl.Series(["a"]))


WIDE = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)


@examples(150)
@given(
    rows=st.lists(st.tuples(*[st.none() | WIDE] * 2, st.none() | st.sampled_from(NAMES), st.none() | st.floats(-9, 9)))
)
@example(rows=[(1, 2, "a", 0.5), (1, 2, "a", 0.5), (None, 2, "a", 0.5), (None, None, None, None), (1, 2, None, 0.5)])
@example(rows=[(-(2**63), 2**63 - 1, "b", 0.5), (2**63 - 1, -(2**63), "a", 0.5), (-(2**63), 2**63 - 1, "b", 0.25)])
@example(rows=[(place, -place, "a", 0.5) for place in (0, 2**31 - 1)])
def test_rows_are_put_in_the_order_of_their_key(rows: list[tuple[Any, ...]]) -> None:
    names = ["one", "two", "text", "plain", "real"]
    kinds = [pl.Int64(), pl.Int128(), pl.Enum(sorted({row[2] for row in rows} - {None})), pl.String(), pl.Float64()]
    wide = [(*row[:3], *row[2:], number) for number, row in enumerate(rows)]
    schema = dict(zip([*names, "number"], [*kinds, pl.Int64()], strict=True))
    given_rows = pl.DataFrame(wide, schema=schema, orient="row")
    order, begins = key_order(given_rows, names)
    wanted = sorted(wide, key=lambda row: [(value is not None, value) for value in row[:5]])
    assert given_rows[order].rows() == wanted
    firsts = [place for place, (one, other) in enumerate(pairwise(wanted), 1) if one[:5] != other[:5]]
    assert begins.tolist() == [0, *firsts][: len(rows)]


def test_keys_that_multiply_beyond_64_bits_are_in_order() -> None:
    ends = [0, 2**30]
    rows = [(a, b, c, d) for d in ends for c in ends for b in ends for a in ends]
    order, begins = key_order(pl.DataFrame(rows, schema=list("abcd"), orient="row"), list("abcd"))
    assert [rows[place] for place in order] == sorted(rows)
    assert begins.tolist() == list(range(len(rows)))
