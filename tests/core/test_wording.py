"""Counts and their nouns."""

from __future__ import annotations

import pytest

from grt_batch.core.wording import counted


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("0 archives", (0, "archive")),
        ("1 archive", (1, "archive")),
        ("2 archives", (2, "archive")),
        ("1 entry", (1, "entry")),
        ("2 entries", (2, "entry")),
        ("1 day", (1, "day", "days")),
        ("2 days", (2, "day")),
        ("2 keys", (2, "key")),
        ("2 series", (2, "series", "series")),
    ],
)
def test_a_count_agrees_with_its_noun(text: str, arguments: tuple[int, str]) -> None:
    assert counted(*arguments) == text
