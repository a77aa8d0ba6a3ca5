"""The owners of an instance, and what is an address."""

from __future__ import annotations

import pytest

from grt_batch.ledger.people import ADDRESS, nobody, owners_of
from grt_batch.uploads.metadata import InstanceMetadata


def test_an_owner_counts_once_and_a_blank_one_never() -> None:
    assert owners_of(InstanceMetadata()) == []
    assert owners_of(InstanceMetadata(owners=("b", "a", "", "b", " \t", "B"))) == ["b", "a", "B"]


def test_nobody_is_known() -> None:
    assert nobody(["jane.doe"]) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("jane.doe", []),
        ("Jo <jo@x.org>, al+grt@y.z.org", ["jo@x.org", "al+grt@y.z.org"]),
        ("a@b.org\nBcc: all@b.org?x=y&to=z", ["a@b.org", "all@b.org"]),
        ("@twitter a@localhost", []),
    ],
)
def test_addresses_are_found_in_any_text(text: str, found: list[str]) -> None:
    assert ADDRESS.findall(text) == found
