"""The codes of keys, and the order that they give rows, against plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.frames.composite_keys import CompositeKeys, key_order
from grt_batch.schema.records import Field

Row = tuple[Any, ...]
TEXTS = ["", "a", "b", "B", "é", "大"]
ORDER = ["z", "y", "a"]
DAY = date(2024, 1, 1)
INT64 = 2**63

TEXT = Field("text", pl.String(), "", "a text, dictionary-encoded in no order")
PLAIN = Field("plain", pl.String(), "", "a text as it is")
DATE = Field("date", pl.Date(), "UTC", "a day")
ENUM = Field("enum", pl.Enum(ORDER), "", "in an order of its own")
SMALL = Field("small", pl.Int16(), "", "a number")
ANY = Field("any", pl.Int64(), "", "a number of any size")
FIELDS = (TEXT, PLAIN, DATE, ENUM, SMALL, ANY)
VALUES: dict[Field, st.SearchStrategy[Any]] = {
    TEXT: st.sampled_from(TEXTS),
    PLAIN: st.sampled_from(TEXTS),
    DATE: st.integers(-40, 40).map(lambda days: DAY + timedelta(days)) | st.sampled_from([date.min, date.max]),
    ENUM: st.sampled_from(ORDER),
    SMALL: st.integers(-(2**15), 2**15 - 1) | st.integers(-3, 3),
    ANY: st.integers(-3, 3),
}
WIDE = st.integers(-INT64, INT64 - 1) | st.sampled_from([-INT64, -INT64 + 1, -1, 0, 2**31 - 2, 2**31, INT64 - 1])


def frame(keys: Sequence[Field], rows: Sequence[Row]) -> pl.DataFrame:
    types = {key.name: key.type for key in keys} | {TEXT.name: pl.Enum([*reversed(TEXTS), "unused"])}
    return pl.DataFrame(rows, schema={key.name: types[key.name] for key in keys}, orient="row")


def read(keys: Sequence[Field], row: Row) -> Row:
    """A row as its codes say it: a null text is the empty one."""
    return tuple((value or "") if key.type == pl.String() else value for key, value in zip(keys, row, strict=True))


def sort_key(keys: Sequence[Field], row: Row) -> tuple[Any, ...]:
    """What rows are in the order of: null first, and an enumeration by its own order."""
    values = (ORDER.index(value) if key == ENUM and value else value for key, value in zip(keys, row, strict=True))
    return tuple((value is not None, value) for value in values)


def check(keys: Sequence[Field], rows: Sequence[Row]) -> CompositeKeys:
    """The codes of some rows order them as their keys do, and give the keys back where they can."""
    found = CompositeKeys.of(frame(keys, rows), [key.name for key in keys if key.type == pl.String()])
    codes = found.code.tolist()
    assert found.code.dtype == np.int64
    assert len(codes) == len(rows)
    assert all(code >= 0 for code in codes)
    wanted = [read(keys, row) for row in rows]
    different = sorted(set(wanted), key=lambda row: sort_key(keys, row))
    ranks = {code: rank for rank, code in enumerate(sorted(set(codes)))}
    assert [different[ranks[code]] for code in codes] == wanted
    assert len(ranks) == len(different)
    if found.values is not None:
        columns = pl.DataFrame(list(reversed(found.values_of(found.code))))
        assert columns.columns == [key.name for key in keys]
        assert columns.rows() == wanted
    return found


@examples(200)
@given(data=st.data())
def test_codes_order_rows_as_their_keys_do_and_give_the_keys_back(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(FIELDS), unique=True, min_size=1, max_size=4))
    values = [st.none() | VALUES[key] for key in keys]
    found = check(keys, data.draw(st.lists(st.tuples(*values), max_size=20)))
    spans_all_days = found.values is None
    assert not spans_all_days or DATE in keys


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("key", FIELDS, ids=lambda key: key.name)
def test_keys_that_are_all_null_have_one_code(key: Field, rows: int) -> None:
    found = check((key,), [(None,)] * rows)
    assert len(np.unique(found.code)) == min(rows, 1)


def test_keys_keep_their_types() -> None:
    keys = FIELDS
    found = check(keys, [("b", "a", DAY, "y", -3, 5), (None, None, None, None, None, None)])
    types = {column.name: column.dtype for column in found.values_of(found.code)}
    assert isinstance(types.pop(TEXT.name), pl.Enum)
    assert isinstance(types.pop(PLAIN.name), pl.Enum)
    assert types == {key.name: key.type for key in (DATE, ENUM, SMALL, ANY)}


def test_a_null_text_is_the_empty_one_and_a_null_number_is_none() -> None:
    found = check((TEXT, ANY), [(None, 0), ("", 0), ("", None), (None, None)])
    assert len(np.unique(found.code)) == 2


@examples(150)
@given(rows=st.lists(st.tuples(*[st.none() | WIDE] * 3, st.sampled_from(TEXTS)), max_size=20))
@example(rows=[(-INT64, INT64 - 1, None, "a"), (INT64 - 1, -INT64, 0, "b")])
@example(rows=[(INT64 - 1, INT64 - 1, INT64 - 1, "a")])
@example(rows=[(-INT64, -INT64, -INT64, "a"), (None, None, None, "a")])
def test_numbers_of_any_range_have_codes(rows: list[Row]) -> None:
    keys = (*(Field(f"wide_{i}", pl.Int64(), "", "a number of any size") for i in range(3)), TEXT)
    check(keys, rows)


@pytest.mark.parametrize(
    ("greatest", "values_known"), [(2**20 - 3, True), (2**20 - 2, True), (2**20 - 1, False), (2**31, False)]
)
def test_many_values_are_not_said(greatest: int, values_known: bool) -> None:
    found = check((SMALL, ANY), [(1, 0), (1, greatest), (2, None), (1, 7)])
    assert (found.values is not None) == values_known


@pytest.mark.parametrize("count", [3, 4, 7])
@examples(5)
@given(data=st.data())
def test_many_keys_whose_values_multiply_beyond_64_bits_have_codes(count: int, data: st.DataObject) -> None:
    """Each has up to 2^20 values that could be said, all together cannot."""
    keys = tuple(Field(f"key_{i}", pl.Int64(), "", "a number") for i in range(count))
    ends = tuple([0] * count), tuple([2**20 - 2] * count)
    value = st.none() | st.sampled_from([0, 1, 2**19, 2**20 - 2])
    drawn = data.draw(st.lists(st.tuples(*[value] * count), max_size=12))
    found = check(keys, [*ends, *drawn])
    assert (found.values is not None) == (count == 3)


def test_texts_behind_too_many_values_still_count() -> None:
    keys = (*(Field(f"key_{i}", pl.Int64(), "", "a number") for i in range(4)), TEXT, ENUM)
    rows = [(n, m, n, m, text, kind) for n in (0, 2**20 - 2) for m in (0, 2**20 - 2) for text in "ba" for kind in ORDER]
    assert check(keys, rows).values is None


@examples(150)
@given(
    rows=st.lists(st.tuples(*[st.none() | WIDE] * 2, st.none() | st.sampled_from(TEXTS), st.none() | st.floats(-9, 9)))
)
@example(rows=[(1, 2, "a", 0.5), (1, 2, "a", 0.5), (None, 2, "a", 0.5), (None, None, None, None), (1, 2, None, 0.5)])
@example(rows=[(-INT64, INT64 - 1, "b", 0.5), (INT64 - 1, -INT64, "a", 0.5), (-INT64, INT64 - 1, "b", 0.25)])
def test_rows_are_put_in_the_order_of_their_key(rows: list[Row]) -> None:
    names = ["one", "two", "text", "plain", "real"]
    kinds = [pl.Int64(), pl.Int64(), pl.Enum(sorted({row[2] for row in rows} - {None})), pl.String(), pl.Float64()]
    wide = [(*row[:3], *row[2:], number) for number, row in enumerate(rows)]
    given_rows = pl.DataFrame(
        wide, schema=dict(zip([*names, "number"], [*kinds, pl.Int64()], strict=True)), orient="row"
    )
    order, begins = key_order(given_rows, names)
    wanted = sorted(wide, key=lambda row: [(value is not None, value) for value in row[:5]])
    assert given_rows[order].rows() == wanted
    firsts = [place for place, (one, other) in enumerate(pairwise(wanted), 1) if one[:5] != other[:5]]
    assert begins.tolist() == [0, *firsts][: len(rows)]
