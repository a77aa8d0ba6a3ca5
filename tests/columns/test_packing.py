"""Columns as bytes: dictionaries are stored once, arrays in few bytes, and single tables can be read alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.columns.columns import Columns
from grt_batch.columns.packing import pack, unpack
from grt_batch.columns.texts import NO_TEXT, Texts

LONG = [f"a long text with the number {number}, like that of no other" for number in range(2000)]


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Columns]:
    """A few tables of arrays of all kinds."""
    found = {}
    for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
        rows = draw(st.integers(0, 9))
        arrays: dict[str, Any] = {}
        for kind in (np.int8, np.int16, np.int32, np.int64):
            info = np.iinfo(kind)
            span = draw(st.sampled_from([1, 2**7, 2**8 - 2, 2**16 - 2, 2**31, 2**32 - 2, 2**64]))
            first = draw(st.integers(info.min, info.max))
            values = st.just(info.min) | st.integers(first, min(first + span, info.max))
            arrays[kind.__name__] = np.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
        arrays["sums"] = np.stack([arrays["int64"], arrays["int32"].astype(np.int64) & 0xFFFFFFFF], axis=1)
        arrays["bytes"] = draw(st.binary(min_size=3 * rows, max_size=3 * rows))
        arrays["bytes"] = np.frombuffer(arrays["bytes"], np.uint8).reshape(rows, 3)
        names = Texts.of(draw(st.lists(st.text(max_size=3), max_size=4)))
        codes = st.sampled_from([NO_TEXT, *range(len(names))])
        arrays["text"] = np.array(draw(st.lists(codes, min_size=rows, max_size=rows)), np.int32)
        found[name] = Columns(arrays, {"text": names})
    return found


def check(found: dict[str, Columns], expected: dict[str, Columns]) -> None:
    assert list(found) == list(expected)
    for name, table in expected.items():
        assert list(found[name].arrays) == list(table.arrays)
        for column, array in table.arrays.items():
            assert found[name][column].dtype == array.dtype
            assert found[name][column].tolist() == array.tolist()
        assert {column: texts.names.to_list() for column, texts in found[name].texts.items()} == {
            column: texts.names.to_list() for column, texts in table.texts.items()
        }


@examples(200)
@given(drawn=tables(), compress=st.booleans())
def test_tables_come_back_with_their_types_and_dictionaries(drawn: dict[str, Columns], compress: bool) -> None:
    packed = pack(drawn, compress=compress)
    check(unpack(packed), drawn)
    check(unpack(memoryview(packed)), drawn)
    assert pack(drawn, compress=compress) == packed


@pytest.mark.parametrize("names", [[], ["two"], ["three", "one"], ["one", "unknown"]])
def test_only_the_tables_that_are_asked_for_are_read(names: list[str]) -> None:
    all_tables = {name: Columns.of(pl.DataFrame({"text": [name], "n": [7]})) for name in ("one", "two", "three")}
    check(unpack(pack(all_tables), names), {name: table for name, table in all_tables.items() if name in names})


def test_a_dictionary_that_tables_share_is_stored_once() -> None:
    def table(texts: list[str]) -> Columns:
        return Columns.of(pl.DataFrame({"text": texts}))

    alone = len(pack({"one": table(LONG)}, compress=False))
    assert len(pack({"one": table(LONG), "two": table(LONG)}, compress=False)) < 1.2 * alone
    assert len(pack({"one": table(LONG), "two": table(LONG[1:])}, compress=False)) > 1.8 * alone


@pytest.mark.parametrize(("values", "width"), [([7, 7, -(2**63)], 1), ([10**15, 10**15 + 300], 2), ([-(2**62), 2**62], 8)])
def test_an_array_takes_the_bytes_that_its_span_needs(values: list[int], width: int) -> None:
    array = np.array(values * 1000)
    empty = len(pack({"": Columns({"n": array[:0]})}, compress=False))
    assert len(pack({"": Columns({"n": array})}, compress=False)) - empty < width * len(array) + 50


def test_what_is_read_can_be_grouped() -> None:
    """The kernels take arrays that can be written, or copy them."""
    table = Columns({"n": np.array([2**62, -(2**62), 2**62])})
    found = unpack(pack({"": table}))[""]
    assert Columns.concat([found, found])["n"].tolist() == table["n"].tolist() * 2
