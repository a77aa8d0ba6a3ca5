"""Words of eight bytes, against Python's integers and slices."""

from __future__ import annotations

import numba
import numpy as np
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.kernels import words
from grt_batch.kernels.compiler import dispatcher

TEXT = st.text("ab\x00\xff", max_size=20).map(lambda text: text.encode("latin-1"))
EIGHT = st.text("0123456789/:\x00\xb0\xff", min_size=8, max_size=8).map(lambda text: text.encode("latin-1"))


trailing_zeros, leading_zeros = dispatcher(words.trailing_zeros), dispatcher(words.leading_zeros)


@numba.njit
def lowest_zeros(word: np.uint64) -> np.uint64:
    return trailing_zeros(word)


@numba.njit
def highest_zeros(word: np.int64) -> np.int64:
    return leading_zeros(word)


def array(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8)


def word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


def is_digit(text: bytes) -> bool:
    return b"0" <= text <= b"9"


@examples(100)
@given(before=TEXT, text=st.binary(max_size=7), after=TEXT)
@example(before=b"", text=b"", after=b"")
def test_the_last_bytes_are_a_number_whatever_follows(before: bytes, text: bytes, after: bytes) -> None:
    found = words.last_bytes(array(before + text + after), len(before), len(text))
    assert int(found) == int.from_bytes(text, "little")


@examples(150)
@given(one=TEXT, other=TEXT, before=TEXT, after=TEXT)
@example(one=b"12345678", other=b"12345678", before=b"", after=b"")
@example(one=b"123456789", other=b"12345678x", before=b"", after=b"")
def test_texts_are_equal_if_all_their_bytes_are(one: bytes, other: bytes, before: bytes, after: bytes) -> None:
    size = min(len(one), len(other))
    for text in (one[:size], other[:size]):
        found = words.equal(array(one), 0, array(before + text + after), len(before), size)
        assert found == (one[:size] == text)


@examples(150)
@given(EIGHT)
@example(b"00000000")
@example(b"99999999")
@example(b"1234567\xfa")
def test_eight_digits_are_a_number(text: bytes) -> None:
    expected = int(text) if all(is_digit(text[i : i + 1]) for i in range(8)) else -1
    assert words.eight_digits(word(text)) == expected


@examples(150)
@given(st.integers(0, 8), EIGHT)
@example(8, b"00000000")
@example(0, b"x2345678")
def test_leading_digits_end_at_the_first_other_byte(count: int, text: bytes) -> None:
    text = b"12345678"[:count] + text[count:]
    digits = next((i for i in range(8) if not is_digit(text[i : i + 1])), 8)
    assert words.leading_digits(word(text)) == (digits, int(text[:digits] or b"0"))


@examples(100)
@given(st.integers(1, 2**63 - 1))
def test_zero_bits_are_counted_from_both_ends(number: int) -> None:
    assert lowest_zeros(np.uint64(number)) == (number & -number).bit_length() - 1
    assert highest_zeros(np.int64(number)) == 64 - number.bit_length()


def test_no_bit_at_all_is_64_zeros() -> None:
    assert highest_zeros(np.int64(0)) == 64
