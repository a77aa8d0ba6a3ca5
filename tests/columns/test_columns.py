"""Columns of integers and the frames that they are made of, and become."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from build import examples, plain
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.columns.columns import Columns
from grt_batch.columns.texts import NO_TEXT, Texts

VALUES: dict[str, tuple[pl.DataType, list[Any]]] = {
    "text": (pl.String(), [None, "", "a", "é"]),
    "choice": (pl.Enum(["z", "a"]), [None, "z", "a"]),
    "number": (pl.Int64(), [None, 0, 1 - 2**63, 2**63 - 1]),
    "small": (pl.Int8(), [None, -127, 127]),
    "bin": (pl.Int16(), [None, -32767, 32767]),
    "sum": (pl.Int128(), [None, 0, -1, 2**32, -(2**32) - 1, 2**94, -(2**94), 2**63]),
    "day": (pl.Date(), [None, date(1969, 12, 31), date(2024, 2, 29)]),
    "moment": (pl.Datetime("us"), [None, datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(2024, 2, 29)]),
    "flag": (pl.Boolean(), [None, False, True]),
}
SCHEMA = {name: kind for name, (kind, _) in VALUES.items()}
ROW = st.tuples(*[st.sampled_from(values) for _, values in VALUES.values()])
ROWS = st.lists(ROW, max_size=8)


def columns(rows: list[Any]) -> Columns:
    return Columns.of(pl.DataFrame(rows, schema=SCHEMA, orient="row"))


def rows(of: Columns) -> list[Any]:
    frame = of.frame(SCHEMA)
    assert plain(frame).schema == plain(pl.DataFrame(schema=SCHEMA)).schema
    return frame.rows()


@examples(200)
@given(drawn=ROWS)
@example(drawn=[])
@example(drawn=[tuple(None for _ in VALUES)] * 3)
def test_a_frame_comes_back(drawn: list[Any]) -> None:
    found = columns(drawn)
    assert rows(found) == drawn
    assert found.height == len(drawn)
    assert set(found.texts) == {"text"}


def test_a_declared_choice_in_order_comes_back_in_its_type() -> None:
    kind = pl.Enum(["a", "b", "c"])
    found = Columns.of(pl.DataFrame({"choice": ["c", None]}, schema={"choice": kind}))
    assert found.own_texts().frame({"choice": kind})["choice"].dtype == kind
    assert found.own_texts().frame({"choice": kind})["choice"].to_list() == ["c", None]


def test_bytes_are_never_null() -> None:
    found = Columns.of(pl.DataFrame({"registers": [b"ab", b"cd"]}))
    assert found["registers"].tolist() == [[97, 98], [99, 100]]
    assert found.frame({"registers": pl.Binary()}).rows() == [(b"ab",), (b"cd",)]


@examples(200)
@given(parts=st.lists(ROWS, min_size=1, max_size=4))
def test_parts_are_put_together_whatever_their_dictionaries(parts: list[list[Any]]) -> None:
    assert rows(Columns.concat([columns(part) for part in parts])) == [row for part in parts for row in part]


@examples(100)
@given(drawn=ROWS, data=st.data())
def test_rows_are_picked_by_place_mask_and_slice(drawn: list[Any], data: st.DataObject) -> None:
    found = columns(drawn)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(drawn), max_size=len(drawn))), np.bool_)
    kept = [row for row, kept in zip(drawn, mask, strict=True) if kept]
    assert rows(found.rows(mask)) == rows(found.rows(np.flatnonzero(mask).astype(np.int32))) == kept
    assert rows(found.rows(mask).own_texts()) == kept
    assert rows(found.rows(slice(1, 3))) == drawn[1:3]


@examples(100)
@given(drawn=ROWS)
def test_a_part_has_just_the_texts_that_occur(drawn: list[Any]) -> None:
    whole = columns([*drawn, tuple("unused" if name == "text" else None for name in VALUES)])
    part = whole.rows(slice(0, len(drawn))).own_texts()
    assert part.texts["text"].names.to_list() == sorted({row[0] for row in drawn if row[0] is not None})
    assert rows(part) == drawn


@examples(100)
@given(texts=st.lists(st.none() | st.sampled_from(["", "a", "b"]), max_size=6))
def test_null_becomes_the_empty_text(texts: list[str | None]) -> None:
    found = Columns.of(pl.DataFrame({"text": texts}, schema={"text": pl.String})).filled(["text"])
    assert found.frame({"text": pl.String()})["text"].to_list() == [text or "" for text in texts]
    assert found.texts["text"].names.to_list() == sorted({text or "" for text in texts})


def test_columns_are_selected_and_extended() -> None:
    found = columns([("a", "z", *[None] * (len(VALUES) - 2))])
    some = found.select(["number", "text"])
    assert (list(some.arrays), list(some.texts), "text" in some, "sum" in some) == (
        ["number", "text"],
        ["text"],
        True,
        False,
    )
    number = np.array([5])
    replaced = some.extended({"text": number, "more": some["text"]}, {"more": some.texts["text"]})
    assert (list(replaced.arrays), list(replaced.texts)) == (["number", "text", "more"], ["more"])
    assert replaced["text"] is number
    assert some.bytes == 8 + 4


def test_a_column_without_texts_is_null() -> None:
    found = Columns({"text": np.full(2, NO_TEXT, np.int32)}, {"text": Texts.of([])})
    assert found.frame({"text": pl.String()})["text"].to_list() == [None, None]
    assert found.filled(["text"]).frame({"text": pl.String()})["text"].to_list() == ["", ""]
    assert rows_of_text(Columns.concat([found, Columns.of(pl.DataFrame({"text": ["a"]}))])) == [None, None, "a"]


def rows_of_text(of: Columns) -> list[str | None]:
    return of.frame({"text": pl.String()})["text"].to_list()


def test_a_number_that_means_null_cannot_be_told_from_it() -> None:
    found = Columns.of(pl.DataFrame({"number": [-(2**63)]}))
    assert found.frame({"number": pl.Int64()})["number"].to_list() == [None]


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64])
def test_the_least_integer_of_any_type_is_null(kind: Any) -> None:
    found = Columns({"n": np.array([np.iinfo(kind).min, 1], kind)})
    assert found.frame({"n": pl.Int64()})["n"].to_list() == [None, 1]
