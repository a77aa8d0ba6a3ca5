"""The hash of texts is the same in every version."""

from __future__ import annotations

import polars as pl
import pytest

from grt_batch.aggregate.text_hash import hashes


@pytest.mark.parametrize(
    ("text", "hashed"), [("hg38", 0x96E5EA2BBDC20AC7), ("", 0x84D69DCEF1E6733A), ("Müller", 0x98EE2438084C9CB2)]
)
def test_a_hash_never_changes(text: str, hashed: int) -> None:
    """The stored registers of other versions rest on it."""
    assert hashes(pl.Series([text])).tolist() == [hashed]
