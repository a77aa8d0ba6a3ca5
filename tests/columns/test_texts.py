"""Dictionaries in order: made, united, and looked up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.columns.texts import NO_TEXT, Texts, at

TEXT = st.text(max_size=3) | st.sampled_from(["", "a", "B", "é", "大", "\U0001f600", "\uffff"])
TEXTS = st.lists(st.none() | TEXT, max_size=8)


def listed(texts: Texts) -> list[str]:
    names: list[str] = texts.names.to_list()
    return names


def of_codes(texts: Texts, codes: Sequence[int]) -> list[str | None]:
    return [None if code == NO_TEXT else listed(texts)[code] for code in codes]


@examples(200)
@given(texts=TEXTS)
def test_a_dictionary_has_the_texts_in_the_order_of_code_points(texts: list[str | None]) -> None:
    known = Texts.of(texts)
    assert listed(known) == sorted({text for text in texts if text is not None})
    assert len(known) == len(listed(known))
    assert known.encoded.to_list() == listed(known)
    coded, codes = Texts.coded(texts)
    assert listed(coded) == listed(known)
    assert of_codes(coded, codes.tolist()) == texts
    assert known.codes_of(texts).tolist() == codes.tolist()


@examples(100)
@given(texts=TEXTS, other=TEXT)
@example(texts=[], other="")
@example(texts=["b"], other="c")
def test_the_code_of_a_text_is_its_place(texts: list[str | None], other: str) -> None:
    known = Texts.of(texts)
    for text in {*listed(known), other}:
        assert known.code(text) == (listed(known).index(text) if text in listed(known) else -1)


@examples(200)
@given(several=st.lists(TEXTS, min_size=1, max_size=4))
def test_codes_keep_their_texts_in_the_dictionary_of_all(several: list[list[str | None]]) -> None:
    known = [Texts.of(texts) for texts in several]
    united = Texts.united(known)
    assert listed(united) == sorted({text for texts in several for text in texts if text is not None})
    for own, texts in zip(known, several, strict=True):
        assert of_codes(united, own.recoded(own.codes_of(texts), united).tolist()) == texts


def test_a_dictionary_that_all_share_is_not_made_again() -> None:
    known = Texts.of(["a", "b"])
    assert Texts.united([known, known]) is known
    assert Texts.united([known, Texts.of(["b", "a"])]) is known
    codes = np.array([1, NO_TEXT], np.int32)
    assert known.recoded(codes, known) is codes


def test_a_dictionary_of_part_of_the_texts_is_enough_for_those_that_occur() -> None:
    known, part = Texts.of(["a", "b", "c"]), Texts(pl.Series(["b"]))
    assert known.recoded(np.array([1, NO_TEXT, 1], np.int32), part).tolist() == [0, NO_TEXT, 0]


def test_the_value_of_no_text_is_none() -> None:
    assert at(np.array([7, 8], np.int32), np.array([1, NO_TEXT, 0], np.int32)).tolist() == [8, NO_TEXT, 7]
