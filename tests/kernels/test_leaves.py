"""The kernel of leaves alone; that it agrees with plain readers is tested where its codes get their texts."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from grt_batch.kernels import leaves as kernel
from grt_batch.kernels.leaf_codes import CODES, DATA, LEAVES, NAMES, SIZE, STATE
from grt_batch.kernels.leaves import FRAME, LEVELS

Found = tuple[list[int], list[tuple[str, str | int]], npt.NDArray[np.int64]]


def found(*values: str, name: str = "p", most: int = 100, room: int = 1000) -> Found:
    """Where the leaves of each value end, the leaf of each code, and the numbers in the end."""
    text = "".join(f"{name}{value}" for value in values).encode()
    places, at = [], 0
    for value in values:
        begin, at = at, at + len(f"{name}{value}".encode())
        places.append((begin, begin + len(name), begin + len(name), at))
    longest = max(map(len, values)) + 8
    spans, known = np.empty((most, 2), np.int64), np.empty((most, 3), np.int64)
    out, codes, ends = np.empty(room, np.uint8), np.empty(most, np.int64), np.empty(len(values), np.int64)
    state = np.zeros(STATE, np.int64)
    kernel.leaves(
        np.frombuffer(text, np.uint8), np.array(places), np.empty((2, longest), np.uint8),
        np.empty(longest + 1024, np.uint8), np.empty(2 * longest + 64, np.uint8), np.empty((longest + 16, 3), np.int64),
        np.empty((LEVELS, FRAME), np.int64), out, np.zeros((2, 1024), np.int64), spans, np.zeros((2, most), np.int64),
        known, codes, ends, state,
    )  # fmt: skip
    whole = out[: state[SIZE]].tobytes()
    names = [whole[start:end].decode() for start, end in spans[: state[NAMES]].tolist()]
    texts = [
        (names[one], whole[start:end].decode() if start >= 0 else start)
        for one, start, end in known[: state[LEAVES]].tolist()
    ]
    return ends.tolist(), [texts[code] for code in codes[: state[CODES]].tolist()], state


def test_each_value_has_its_codes_and_each_leaf_is_kept_once() -> None:
    ends, leaves, state = found(
        '{"a": 1, "b": null}', '{"b": null, "a": 1, "c": {"src": "hda", "id": 7}}', '{"a": "1"}'
    )
    assert ends == [2, 5, 6]
    assert leaves == [("p|a", "1"), ("p|b", ""), ("p|b", ""), ("p|a", "1"), ("p|c", DATA), ("p|a", "1")]
    assert state[LEAVES] == 3
    assert state[NAMES] == len(["p", "p|a", "p|b", "p|c", "p|c|src", "p|c|id"])


def test_a_value_has_a_leaf_once() -> None:
    assert found(json.dumps([{"a": number % 2} for number in range(20)]))[1] == [
        ("p|a", "0"),
        ("p|a", "1"),
        ("p", "20"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "text", "", '"text"', "12", '{"p": 5}', '{"p": "text"}', '{"p": "\\"text\\""}', "{", "[", '{"a"', '{"a":',
        '{"a": 1',
        '{"a": 1}}', '{"a": 1} ', '{"a": 1, }', '{"a" 1}', "{a: 1}", '{"a": 1]', '["a": {}]', '{"a": 1, "a": 2}',
        '{"a|b": 1}', '{"a": "\\ud800"}', '{"\\u0070": {"a": 1}}', '{"p": {"a": 1}, "q": 2}',
        '{"' + "k" * 600 + '": 1}',
        '{"a": ' * 17 + "1" + "}" * 17, json.dumps({f"{number:0500}": 1 for number in range(33)}), '{"a": [1}', "[{}",
    ],
)  # fmt: skip
def test_what_is_odd_is_for_the_parser(value: str) -> None:
    ends, leaves, _ = found('{"a": 1}', value, '{"a": 2}', most=2000, room=100_000)
    assert ends == [1, 1, 2]
    assert leaves == [("p|a", "1"), ("p|a", "2")]


def test_a_name_that_can_be_written_in_several_ways_is_for_the_parser() -> None:
    for name in ("values", "None", "é", 'q"', "x" * 256):
        assert not found('{"a": 1}', name=name)[1]


@pytest.mark.parametrize("most", range(1, 8))
def test_without_room_a_value_is_for_the_parser(most: int) -> None:
    ends, leaves, _ = found('{"a": 1, "b": 2}', '{"c": 3}', most=most)
    expected = [("p|a", "1"), ("p|b", "2")] if most >= 3 else []
    assert leaves[: ends[0]] == expected
    assert leaves[ends[0] :] in ([("p|c", "3")], [])


@pytest.mark.parametrize("room", range(1, 16))
def test_without_room_for_texts_a_value_is_for_the_parser(room: int) -> None:
    assert found('{"a": "12", "b": 2}', room=room)[1] in ([("p|a", "12"), ("p|b", "2")], [])
