"""The leaves of the parameters of a block: those that the kernel makes, against the plain reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from build import examples, line
from hypothesis import example, given
from hypothesis import strategies as st
from places import REAL

from grt_batch.decode import coded_leaves
from grt_batch.decode.coded_leaves import Spans
from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.leaves import DATA, LeafText, leaves
from grt_batch.kernels import leaves as kernel
from grt_batch.sample.names import PARAMETERS
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import Leaf, Param
from grt_batch.uploads.archive import Block
from tests.decode.test_leaves import DATASETS, REFERENCE, SHAPES, VALUES, nested, once, plain, thrice, twice, utf8
from tests.decode.test_param_values import real_params

NAMES = st.sampled_from(["p", "q", "values", "None", "é"])
PIECES = (
    '"', "\\", "{", "}", "[", "]", ":", ",", " ", "p", "id", "src", "values", "0", "-1.5e3", "null", "true",
    '"p"', '"a"', '{"p": ', "\\u0041", "\\n", "\\/", "é",
)  # fmt: skip
AROUND = ("{}", '"{}"', '{{"p": {}}}', '{{"a": {}}}', "[{}]")
LAYOUT, _ = layout_of(Kind.PARAMS, [b"job_id\tname\tvalue"])
PLAIN = st.text(alphabet="ab c1.|é", max_size=5)
USUAL = st.dictionaries(
    st.sampled_from(["id", "src", "values", "a", "b", "é"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | PLAIN | st.sampled_from([REFERENCE, DATASETS, {"values": []}]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=12,
    ),
    min_size=1,
    max_size=5,
)


def leaves_of(text: bytes, wanted: Sequence[str] = (Leaf.kind,)) -> list[list[LeafText]]:
    """The leaves of each record."""
    return records(decode(Block(LAYOUT, 0, text), wanted))


def records(decoded: Decoded) -> list[list[LeafText]]:
    ends = np.cumsum(decoded.columns["leaves"])
    parts = np.split(decoded.columns["leaf"], ends[:-1]) if len(ends) else []
    return [[decoded.texts["leaf"][code] for code in part] for part in parts]  # type: ignore[misc]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The values that the kernel leaves to the parser."""
    found: list[bytes] = []

    def keep(name: str, raw: bytes) -> list[LeafText]:
        found.append(raw)
        return plain_leaves(name, raw)

    plain_leaves = coded_leaves.leaves
    monkeypatch.setattr(coded_leaves, "leaves", keep)
    return found


def test_spans_are_places_one_after_the_other() -> None:
    assert Spans(np.array([5, 0, 9]), np.array([2, 0, 1])).places().tolist() == [5, 6, 9]
    assert Spans(np.array([], np.int64), np.array([], np.int64)).places().tolist() == []


@examples(400)
@given(st.lists(st.tuples(NAMES, VALUES, st.sampled_from(SHAPES)), max_size=6))
@example([("p", {"a": {"p": 1}}, once), ("p", {"a": {"p": 1}}, once)])
@example([("p", {"p": [{"p": 1}]}, nested), ("p", {"p": 1, "q": 2}, nested)])
@example([("p", "x" * 2_000_000, once), ("p", {"a": "x" * 2_000_000}, twice)])
@example([("p", [{"a": number} for number in range(3000)], thrice)])
def test_the_leaves_of_a_block_are_those_of_the_plain_reader(
    drawn: list[tuple[str, object, Callable[[object], str]]],
) -> None:
    pairs = [(name, utf8(shape(value))) for name, value, shape in drawn]
    found = leaves_of(b"".join(line(1, name, raw.decode()) for name, raw in pairs if b"\n" not in raw))
    expected = [plain("" if name == "None" else name, raw) for name, raw in pairs if b"\n" not in raw]
    assert [set(some) for some in found] == expected
    # In this order whether there was room for the kernel or not.
    assert found == [leaves("" if name == "None" else name, raw) for name, raw in pairs if b"\n" not in raw]


@examples(300)
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(AROUND))
def test_what_is_hardly_json_is_read_as_the_plain_reader_does(pieces: list[str], around: str) -> None:
    raw = around.format("".join(pieces))
    for text in (raw, json.dumps(raw)):
        assert [set(some) for some in leaves_of(line(1, "p", text))] == [plain("p", text.encode())]


