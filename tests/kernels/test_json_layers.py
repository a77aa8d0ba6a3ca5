"""JSON in JSON is opened until there is an object or a list; whatever else there is, the parser opens."""

from __future__ import annotations

import json

import numpy as np
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.decode.param_values import dump
from grt_batch.decode.param_values import opened as parsed
from grt_batch.kernels.json_layers import closed, opened
from grt_batch.kernels.json_text import ODD

VALUES = st.sampled_from(["text", "", 5, None, [], [1], {}, {"a": 1}, {"q": 1, "p": 2}, {"a": {"p": 1}}, [{"p": {}}]])


def inner(raw: str, name: str = "p") -> tuple[str, int] | None:
    """The object or list in a value and all that follows, and how many objects are to be closed."""
    data, scratch = np.frombuffer(raw.encode(), np.uint8), np.empty((2, len(raw.encode()) + 1), np.uint8)
    layer, at, end, closing = opened(
        data, 0, len(data), scratch, np.frombuffer(name.encode().ljust(9), np.uint8), len(name)
    )
    return None if at == ODD else (scratch[layer, at:end].tobytes().decode(), closing)


@examples(300)
@given(VALUES, st.lists(st.sampled_from(["encode", "wrap"]), max_size=9))
def test_what_is_opened_is_what_the_parser_opens(value: object, layers: list[str]) -> None:
    for layer in layers:
        value = json.dumps(value) if layer == "encode" else {"p": value}
    raw = json.dumps(value)
    found, expected = inner(raw), parsed("p", raw.encode())[0]
    if isinstance(expected, dict | list) and layers.count("encode") < 3 and layers.count("wrap") < 3:
        assert found
    if found:
        text, closing = found
        assert json.loads(text[: len(text) - closing]) == json.loads(dump(expected))


ODD_TEXTS = ("", "x", "5", '"', '"x', '"x"', '""', '"{}"x', '"{', '{"p": "{}"', '{"p": "{}"}}', '{"p": "[1]", "q": 1}')
SCALARS = ('{"p": 1, "q": 2}', '{"p": "x"}', '{"p": 5}')


@pytest.mark.parametrize("raw", [*ODD_TEXTS, *SCALARS, '{"\\u0070": {}}', '"\\ud800"'])
def test_other_texts_are_for_the_parser(raw: str) -> None:
    assert inner(raw) is None


def test_an_object_with_another_key_is_an_object() -> None:
    for raw in ('{"pq": {}}', '{"q": "{}"}', "{", '{"p"x', "{ }", '{"": 1}', '{"p":', '{"p" '):
        assert inner(raw) == (raw, 0)


@pytest.mark.parametrize(
    ("text", "closing", "good"),
    [
        ("}", 1, True),
        (" } }", 2, True),
        ("}", 0, False),
        ("} ", 1, False),
        ("}", 2, False),
        ("", 0, True),
        (",}", 1, False),
    ],
)
def test_braces_close_what_was_opened(text: str, closing: int, good: bool) -> None:
    assert closed(np.frombuffer(text.encode(), np.uint8), 0, len(text), closing) is good
