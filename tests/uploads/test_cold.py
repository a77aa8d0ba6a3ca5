"""Markers of cold archives: what is written is read, and a damaged one is told from a good one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grt_batch.core.errors import Quarantine
from grt_batch.uploads.cold import ENDING, MOST_BYTES, ColdCopy, marker_of, read_cold, remove_cold, write_cold

COPY = ColdCopy(
    "s3://bucket/raw/uni/1.tar.gz", "ab" * 32, 12, (12, 1_500_000_000_123_456_789, 7), "2026-11-30T00:00:00Z"
)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / f"1{ENDING}"


@pytest.mark.parametrize(
    "copy",
    [
        COPY,
        replace(COPY, storage_class="DEEP_ARCHIVE", thawing="2026-12-01T00:00:00Z", request={"tier": "Bulk", "n": 1}),
        replace(COPY, stamp=(2**63, 2**64 - 1, 0)),
    ],
)
def test_what_is_written_is_read(marker: Path, copy: ColdCopy) -> None:
    write_cold(marker, COPY)
    write_cold(marker, copy)
    assert read_cold(marker) == copy
    assert list(marker.parent.iterdir()) == [marker]


def test_a_marker_lies_beside_its_tar_gz() -> None:
    assert marker_of(Path("a/1501836597.08.tar.gz")) == Path("a/1501836597.08.cold")


def test_a_marker_is_removed_once(marker: Path) -> None:
    write_cold(marker, COPY)
    remove_cold(marker)
    remove_cold(marker)
    assert list(marker.parent.iterdir()) == []


def test_what_another_version_wrote_is_passed_over(marker: Path) -> None:
    write_cold(marker, COPY)
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "new": 1}), encoding="utf-8")
    assert read_cold(marker) == COPY


def test_a_marker_has_the_rights_of_other_files(marker: Path) -> None:
    os.umask(0o027)
    write_cold(marker, COPY)
    write_cold(marker, COPY)
    assert marker.stat().st_mode & 0o777 == 0o640


def test_what_has_a_default_may_be_missing(marker: Path) -> None:
    write_cold(marker, COPY)
    document = json.loads(marker.read_text())
    for name in ("storage_class", "thawing", "request"):
        del document[name]
    marker.write_text(json.dumps(document), encoding="utf-8")
    assert read_cold(marker) == COPY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", ""),
        ("url", "s3://a\nb"),
        ("sha256", "AB" * 32),
        ("bytes", -1),
        ("bytes", True),
        ("stamp", [1, 2]),
        ("stamp", [1, 2, "3"]),
        ("stamp", None),
        ("moved", None),
        ("storage_class", 1),
        ("thawing", None),
        ("request", []),
    ],
)
def test_a_wrong_value_is_named(marker: Path, name: str, value: Any) -> None:
    write_cold(marker, COPY)
    marker.write_text(json.dumps({**json.loads(marker.read_text()), name: value}), encoding="utf-8")
    with pytest.raises(Quarantine, match=rf"^1\.cold has no or a wrong {name}$"):
        read_cold(marker)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "1.cold is no JSON"),
        (b"{", "1.cold is no JSON"),
        (b"[]", "1.cold is no JSON object"),
        (b"{}", "1.cold has no or a wrong url and sha256 and bytes and stamp and moved"),
        (b" " * (MOST_BYTES + 1), "1.cold has more than"),
    ],
)
def test_a_damaged_marker_is_told(marker: Path, content: bytes, reason: str) -> None:
    marker.write_bytes(content)
    with pytest.raises(Quarantine) as raised:
        read_cold(marker)
    assert raised.value.reason.startswith(reason)


def test_what_is_no_file_is_told(marker: Path) -> None:
    os.mkfifo(marker)
    with pytest.raises(Quarantine, match="cannot be read"):
        read_cold(marker)
