"""Counts and their nouns."""

from __future__ import annotations

import pytest

from grt_batch.core.wording import counted, hours, on_one_line, share, spent


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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0 s", 0), ("0.25 s", 0.25), ("9.9 s", 9.94), ("59 s", 59), ("1 min", 60), ("1.5 h", 5400), ("3 d", 259_200)],
)
def test_a_time_is_in_the_unit_that_a_person_takes(text: str, seconds: float) -> None:
    assert spent(seconds) == text


def test_numbers_have_as_many_digits_as_help() -> None:
    assert [hours(count) for count in (0, 0.0412, 9.96, 1234.5, 1e6)] == ["0", "0.041", "10", "1,234", "1,000,000"]
    assert [share(part) for part in (0, 0.00123, 0.5, 1)] == ["0 %", "0.12 %", "50 %", "100 %"]


def test_an_error_is_one_line() -> None:
    assert on_one_line(ValueError("a\n b")) == "a b"
    assert on_one_line(ValueError()) == "ValueError"
