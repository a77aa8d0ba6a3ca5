"""Headers of a tar that are broken, sparse, negative or huge end in quarantine."""

from __future__ import annotations

import gzip
import random
import tarfile
from pathlib import Path

import pytest
from build import END_MARK, entry, header, member, packed, pax
from read_to_end import GOOD, JOBS, METRICS, MIB, SPARSE, outcome, read, reason

from grt_batch.core.errors import Quarantine
from grt_batch.schema.members import Kind


@pytest.mark.parametrize("shape", SPARSE)
def test_the_holes_of_a_sparse_file_are_never_filled(scratch: Path, shape: str) -> None:
    """They would be bytes that no limit counts."""
    end = b"" if shape.endswith(("end", "map")) else END_MARK
    try:
        result = read(scratch, packed(SPARSE[shape], end=end))
    except Quarantine:
        return
    assert not any(result.texts.values())
    assert result.reader.passed_over == 1


@pytest.mark.parametrize("flag", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_huge_name_or_pax_header_is_not_read(scratch: Path, flag: bytes) -> None:
    size = 2 * MIB
    assert reason(scratch, packed(entry("x", bytes(size), flag=flag), GOOD)) == f"its tar has a header of {size} bytes"
    assert reason(scratch, packed(header("x", 2**60, flag=flag))) == f"its tar has a header of {2**60} bytes"


def test_a_long_name_and_a_pax_header_of_usual_size_are_read(scratch: Path) -> None:
    long = "home/" + "x" * 300 + "/0.jobs.tsv"
    gnu = entry("././@LongLink", long.encode() + b"\0", flag=tarfile.GNUTYPE_LONGNAME) + entry("cut off", JOBS)
    assert list(read(scratch, packed(gnu)).texts) == [(Kind.JOBS, 0)]
    assert list(read(scratch, packed(pax(path=long, mtime="1.5") + entry("cut off", JOBS))).texts) == [(Kind.JOBS, 0)]


def test_a_pax_header_that_tarfile_would_search_for_ever_is_not_read(scratch: Path) -> None:
    """CVE-2024-6232: the time is the square of the digits; 40 kB take seconds, and 1 MB would take an hour."""
    digits = entry("x", b"1" * 40_000, flag=tarfile.XHDTYPE)
    assert "header of" in reason(scratch, packed(digits, GOOD))


@pytest.mark.parametrize("flag", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_chain_of_headers_ends_in_quarantine(scratch: Path, flag: bytes) -> None:
    """Each of them is another level of recursion in tarfile."""
    one = entry("x", b"12 path=abc\n", flag=flag)
    assert reason(scratch, packed(one * 5000, GOOD))


@pytest.mark.parametrize("name", ["README", "0.jobs.tsv"])
@pytest.mark.parametrize("size", [-1, -512, -1024, -(2**60)])
def test_an_entry_of_a_negative_size_ends_in_quarantine(scratch: Path, name: str, size: int) -> None:
    assert reason(scratch, packed(header(name, size), GOOD))
    assert reason(scratch, packed(GOOD, header(name, size), GOOD))


def test_a_pax_header_may_not_give_a_negative_size(scratch: Path) -> None:
    for size in "-1", "-512", "-99999":
        assert reason(scratch, packed(pax(size=size), entry("0.jobs.tsv", JOBS)))


def test_a_broken_header_in_the_middle_is_not_the_end(scratch: Path) -> None:
    second = bytearray(member(Kind.METRIC_NUM, METRICS))
    for at in 0, 100, 124, 148, 156, 300, 511:
        broken = bytearray(second)
        broken[at] ^= 0x55
        assert "broken header" in reason(scratch, packed(GOOD, bytes(broken)))


def test_a_broken_first_header_ends_in_quarantine(scratch: Path) -> None:
    assert "tar" in reason(scratch, packed(b"x" * 512))


def test_a_tar_that_was_cut_between_members_ends_in_quarantine(scratch: Path) -> None:
    assert reason(scratch, packed(GOOD, end=b"")) == "its tar has no end mark: it was cut off"


def test_an_empty_file_is_not_told_as_cut_off(scratch: Path) -> None:
    assert reason(scratch, b"") == "its tar.gz is empty: it has 0 bytes"
    assert reason(scratch, gzip.compress(b"")) == "its tar is empty: its gzip unpacks to 0 bytes"
    assert read(scratch, packed()).reader.found == 0


def test_a_tar_that_was_cut_inside_a_header_ends_in_quarantine(scratch: Path) -> None:
    assert "broken header" in reason(scratch, packed(GOOD, GOOD[:100], end=b""))


@pytest.mark.parametrize("seed", range(4))
def test_headers_of_any_content_never_end_in_another_error(scratch: Path, seed: int) -> None:
    """What an attacker can do who makes the checksums right."""
    randomly = random.Random(seed)
    fields = [(0, 100), (100, 108), (124, 136), (136, 148), (156, 157), (157, 257), (257, 265), (345, 500), (386, 495)]
    flags = b"01234567LKSxgXNVMDZ\0"
    for _ in range(200):
        tar = b""
        for _ in range(3):
            size, flag = randomly.choice([0, 3, 512, 2000]), bytes([randomly.choice(flags)])
            raw = bytearray(header("0.jobs.tsv", size, flag=flag))
            begin, end = randomly.choice(fields)
            raw[begin:end] = randomly.choice(
                [randomly.randbytes(end - begin), b"\xff" * (end - begin), b"7" * (end - begin), bytes(end - begin)]
            )
            raw[148:156] = b" " * 8
            raw[148:156] = b"%06o\0 " % sum(raw)
            tar += bytes(raw) + randomly.choice([b"", b"12 path=abc\n".ljust(512, b"\0"), randomly.randbytes(512)])
        outcome(scratch, packed(tar))
