"""Pieces of JSON: what is read of them is what the standard library reads, or they are odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.kernels import json_text
from grt_batch.kernels.json_text import HOLDS_OBJECT, ODD

TEXTS = st.text(max_size=10) | st.text(alphabet='a"\\/\b\f\n\r\té\x7f￿\u2028', max_size=10)
LISTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | TEXTS,
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=10,
)


def read(kernel: Callable[..., Any], text: str, *more: object, begin: int = 0) -> tuple[int, str]:
    """The place behind what was read, and what was written."""
    raw = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    out = np.empty(len(raw) + 8, np.uint8)
    at, size = kernel(np.frombuffer(raw, np.uint8), begin, len(raw), out, 0, *more)
    return at, out[:size].tobytes().decode("utf-8", "replace")


@examples(300)
@given(TEXTS, st.booleans())
def test_a_string_is_its_text(text: str, ascii_only: bool) -> None:
    raw = json.dumps(text, ensure_ascii=ascii_only)
    at, found = read(json_text.string, raw, False, begin=1)
    odd = "\0" in text
    assert (at, found) == (len(raw.encode()), text) or (odd and at == ODD)
    assert not odd or at == ODD
    at, found = read(json_text.string, raw, True, begin=1)
    assert at == ODD or f'"{found}"' == orjson.dumps(text).decode()


@pytest.mark.parametrize(
    "escape",
    [
        *"abcdefghijklmnopqrstuvwxyz/\\\"'0",
        "u0041",
        "uD7FF",
        "uE000",
        "uffff",
        "u00e9",
        "ud83d\\ude00",
        "uD800\\uDC00",
        "udbff\\udfff",
    ],
)
def test_escapes_are_those_of_json(escape: str) -> None:
    raw = f'"\\{escape}"'
    try:
        expected = (len(raw), json.loads(raw))
    except ValueError:
        assert read(json_text.string, raw, False, begin=1)[0] == ODD
    else:
        assert read(json_text.string, raw, False, begin=1) == expected


@pytest.mark.parametrize(
    "raw",
    [
        '"',
        '"a',
        '"\\',
        '"\\u',
        '"\\u00',
        '"\\u00g0"',
        '"\\ud800"',
        '"\\ud83d\\u0041"',
        '"\\ude00\\ud83d"',
        '"\\ud83d\\n"',
        '"\\u0000"',
        '"\n"',
        '"\\"',
    ],
)
def test_what_is_no_string_or_not_storable_is_odd(raw: str) -> None:
    assert read(json_text.string, raw, False, begin=1)[0] == ODD


@examples(300)
@given(
    st.text(alphabet="0123-+.eE", min_size=1, max_size=7)
    | st.sampled_from(["true", "false", "null", "tru", "nulL", "NaN"])
)
@example("-0")
@example("1e5")
def test_numbers_and_words_are_those_of_json(text: str) -> None:
    at, found = read(json_text.literal, text + ",")
    try:
        json.loads(text)
    except ValueError:
        assert at < len(text)
    else:
        assert (at, found) == (len(text), text) or (text == "NaN" and at == ODD)


@examples(300)
@given(st.lists(LISTS, max_size=4), st.sampled_from([None, 1]))
def test_a_list_of_scalars_is_written_without_spaces(value: list[Any], indent: int | None) -> None:
    raw = json.dumps(value, indent=indent)
    at, found = read(json_text.scalars, raw, 16)
    assert at == ODD or (at, found) == (len(raw), orjson.dumps(value).decode())
    assert at != ODD or "\\u" in raw


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ("[", ODD), ("[1", ODD), ("[1,", ODD), ("[1,]", ODD), ("[,]", ODD), ("[1 2]", ODD), ("[1}", ODD), ("[]]", 2),
        ("[[]", ODD), ("[[],]", ODD), ("[ ]", 3), ("[ [ ] , 1 ] ", 11), ("[{", HOLDS_OBJECT),
        ("[1,[{}]]", HOLDS_OBJECT),
        ("[[[[1]]]]", ODD), ("[[[1]]]", 7), ('["a]"]', 6), ("[nul]", ODD),
    ],
)  # fmt: skip
def test_the_place_behind_a_list(raw: str, place: int) -> None:
    assert read(json_text.scalars, raw, 3)[0] == place
