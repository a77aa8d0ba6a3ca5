"""A gzip is unpacked within limits, and to its last byte."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
from build import END_MARK, entry, header, member, packed
from read_to_end import GOOD, JOBS, METRICS, MIB, read, reason

from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock
from grt_batch.schema.members import Kind
from grt_batch.uploads import unpacking


def test_a_gzip_may_have_several_parts_and_end_in_zeros(scratch: Path) -> None:
    tar = GOOD + END_MARK
    result = read(scratch, gzip.compress(tar[:700]) + gzip.compress(tar[700:]) + bytes(100))
    assert list(result.texts) == [(Kind.JOBS, 0)]


def test_a_stream_is_read_into_a_buffer_and_goes_on_but_never_back(scratch: Path) -> None:
    text = bytes(range(256)) * 20_000
    scratch.write_bytes(gzip.compress(text[:3_000_001]) + gzip.compress(text[3_000_001:]))
    with scratch.open("rb") as packed_file:
        stream = unpacking.Gunzip(packed_file, unpacking.Limits(), Clock())
        buffer = bytearray(4_000_000)
        assert (stream.readinto(memoryview(buffer)[7:]), stream.tell()) == (3_999_993, 3_999_993)
        assert buffer[7:] == text[:3_999_993]
        assert (stream.seek(10), stream.seek(5_000_001)) == (3_999_993, 5_000_001)
        assert (stream.readinto(buffer), buffer[:119_999]) == (119_999, text[5_000_001:])
        assert (stream.readinto(buffer), stream.read(1)) == (0, b"")
        with pytest.raises(Quarantine, match="ends inside an entry"):
            stream.seek(len(text) + 1)


def test_an_archive_that_unpacks_to_too_much_is_a_bomb(scratch: Path) -> None:
    content = packed(member(Kind.JOBS, JOBS * 1000))
    assert reason(scratch, content, max_archive_bytes=MIB) == f"it unpacks to more than {MIB} bytes"
    assert read(scratch, content, max_archive_bytes=8 * MIB).reader.text_bytes > MIB


def test_a_bomb_is_known_by_its_ratio_but_a_small_one_hurts_nobody(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = packed(member(Kind.JOBS, JOBS * 3000))
    assert read(scratch, content, max_ratio=10).texts
    monkeypatch.setattr(unpacking, "_FREE_BYTES", MIB)
    assert reason(scratch, content, max_ratio=10) == "it unpacks to more than 10 times its size"
    assert read(scratch, content, max_ratio=100_000).texts
    assert read(scratch, content, max_ratio=0).texts


def test_a_bomb_may_also_hide_in_a_member_that_is_passed_over_or_behind_the_end(scratch: Path) -> None:
    zeros = bytes(8 * MIB)
    for content in packed(entry("zeros", zeros), GOOD), packed(GOOD, end=END_MARK + zeros):
        assert reason(scratch, content, max_archive_bytes=4 * MIB) == f"it unpacks to more than {4 * MIB} bytes"


@pytest.mark.parametrize("name", ["README", "0.jobs.tsv"])
@pytest.mark.parametrize("size", [2**33, 2**80])
def test_an_entry_that_claims_to_be_larger_than_the_archive_ends_in_quarantine(
    scratch: Path, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A counter stands in for patience: to skip 2^80 bytes tarfile would read on behind the end for ever."""
    calls, unpack = itertools.count(), unpacking.Gunzip.read

    def count(self: unpacking.Gunzip, size: int = -1) -> bytes:
        assert next(calls) < 100_000
        return unpack(self, size)

    monkeypatch.setattr(unpacking.Gunzip, "read", count)
    assert reason(scratch, packed(header(name, size), b"1\n", end=b""))


def test_a_truncated_gzip_ends_in_quarantine(scratch: Path) -> None:
    content = packed(GOOD, member(Kind.METRIC_NUM, METRICS))
    for size in range(1, len(content)):
        assert reason(scratch, content[:size]).startswith("its ")


@pytest.mark.parametrize("at", range(1, 9))
def test_a_wrong_checksum_or_length_of_the_gzip_ends_in_quarantine(scratch: Path, at: int) -> None:
    content = bytearray(packed(GOOD))
    content[-at] ^= 0x10
    assert reason(scratch, bytes(content)).startswith("its gzip is broken")


@pytest.mark.parametrize("garbage", [b"x", b"garbage behind the end", b"\x1f\x8b", b"\x1f\x8b\x08" + b"x" * 40])
def test_garbage_behind_the_gzip_ends_in_quarantine(scratch: Path, garbage: bytes) -> None:
    assert reason(scratch, packed(GOOD) + garbage).startswith("its gzip is broken")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a gzip at all", b"PK\x03\x04", b"\x1f", b"\x1f\x8b\x08"])
def test_what_is_no_gzip_ends_in_quarantine(scratch: Path, content: bytes) -> None:
    assert reason(scratch, content)
