"""The values that are read without a parser, against the parser."""

from __future__ import annotations

import json

import numpy as np
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.decode.param_values import unwrap
from grt_batch.kernels.constants import ODD, REFERENCES
from grt_batch.kernels.param_values import pieces, shapes
from grt_batch.sample.names import PARAMETERS
from grt_batch.sample.releases import Shape

NAMES = ["p", "", "values", "None", "a|b", 'q"', "\\", "é", "null", "x" * 255, "x" * 256, "id", '{"', "p: "]
TEXTS = st.text('ab"\\{}[]: ,0é\n\x7f', max_size=6) | st.sampled_from(
    [
        "null",
        "None",
        "values",
        "12",
        "0",
        "-1",
        "1.5",
        "true",
        "hg38",
        "\\",
        '"',
        '\\"',
        "[]",
        "{}",
        "{a}",
        "\x00",
        "\ud800",
    ]
)
IDS = st.sampled_from([0, 1, 12, 10**17, 10**18, -1, "12", None])
REFERENCE = st.builds(lambda number, source: {"id": number, "src": source}, IDS, st.sampled_from(["hda", "", "HDA", 1]))
VALUES = TEXTS | st.integers() | st.builds(lambda found: {"values": found}, st.lists(REFERENCE, max_size=3))


def read(name: str, raw: bytes) -> tuple[str | None, bool] | None:
    """What the shape of a value says, None where that is for the parser."""
    text = name.encode() + b"\t" + raw
    start = len(name.encode()) + 1
    found = np.empty((1, 3), np.int64)
    data = np.frombuffer(text, np.uint8)
    shapes(data, np.array([[0, start - 1, start, len(text)]]), found)
    out = np.empty(len(text) + 1, np.uint8)
    value = out[: pieces(data, found, out)].tobytes().decode()
    assert value.endswith("\n")
    kind = found[0, 0]
    return None if kind == ODD else (value[:-1], bool(kind == REFERENCES))


def agrees(name: str, raw: bytes) -> bool:
    """Whether the value was read without the parser; what was read is what the parser reads."""
    found = read(name, raw)
    # The join takes the name None for null.
    assert found in (None, unwrap("" if name == "None" else name, raw)), raw
    return found is not None


@examples(400)
@given(st.sampled_from(NAMES), VALUES, st.sampled_from(Shape))
@example("p", "null", Shape.BARE)
@example("p", "None", Shape.BARE)
@example("p", "", Shape.BARE)
@example("p", '"null"', Shape.BARE)
@example("p", "[", Shape.BARE)
def test_what_is_read_is_what_the_parser_reads(name: str, value: object, shape: Shape) -> None:
    raw = shape.write(name, value).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    # No line that is decoded holds NUL.
    agrees(name, raw.replace("\0", "\ufffd").encode())


@examples(400)
@given(
    st.sampled_from(NAMES),
    st.lists(
        st.sampled_from(
            ['"', "\\", "{", "}", "[", "]", ": ", ", ", "p", "values", "id", "src", "hda", "12", "0", '\\"', '\\\\\\"']
        ),
        max_size=12,
    ),
)
def test_what_is_no_json_is_for_the_parser(name: str, pieces: list[str]) -> None:
    agrees(name, f'"{"".join(pieces)}"'.encode())


@pytest.mark.parametrize(
    "raw",
    [
        rb'"\"hg38\""',
        rb'"{\"p\": \"hg38\"}"',
        rb'"{\"p\": \"\\\"hg38\\\"\"}"',
        rb'"{\"p\": 12}"',
        rb'"{\"values\": [{\"id\": 12, \"src\": \"hda\"}]}"',
        rb'"{\"p\": {\"values\": [{\"id\": 12, \"src\": \"hda\"}, {\"id\": 1, \"src\": \"hdca\"}]}}"',
        rb'"{\"p\": \"{\\\"values\\\": []}\"}"',
        rb'"hg38"',
        rb'{"p": "hg38"}',
        rb'{"p": "\"hg38\""}',
        rb'{"p": 12}',
        rb'{"values": [{"id": 12, "src": "hda"}]}',
        rb'{"p": {"values": [{"id": 12, "src": "hda"}, {"id": 1, "src": "hdca"}]}}',
    ],
)
def test_the_usual_shapes_need_no_parser_and_all_that_are_cut_short_do(raw: bytes) -> None:
    assert agrees("p", raw)
    for end in range(1, len(raw)):
        assert not agrees("p", raw[:end])
    for place in range(len(raw)):
        for byte in b'"\\{}[]:, 0a':
            agrees("p", raw[:place] + bytes([byte]) + raw[place + 1 :])
            agrees("p", raw[:place] + bytes([byte]) + raw[place:])


def test_nearly_all_values_of_the_sample_need_no_parser() -> None:
    raws = [
        (name, json.dumps(json.dumps({name: value})).encode())
        for name in PARAMETERS
        for value in PARAMETERS[name]
        if isinstance(value, str)
    ]
    assert sum(agrees(name, raw) for name, raw in raws) > 0.5 * len(raws)
