"""Encoded columns against plain Python lists: the texts stay, whatever becomes of their dictionary."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from grt_batch.frames.dictionaries import alike, categories, encoded, filled, recoded, replaced, with_own_texts

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


def in_order(texts: Sequence[str | None]) -> list[str]:
    """The different texts in the order of their code points, which is that of their bytes."""
    return sorted({text for text in texts if text is not None})


def check(found: pl.Series, texts: Texts, names: list[str]) -> None:
    """A column of these texts, with this dictionary."""
    assert found.to_list() == texts
    assert categories(found).to_list() == names
    assert found.name == "texts"


@examples(200)
@given(texts=TEXTS, names=st.none() | DICTIONARY)
@example(texts=[], names=None)
@example(texts=[], names=["a"])
@example(texts=[None, None], names=None)
@example(texts=[None, None], names=[])
@example(texts=[None, None], names=["b", "a"])
@example(texts=["b", "a", None, "b"], names=["b", "x", "a"])
@example(texts=["a", "b"], names=["a", "b", "c"])
def test_the_dictionary_is_just_the_texts_that_occur_in_order(texts: Texts, names: list[str] | None) -> None:
    once = encoded(column(texts, names))
    check(once, texts, in_order(texts))
    assert encoded(once).dtype == once.dtype
    check(encoded(once), texts, in_order(texts))


@examples(100)
@given(texts=TEXTS, names=st.none() | DICTIONARY)
def test_encoded_texts_sort_as_the_texts(texts: Texts, names: list[str] | None) -> None:
    codes = encoded(column(texts, names)).to_physical().to_list()
    present = [(code, text) for code, text in zip(codes, texts, strict=True) if text is not None]
    assert [text for _, text in sorted(present)] == sorted(text for _, text in present)
    assert [code is None for code in codes] == [text is None for text in texts]


@examples(200)
@given(texts=TEXTS, names=DICTIONARY, more=DICTIONARY)
@example(texts=["b"], names=["z", "b"], more=[])
@example(texts=[None], names=["z"], more=[])
@example(texts=["a", None], names=[], more=["", "b"])
def test_another_dictionary_leaves_the_texts_alone(texts: Texts, names: list[str], more: list[str]) -> None:
    """What the old dictionary has, but no row, need not be in the new one."""
    wider = in_order([*texts, *more])
    check(recoded(column(texts, names), pl.Series(wider, dtype=pl.String)), texts, wider)


@examples(200)
@given(texts=TEXTS, names=DICTIONARY, other=st.dictionaries(TEXT, TEXT))
@example(texts=[], names=[], other={})
@example(texts=[None], names=[], other={})
@example(texts=["b", None, "a"], names=["b", "a"], other={"a": "c"})
def test_a_text_is_replaced_wherever_it_stands(texts: Texts, names: list[str], other: dict[str, str]) -> None:
    """Two texts may become one."""
    source = column(texts, names)
    instead = [other.get(text, text) for text in categories(source)]
    found = replaced(source, pl.Series(instead, dtype=pl.String))
    check(found, [None if text is None else other.get(text, text) for text in texts], in_order(instead))


@examples(200)
@given(texts=TEXTS, names=DICTIONARY)
@example(texts=[None], names=[])
@example(texts=["b", None, "a"], names=["b", "a"])
@example(texts=["", None], names=["z", ""])
def test_null_becomes_the_empty_text(texts: Texts, names: list[str]) -> None:
    source = column(texts, names)
    found = filled(source)
    assert found.to_list() == [text or "" for text in texts]
    assert found.name == "texts"
    assert categories(found).to_list() == in_order([*categories(source), *([""] if None in texts else [])])


@examples(150)
@given(
    frames=st.lists(
        st.tuples(st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT, st.integers(0, 9)), max_size=8), DICTIONARY),
        max_size=4,
    )
)
def test_frames_with_one_dictionary_can_be_put_together(
    frames: list[tuple[list[tuple[str | None, str | None, int]], list[str]]],
) -> None:
    given_frames = [
        pl.DataFrame(
            {
                "one": column([row[0] for row in drawn], names),
                "other": column([row[1] for row in drawn], names),
                "n": pl.Series([row[2] for row in drawn], dtype=pl.Int64),
            }
        )
        for drawn, names in frames
    ]
    found = alike(given_frames, ["one", "other"])
    assert len(found) == len(frames)
    for (drawn, _), frame in zip(frames, found, strict=True):
        assert frame.rows() == drawn
        assert frame.columns == ["one", "other", "n"]
        for name in ("one", "other"):
            every = [text for source in given_frames for text in categories(source[name])]
            assert categories(frame[name]).to_list() == in_order(every)
    if found:
        assert pl.concat(found).rows() == [row for drawn, _ in frames for row in drawn]


def test_a_column_is_made_alike_only_where_it_is_named_and_stands() -> None:
    one = pl.DataFrame({"text": column(["b"], []), "left": column(["z"], ["z"])})
    other = pl.DataFrame({"n": [1], "text": column(["a", None, "a"], [])[:1]})
    first, second = alike([one, other], {"text", "missing"})
    assert categories(first["text"]).to_list() == categories(second["text"]).to_list() == ["a", "b"]
    assert_frame_equal(first.select("left"), one.select("left"))
    assert second.rows() == other.rows()
    assert (first.columns, second.columns) == (["text", "left"], ["n", "text"])


def test_a_part_of_a_frame_has_just_the_texts_that_occur_in_it() -> None:
    whole = pl.DataFrame({"n": [1, 2, 3], "text": column(["b", None, "a"], ["z"]), "plain": ["x", "y", "z"]})
    part = with_own_texts(whole[:2])
    assert part.rows() == whole.rows()[:2]
    assert part.schema == {"n": pl.Int64, "text": pl.Enum(["b"]), "plain": pl.String}
    assert_frame_equal(with_own_texts(whole.select("n")), whole.select("n"))


def test_only_an_encoded_column_has_a_dictionary() -> None:
    assert categories(column(["b", "a"], [])).to_list() == ["b", "a"]
    with pytest.raises(AssertionError):
        categories(column(["a"]))
