"""What the settings inside of a parameter are: every rule, and against a plain reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st
from unwrapping import unfolded

from grt_batch.decode.leaves import DATA, leaf, leaves
from grt_batch.kernels.constants import KEY_BYTES

REFERENCE: Any = {"src": "hda", "id": 5}
DATASETS: Any = {"values": [REFERENCE]}
KEYS = st.sampled_from(["id", "src", "values", "p", "q", "a|b", "", "__x__", "é", "\ud800", "\0", 'k"\\', "k" * 300])
WRITTEN = [str(REFERENCE), str([REFERENCE] * 2), str(DATASETS), "{'src': u'hda', u'id': None}", "[{'id': 5}]", "{'"]
ODD_TEXTS = [
    "",
    "hg38",
    "null",
    "None",
    '{"a": 1}',
    "[1]",
    '"',
    "\\",
    "\0",
    "\ud83d",
    "😀",
    "\x7f\x1f\n\t/",
    "[redacted]",
]
TEXTS = st.text(max_size=6) | st.sampled_from([*ODD_TEXTS, *WRITTEN])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
REFERENCES = st.sampled_from([REFERENCE, DATASETS, [REFERENCE], [DATASETS], {"values": []}, {**REFERENCE, "x": [1]}])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | REFERENCES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=14,
)
"""Values of parameters, nested ones for the most part."""


def once(value: object) -> str:
    return json.dumps(value)


def twice(value: object) -> str:
    return json.dumps(json.dumps(value))


def thrice(value: object) -> str:
    return json.dumps(json.dumps({"p": json.dumps(value)}))


def nested(value: object) -> str:
    return json.dumps(json.dumps({"p": value}))


def spaced(value: object) -> str:
    return json.dumps({"p": value}, indent=1, ensure_ascii=False).replace("\n", " \r")


SHAPES: tuple[Callable[[object], str], ...] = (once, twice, thrice, nested, spaced)


def utf8(text: str) -> bytes:
    """A text as it stands in a line: what is no UTF-8 is replaced before, and so is NUL."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "\ufffd").encode()


def plain(name: str, raw: bytes) -> set[tuple[str, str | None, str | None]]:
    """The leaves, as the plain reader has them."""
    return {
        (one, None, DATA) if names_data else (one, value or "", None)
        for one, value, names_data in unfolded(name, raw.decode())
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", [("p", "text")]),
        (None, [("p", "")]),
        (True, [("p", "true")]),
        ({"a": {"b": {"c": 1}}}, [("p|a|b|c", "1")]),
        (
            {"a": "1.50", "b": None, "c": False, "d": ""},
            [("p|a", "1.50"), ("p|b", ""), ("p|c", "false"), ("p|d", "")],
        ),
        ({"a": '{"x": 1}', "b": "null", "c": "[1]"}, [("p|a", '{"x": 1}'), ("p|b", "null"), ("p|c", "[1]")]),
        ([], [("p", "[]")]),
        ({}, [("p", "{}")]),
        ({"a": {}, "b": []}, [("p|a", "{}"), ("p|b", "[]")]),
        (["b", 1, None, "a", True], [("p", '["b",1,null,"a",true]')]),
        ([[1, 2], [], [[3]]], [("p", "[[1,2],[],[[3]]]")]),
        ([{"a": 1}, {"a": 2}, {"b": 1}], [("p", "3"), ("p|a", "1"), ("p|a", "2"), ("p|b", "1")]),
        ([{"a": 1}, {"a": 1}], [("p", "2"), ("p|a", "1")]),
        ([{}], [("p", "1"), ("p", "{}")]),
        ([{"a": None}, {"a": ""}], [("p", "2"), ("p|a", "")]),
        ([{"a": 1}, "x", None, [7]], [("p", "4"), ("p|a", "1"), ("p", "x"), ("p", ""), ("p", "[7]")]),
        ([[{"a": 1}, {"a": 2}], [3]], [("p", "2"), ("p|a", "1"), ("p|a", "2"), ("p", "[3]")]),
        ([{"a": [{"b": 1}]}], [("p", "1"), ("p|a", "1"), ("p|a|b", "1")]),
        ({"src": "hda"}, [("p|src", "hda")]),
        ({"src": 1, "id": 2}, [("p|src", "1"), ("p|id", "2")]),
        ({"values": [1, 2]}, [("p|values", "[1,2]")]),
        ({"values": [], "x": 1}, [("p|values", "[]"), ("p|x", "1")]),
    ],
)
def test_a_value_has_leaves(value: object, expected: list[tuple[str, str | None]]) -> None:
    for shape in SHAPES[2:]:
        found = leaves("p", shape(value).encode())
        assert sorted(found, key=repr) == sorted(((*one, None) for one in expected), key=repr)


