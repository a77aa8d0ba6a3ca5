"""MurmurHash64A of many texts, against the same in plain Python."""

from __future__ import annotations

import polars as pl
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.aggregate.text_hash import hashes

MASK = 2**64 - 1
MULTIPLIER = 0xC6A4A7935BD1E995


def hash_of(text: str) -> int:
    """MurmurHash64A of the text's UTF-8, seed 0x9E3779B97F4A7C15."""
    data = text.encode()
    value = 0x9E3779B97F4A7C15 ^ (len(data) * MULTIPLIER & MASK)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little") * MULTIPLIER & MASK
        value = ((value ^ ((word ^ word >> 47) * MULTIPLIER & MASK)) * MULTIPLIER) & MASK
    if len(data) > whole:
        value = (value ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & MASK
    value = (value ^ value >> 47) * MULTIPLIER & MASK
    return value ^ value >> 47


@examples(200)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=30)))
@example([])
@example([""])
@example(["", "a", "", "12345678", "123456789", "é" * 8])
def test_the_hash_is_the_same_as_in_plain_python(texts: list[str]) -> None:
    assert hashes(pl.Series(texts, dtype=pl.String)).tolist() == [hash_of(text) for text in texts]


def test_hashes_of_like_texts_are_spread_evenly() -> None:
    found = hashes(pl.Series([f"value {i}" for i in range(100_000)]))
    for bits in (0, 30, 56):
        counts = pl.Series((found >> bits) & 0xFF).value_counts()["count"]
        # 100,000 / 256 = 391, and five standard deviations of 20.
        assert len(counts) == 256
        assert 290 < counts.min() <= counts.max() < 492  # type: ignore[operator]
