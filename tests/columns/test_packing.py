"""Columns as bytes: dictionaries are stored once, arrays in few bytes, and single tables can be read alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.columns.columns import Array, Columns
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
@given(drawn=tables())
def test_tables_come_back_with_their_types_and_dictionaries(drawn: dict[str, Columns]) -> None:
    packed = pack(drawn)
    check(unpack(packed), drawn)
    check(unpack(memoryview(packed)), drawn)
    assert pack(drawn) == packed


@pytest.mark.parametrize("names", [[], ["two"], ["three", "one"], ["one", "unknown"]])
def test_only_the_tables_that_are_asked_for_are_read(names: list[str]) -> None:
    all_tables = {name: Columns.of(pl.DataFrame({"text": [name], "n": [7]})) for name in ("one", "two", "three")}
    check(unpack(pack(all_tables), names), {name: table for name, table in all_tables.items() if name in names})


def test_a_dictionary_that_tables_share_is_stored_once() -> None:
    def table(texts: list[str]) -> Columns:
        return Columns.of(pl.DataFrame({"text": texts}))

    alone = len(pack({"one": table(LONG)}))
    assert len(pack({"one": table(LONG), "two": table(LONG)})) < 1.2 * alone
    assert len(pack({"one": table(LONG), "two": table(LONG[1:])})) > 1.8 * alone


RANDOM = np.random.default_rng(1)
MANY = RANDOM.integers(0, 200, 20_000)


@pytest.mark.parametrize(
    ("array", "width"),
    [
        (MANY, 1),
        (np.append(MANY, -(2**63)), 1),
        (MANY * 2**40 - 2**62, 1),
        (np.cumsum(MANY) * 2**30, 1),
        (MANY * 300, 2),
        (np.stack([np.zeros_like(MANY), MANY * 1000], axis=1), 1),
        (np.stack([np.append(MANY, -(2**63)), np.append(MANY, 0)], axis=1), 2),
    ],
)
def test_an_array_takes_the_bytes_that_its_span_needs(array: Array, width: int) -> None:
    packed = pack({"": Columns({"n": array})})
    assert len(packed) < width * len(array) + 200
    assert unpack(packed)[""]["n"].tolist() == array.tolist()


def test_values_that_have_nearly_a_divisor_come_back() -> None:
    array = np.append(MANY * 1000, 7)
    assert unpack(pack({"": Columns({"n": array})}))[""]["n"].tolist() == array.tolist()


@pytest.mark.parametrize("rows", [[], [-(2**63)], [-(2**63)] * 3, [-(2**63) + 1], [2**63 - 1, -(2**63) + 1], [0, 0, 0]])
def test_extremes_come_back(rows: list[int]) -> None:
    array = np.array(rows, np.int64)
    assert unpack(pack({"": Columns({"n": array})}))[""]["n"].tolist() == rows
    sums = np.stack([array, np.full_like(array, 2**32 - 1)], axis=1)
    assert unpack(pack({"": Columns({"n": sums})}))[""]["n"].tolist() == sums.tolist()


def test_what_is_read_can_be_written() -> None:
    """As the arrays of kernels must be."""
    for array in (MANY, np.array([2**62, -(2**62)]), np.zeros((2, 3), np.uint8), np.stack([MANY, MANY], axis=1)):
        assert unpack(pack({"": Columns({"n": array})}))[""]["n"].flags["WRITEABLE"]
