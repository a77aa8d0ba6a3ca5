"""Names and leaves are stored once, and have codes."""

from __future__ import annotations

import numpy as np
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.kernels.json_text import ODD
from grt_batch.kernels.leaf_codes import CODES, DATA, LEAVES, MOST_NAMES_BYTES, NAMES, SIZE, STATE, code_of, keep

TEXTS = st.text(alphabet="ab|é", max_size=20)


class Codes:
    """Room for codes."""

    def __init__(self, most: int = 100, room: int = 5000) -> None:
        self.out, self.tables = np.empty(room, np.uint8), np.zeros((2, 256), np.int64)
        self.names, self.known = np.empty((most, 2), np.int64), np.empty((most, 3), np.int64)
        self.codes, self.stamps, self.state = (
            np.empty(most, np.int64),
            np.zeros(most, np.int64),
            np.zeros(STATE, np.int64),
        )

    def name(self, text: str) -> int:
        raw = text.encode()
        return int(
            code_of(np.frombuffer(raw.ljust(9), np.uint8), len(raw), self.out, self.tables[0], self.names, self.state)
        )

    def keep(self, number: int, *leaves: tuple[int, str | int]) -> list[tuple[str, str | int]]:
        """Keep the leaves of a value. Return what was kept of them."""
        text = b"".join(value.encode() for _, value in leaves if isinstance(value, str))
        pending, at = [], 0
        for name, value in leaves:
            begin = at if isinstance(value, str) else value
            at += len(value.encode()) if isinstance(value, str) else 0
            pending.append((name, begin, at if isinstance(value, str) else value))
        before = int(self.state[CODES])
        keep(
            number, np.frombuffer(text.ljust(9), np.uint8), np.array(pending), len(pending), self.out, self.tables[1],
            self.names, self.stamps, self.known, self.codes, self.state,
        )  # fmt: skip
        return [self.leaf(code) for code in self.codes[before : self.state[CODES]].tolist()]

    def leaf(self, code: int) -> tuple[str, str | int]:
        name, start, end = self.known[code].tolist()
        begin, stop = self.names[name].tolist()
        value = self.out[start:end].tobytes().decode() if start >= 0 else start
        return self.out[begin:stop].tobytes().decode(), value


@examples(100)
@given(st.lists(st.lists(st.tuples(TEXTS, TEXTS | st.just(DATA)), min_size=1, max_size=6), max_size=8))
def test_leaves_are_kept_once_and_once_for_each_value(values: list[list[tuple[str, str | int]]]) -> None:
    room = Codes()
    for number, value in enumerate(values, 1):
        found = room.keep(number, *((room.name(name), text) for name, text in value))
        assert found == list(dict.fromkeys(value))
    assert room.state[NAMES] == len({name for value in values for name, _ in value})
    assert room.state[LEAVES] == len({leaf for value in values for leaf in value})


def test_there_is_room_or_a_value_has_no_codes() -> None:
    room = Codes(most=2, room=6)
    assert [room.name(text) for text in ("a", "b", "a", "c")] == [0, 1, 0, ODD]
    assert room.keep(1, (0, "12"), (1, "345")) == []
    assert room.keep(2, (0, "1"), (0, "2"), (0, "3")) == []
    assert room.keep(3, (0, "12"), (1, DATA)) == [("a", "12"), ("b", DATA)]
    assert room.state[SIZE] == 4
    assert room.keep(4, (0, "12")) == []
    assert Codes(room=2).name("abc") == ODD


def test_a_value_with_too_many_names_has_no_codes() -> None:
    room = Codes()
    code = room.name("a" * 400)
    most = MOST_NAMES_BYTES // 400
    assert len(room.keep(1, *((code, f"{number}") for number in range(most)))) == most
    assert room.keep(2, *((code, f"{number}") for number in range(most + 1))) == []
