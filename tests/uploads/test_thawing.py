"""What it takes to bring archives back: requests only for what is frozen, and the wait of the slowest."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.uploads.cold import ColdCopy
from grt_batch.uploads.scan import Archive
from grt_batch.uploads.thawing import Thawing, thawing_of


def cold(storage_class: str, thawing: str = "") -> Archive:
    copy = ColdCopy("s3://bucket/1.tar.gz", "ab" * 32, 5, (5, 0, 0), "2024-06-30T12:00:00Z", storage_class, thawing)
    return Archive("a", "1", Path("1.tar.gz"), 5, (5, 0, 0), None, cold=copy, is_cold=True)


@pytest.mark.parametrize(
    ("archives", "text"),
    [
        ([cold("")], "1 archive, 5 bytes, to be read at once"),
        ([cold("STANDARD_IA"), cold("GLACIER_IR")], "2 archives, 10 bytes, to be read at once"),
        ([cold("GLACIER")], "1 archive, 5 bytes, 1 request, about 3 to 5 hours, or 5 to 12 hours in bulk"),
        ([cold("DEEP_ARCHIVE")] * 2, "2 archives, 10 bytes, 2 requests, about 12 hours, or 48 hours in bulk"),
        (
            [cold("GLACIER"), cold("DEEP_ARCHIVE", "2024-06-30T13:00:00Z"), cold("")],
            "3 archives, 15 bytes, 1 request, about 12 hours, or 48 hours in bulk",
        ),
    ],
    ids=str,
)
def test_what_it_takes_is_one_line(archives: list[Archive], text: str) -> None:
    assert str(thawing_of(archives)) == text


def test_what_it_takes_may_be_json() -> None:
    found = thawing_of([cold("GLACIER")]).as_json()
    assert found == {"bytes": 5, "requests": 1, "hours": [3, 5], "hours_in_bulk": [5, 12]}
    assert thawing_of([]) == Thawing()