@pytest.mark.parametrize("value", [REFERENCE, [REFERENCE], DATASETS, [DATASETS, REFERENCE], {"values": []}])
def test_a_reference_is_no_value_wherever_it_stands(value: Any) -> None:
    assert leaves("p", nested(value).encode()) == [("p", None, DATA)]
    assert leaves("p", nested({"a": value, "b": 1}).encode()) == [("p|a", None, DATA), ("p|b", "1", None)]
    assert leaves("p", nested({"a": str(value)}).encode()) == [("p|a", None, DATA)]
    assert leaves("p", utf8(str(value))) == [("p", None, DATA)]


def test_a_repeat_of_which_one_is_a_reference_is_a_repeat() -> None:
    expected = {("p", "2", None), ("p", None, DATA), ("p", "7", None)}
    assert {*leaves("p", nested([REFERENCE, 7]).encode())} == expected


def test_the_last_of_keys_that_are_the_same_counts() -> None:
    assert leaves("p", b'{"a": 1, "b": 2, "a": 3}') == [("p|a", "3", None), ("p|b", "2", None)]


def test_numbers_keep_their_spelling() -> None:
    assert leaves("p", b'{"a": 1.50, "b": [1e-05, -0], "c": 18446744073709551617}') == [
        ("p|a", "1.50", None),
        ("p|b", "[1e-05,-0]", None),
        ("p|c", "18446744073709551617", None),
    ]


def test_more_than_sixteen_levels_stay_text() -> None:
    value: object = {"b": 1, "a": [2]}
    for _ in range(16):
        value = {"k": value}
    assert leaves("p", once(value).encode()) == [("p" + "|k" * 16, '{"a":[2],"b":1}', None)]
    assert leaves("p", once({"k": 1, "deeper": value}).encode())[1] == (
        "p|deeper" + "|k" * 15,
        '{"k":{"a":[2],"b":1}}',
        None,
    )


@pytest.mark.parametrize("depth", [255, 400, 100_000])
@pytest.mark.parametrize(("begin", "end"), ["[]", ('{"q":', "}"), ('[{"q":', "}]")])
def test_what_is_nested_too_deep_is_a_text(begin: str, end: str, depth: int) -> None:
    raw = begin * depth + "1" + end * depth
    assert leaves("p", raw.encode()) == [("p", raw, None)]


def test_names_are_shortened_and_stay_different() -> None:
    keys = ["k" * 300, "é" * 300]
    (one, _, _), (other, _, _) = leaves("p", once({keys[0]: dict.fromkeys(keys, 1)}).encode())
    assert len(one.encode()) <= KEY_BYTES
    assert len(other.encode()) <= KEY_BYTES
    assert one != other
    assert one.startswith(f"p|{keys[0]}|k")


def test_a_value_of_which_the_names_take_too_much_stays_json() -> None:
    value = {"k" * 500: {str(number): number for number in range(1000)}}
    whole = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert leaves("p", once(value).encode()) == [("p", whole, None)]
    few = {"k" * 500: {str(number): number for number in range(20)}}
    assert len(leaves("p", once(few).encode())) == 20


def test_a_long_list_takes_no_more_than_it_needs() -> None:
    found = leaves("p", once([{"a": number % 7} for number in range(100_000)]).encode())
    assert found == [*(("p|a", str(number), None) for number in range(7)), ("p", "100000", None)]


@pytest.mark.parametrize(
    "text",
    ["{'src': 'hda'}", "[]", "{}", "['src', 'id']", "[{'src': 5, 'id': 5}]", "[{'src': 'hda', 'id': 5}", "{'id': {}}"],
)
def test_other_texts_of_python_are_texts(text: str) -> None:
    assert leaf("p", text) == ("p", text, None)


@examples(600)
@given(value=VALUES, shape=st.sampled_from(SHAPES), name=st.sampled_from(["p", "q", "values", "k" * 510, "é" * 300]))
@example(value={"\ud800": 1} | {"\ud801": 2}, shape=once, name="p")
@example(value={"p": {"p": {"a": 1}}}, shape=nested, name="p")
def test_leaves_are_those_of_the_plain_reader(value: object, shape: Callable[[object], str], name: str) -> None:
    raw = utf8(shape(value))
    found = leaves(name, raw)
    if len(name.encode()) <= KEY_BYTES:
        assert set(found) == plain(name, raw)


@examples(300)
@given(st.text(alphabet='"\\{}[]:,p1ud8c0 n\0é…', max_size=40))
def test_any_text_has_leaves(text: str) -> None:
    raw = utf8(text)
    assert set(leaves("p", raw)) == plain("p", raw)
