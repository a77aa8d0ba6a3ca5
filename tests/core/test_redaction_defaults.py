"""The defaults of redaction can be used, and match what they are for."""

from __future__ import annotations

import polars as pl
import pytest

from grt_batch.core.config import Config
from grt_batch.core.redaction_defaults import NAMES, PATTERNS
from grt_batch.decode.redaction import Redaction

HIDDEN = [
    "postgres://user:word@host/db",
    "x-amz-signature=0123abcd",
    "jane.doe@example.org",
    "/home/jane",
    "0123456789abcdef0123456789abcdef",
    "AKIA0123456789ABCDEF",
    "ghp_0123456789abcdef",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
    "Bearer 0123456789abcdef",
]
"""A text for each pattern, in their order."""


def test_the_defaults_are_those_of_the_configuration_and_can_be_used() -> None:
    assert (Config.redact_patterns, Config.redact_names) == (PATTERNS, NAMES)
    Redaction(PATTERNS, NAMES).check()


def test_every_pattern_matches_what_it_is_for() -> None:
    for pattern, text in zip(PATTERNS, HIDDEN, strict=True):
        assert pl.Series([text]).str.contains(pattern).item(), pattern


@pytest.mark.parametrize("text", ["hg38", "bwa mem -t 8", "2024-06-30 10:00:00", "toolshed.g2.bx.psu.edu/repos/iuc/x"])
def test_no_pattern_matches_what_tables_are_about(text: str) -> None:
    assert not any(pl.Series([text]).str.contains(pattern).item() for pattern in PATTERNS)


def test_names_are_different_words_in_small_letters() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(name.replace("_", "").isalpha() and name.islower() for name in NAMES)
