"""Codes for pairs of texts: as a dictionary of Python numbers them, in a table of any fill."""

from __future__ import annotations

import numpy as np
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.kernels.interning import hash_text, intern

TEXT = st.sampled_from([b"", b"a", b"b", b"ab", b"12345678", b"123456789", b"12345678x"]) | st.binary(max_size=20)
Pair = tuple[bytes, bytes]


@examples(100)
@given(st.lists(st.tuples(TEXT, TEXT), max_size=12))
@example([(b"a", b"b"), (b"ab", b""), (b"", b"ab"), (b"b", b"a"), (b"a", b"b")])
def test_each_pair_has_the_code_of_its_first_occurrence(pairs: list[Pair]) -> None:
    data = np.frombuffer(b"".join(one + other for one, other in pairs), np.uint8)
    # So small a table that pairs collide.
    table = np.zeros(16, np.int64)
    firsts = np.zeros((len(pairs), 4), np.int64)
    known: dict[Pair, int] = {}
    at = count = 0
    for one, other in pairs:
        middle, end = at + len(one), at + len(one) + len(other)
        new = (one, other) not in known
        code, count = intern(data, at, middle, middle, end, table, firsts, count)
        assert code == known.setdefault((one, other), len(known))
        assert not new or firsts[code].tolist() == [at, middle, middle, end]
        assert count == len(known)
        at = end


@examples(100)
@given(before=TEXT, text=TEXT, after=TEXT)
def test_a_hash_is_of_the_text_alone(before: bytes, text: bytes, after: bytes) -> None:
    alone = hash_text(np.frombuffer(text, np.uint8), 0, len(text), 7)
    among = hash_text(np.frombuffer(before + text + after, np.uint8), len(before), len(before) + len(text), 7)
    assert alone == among