@examples(200)
@given(USUAL, st.sampled_from([once, twice, thrice, nested]))
def test_usual_values_need_no_parser(value: dict[str, object], shape: Callable[[object], str]) -> None:
    found: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coded_leaves, "leaves", lambda name, raw: found.append(raw) or [("p", None, None)])
        some = leaves_of(line(1, "p", shape(value)))
    whole = plain("p", shape(value).encode())
    if any(isinstance(item, dict | list) for item in [value, *value.values()]) and len(whole) > 1:
        assert not found or "|" in str(sorted(value)) or "\\u" in shape(value)
        assert found or set(some[0]) == whole


def test_a_value_is_read_once_in_a_block(parsed: list[bytes]) -> None:
    odd = '{"a": "\\ud800"}'
    found = leaves_of(line(1, "p", odd) * 3 + line(2, "q", odd))
    assert parsed == [odd.encode()] * 2
    assert [len(some) for some in found] == [1, 1, 1, 1]


def test_the_nested_values_of_the_sample_need_no_parser(parsed: list[bytes]) -> None:
    values = [(name, value) for name in PARAMETERS for value in PARAMETERS[name] if isinstance(value, dict | list)]
    text = b"".join(line(1, name, shape(value)) for name, value in values for shape in (once, twice, thrice, nested))
    found = leaves_of(text)
    assert len(found) == 4 * len(values) > 4
    assert not parsed


def test_what_has_no_room_is_for_the_parser(parsed: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    value = {f"{number}": {f"{number}": f"{number}"} for number in range(200)}
    text = b"".join(line(1, f"name{number}", nested(value)) for number in range(300))
    expected = leaves_of(text)
    monkeypatch.setattr(coded_leaves, "_SHORTEST_LEAF", 100)
    assert [set(some) for some in leaves_of(text)] == [set(some) for some in expected]
    assert parsed


def test_parameters_and_leaves_are_decoded_together_or_alone() -> None:
    text = line(1, "p", nested({"a": 1, "b": [1]})) + line(2, "q", "x") + line(1, "p", nested(DATASETS))
    both = decode(Block(LAYOUT, 0, text), (Param.kind, Leaf.kind))
    assert records(both) == leaves_of(text) == [
        [("p|a", "1", None), ("p|b", "[1]", None)], [("q", "x", None)], [("p", None, DATA)]
    ]  # fmt: skip
    params = [both.texts["param"][code][:2] for code in both.columns["param"].tolist()]
    alone = decode(Block(LAYOUT, 0, text), (Param.kind,))
    assert params == [alone.texts["param"][code][:2] for code in alone.columns["param"].tolist()]
    assert [both.texts["name"][code] for code in both.columns["name"].tolist()] == [("p",), ("q",), ("p",)]
    assert "leaf" not in alone.texts
    assert "param" not in decode(Block(LAYOUT, 0, text), (Leaf.kind,)).texts


def test_a_salvaged_line_has_leaves_in_its_place() -> None:
    tabbed = b"2\tp\tq\t" + nested({"a": 1}).encode() + b"\n"
    joined = b"7\tp\t3\tp\t" + nested({"a": 3}).encode() + b"\n"
    text = line(1, "p", nested({"a": 1})) + joined + line(4, "p", nested({"a": 1}))
    assert leaves_of(text) == [[("p|a", "1", None)], [("p|a", "3", None)], [("p|a", "1", None)]]
    assert decode(Block(LAYOUT, 0, tabbed), (Leaf.kind,)).accepted in (0, 1)
    assert leaves_of(b"") == []


@pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")
def test_the_leaves_of_real_parameters_are_those_of_the_plain_reader(parsed: list[bytes]) -> None:
    real = [(name, raw) for _, _, name, raw in real_params(REAL)]
    found = leaves_of(b"".join(line(1, name, raw.decode()) for name, raw in real))
    expected = {pair: plain(*pair) for pair in set(real)}
    assert [set(some) for some in found] == [expected[pair] for pair in real]
    assert len(parsed) < 0.02 * len(expected)


def test_levels_are_those_of_the_parser() -> None:
    value: object = 1
    for depth in range(1, 20):
        value = {"k": value} if depth % 2 else [value]
        assert set(leaves_of(line(1, "p", once(value)))[0]) == plain("p", once(value).encode())
    assert kernel.LEVELS == 16
