"""An archive is read to its last byte, in whole lines, or it goes into quarantine; it never harms the reader."""

from __future__ import annotations

import gc
import gzip
import itertools
import random
import tarfile
import tracemalloc
from pathlib import Path

import build
import pytest
from build import END_MARK, entry, examples, header, member, packed, pax
from hypothesis import example, given
from hypothesis import strategies as st
from read_to_end import GOOD, JOBS, METRICS, MIB, SPARSE, outcome, read, reason

from grt_batch.core.errors import Quarantine
from grt_batch.schema.members import Kind

# What is read


@examples(150)
@given(
    st.lists(st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")), max_size=12),
    st.booleans(),
    st.integers(1, 64),
)
@example([b""], True, 1)
@example([b"1\tupload1\tok"], False, 3)
def test_blocks_are_whole_lines_that_make_up_the_member_whatever_their_size(
    scratch: Path, lines: list[bytes], ends: bool, block_bytes: int
) -> None:
    text = b"".join(b"7\t" + one + b"\n" for one in lines)
    text = text if ends else text.removesuffix(b"\n")
    result = read(scratch, packed(member(Kind.PARAMS, text), GOOD), block_bytes=block_bytes)
    assert result.texts.get((Kind.PARAMS, 0), b"") == text
    assert result.texts[Kind.JOBS, 0] == JOBS.partition(b"\n")[2]
    assert result.reader.passed_over == 0


@pytest.mark.parametrize("block_bytes", [1, 7, 44, 45, 1000, 4 * MIB])
def test_a_header_line_is_no_part_of_the_blocks(scratch: Path, block_bytes: int) -> None:
    result = read(scratch, packed(GOOD), block_bytes=block_bytes)
    assert result.headers == {(Kind.JOBS, 0): True}
    assert result.texts == {(Kind.JOBS, 0): JOBS.partition(b"\n")[2]}


@pytest.mark.parametrize("block_bytes", [1, 7, 1000])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("turned", [False, True])
def test_a_byte_order_mark_is_no_part_of_a_member(scratch: Path, kind: Kind, turned: bool, block_bytes: int) -> None:
    names = build.HEADERS[kind].strip().split(b"\t")
    first = b"\t".join(names[::-1] if turned else names)
    text = b"\xef\xbb\xbf" + first + b"\n" + b"7\t" * len(names) + b"\n"
    result = read(scratch, packed(member(kind, text)), block_bytes=block_bytes)
    assert result.headers == {(kind, 0): True}
    assert result.texts == {(kind, 0): b"7\t" * len(names) + b"\n"}


@pytest.mark.parametrize("text", [b"7\tCut1\tok\n", b"7\tCut1\tok", b"\n", b""])
def test_a_mark_may_stand_before_a_member_without_a_header(scratch: Path, text: bytes) -> None:
    result = read(scratch, packed(member(Kind.JOBS, b"\xef\xbb\xbf" + text)))
    assert (result.headers, result.texts) == ({(Kind.JOBS, 0): False}, {(Kind.JOBS, 0): text})


def test_a_member_in_another_encoding_is_named(scratch: Path) -> None:
    text = JOBS.decode().encode("utf-16")
    assert reason(scratch, packed(member(Kind.JOBS, text))).endswith("jobs.tsv is written in UTF-16 instead of UTF-8")


def test_a_last_line_may_lack_its_newline(scratch: Path) -> None:
    result = read(scratch, packed(member(Kind.JOBS, JOBS[:-1])))
    assert result.texts[Kind.JOBS, 0] == JOBS.partition(b"\n")[2][:-1]


def test_members_may_stand_in_any_order(scratch: Path) -> None:
    members = {Kind.JOBS: JOBS, Kind.METRIC_NUM: METRICS, Kind.DATASETS: build.HEADERS[Kind.DATASETS]}
    texts = {(kind, 0): data.partition(b"\n")[2] for kind, data in members.items()}
    for order in itertools.permutations(members):
        assert read(scratch, packed(*(member(kind, members[kind]) for kind in order))).texts == texts


@pytest.mark.parametrize("header_line", [b"job_id\tplugin\tname\tvalue\n", b"job_id\tplugin\tname\tvalue"])
def test_a_member_may_be_nothing_but_its_header(scratch: Path, header_line: bytes) -> None:
    result = read(scratch, packed(member(Kind.METRIC_TXT, header_line), GOOD))
    assert result.headers[Kind.METRIC_TXT, 0]
    assert result.texts[Kind.METRIC_TXT, 0] == b""


def test_a_member_may_be_empty(scratch: Path) -> None:
    result = read(scratch, packed(member(Kind.METRIC_TXT, b""), GOOD))
    assert list(result.texts) == [(Kind.JOBS, 0)]


def test_a_member_may_come_twice(scratch: Path) -> None:
    more = b"90\tCut1\tok\n"
    result = read(scratch, packed(GOOD, member(Kind.METRIC_NUM, METRICS), member(Kind.JOBS, more)))
    assert list(result.texts) == [(Kind.JOBS, 0), (Kind.METRIC_NUM, 0), (Kind.JOBS, 1)]
    assert result.texts[Kind.JOBS, 1] == more
    assert result.headers == {(Kind.JOBS, 0): True, (Kind.METRIC_NUM, 0): True, (Kind.JOBS, 1): False}


def test_other_members_are_passed_over_and_counted(scratch: Path) -> None:
    others = entry("home/galaxy/reports/0.workflows.tsv", b"1\t2\n" * 900), entry("README", b"read me")
    result = read(scratch, packed(others[0], GOOD, others[1]))
    assert list(result.texts) == [(Kind.JOBS, 0)]
    assert result.reader.passed_over == 2


def test_an_archive_may_hold_nothing(scratch: Path) -> None:
    assert read(scratch, packed()).texts == {}


def test_a_member_whose_header_line_names_no_id_quarantines_the_archive(scratch: Path) -> None:
    content = packed(member(Kind.JOBS, b"tool_id\tstate\nCut1\tok\n"))
    assert reason(scratch, content) == "the header of jobs names no id, or a column twice"


# Entries that are no files


@pytest.mark.parametrize(
    "flag",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.CONTTYPE,
        b"Z",
    ],
)
def test_what_is_no_plain_file_is_passed_over(scratch: Path, flag: bytes) -> None:
    odd = entry("home/0.jobs.tsv", flag=flag, link="../../../../etc/passwd")
    result = read(scratch, packed(odd, GOOD))
    assert list(result.texts) == [(Kind.JOBS, 0)]
    assert result.reader.passed_over == 1


@pytest.mark.parametrize("name", ["../x.jobs.tsv", "../../x.jobs.tsv", "{root}/x.jobs.tsv", "a/../../x.jobs.tsv"])
def test_nothing_is_written_wherever_a_member_says_it_belongs(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    link = entry("out", flag=tarfile.SYMTYPE, link=str(tmp_path))
    content = packed(link, entry("out/y.jobs.tsv", JOBS), entry(name.format(root=tmp_path), JOBS))
    assert len(read(inside / "0.tar.gz", content).texts) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0.tar.gz", "a", "b"]


# Entries that are too large


@pytest.mark.parametrize("block_bytes", [1, 9, 10, 11, 100, 4 * MIB])
@pytest.mark.parametrize("newline", [b"\n", b""])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(scratch: Path, block_bytes: int, newline: bytes) -> None:
    limits = {"max_line_bytes": 20, "block_bytes": block_bytes}
    for before in b"", b"1\t2\n" * 3:
        text = before + b"1\t" + b"x" * 18 + newline
        assert read(scratch, packed(member(Kind.PARAMS, text)), **limits).texts[Kind.PARAMS, 0] == text
        text = before + b"1\t" + b"x" * 19 + newline
        assert "has a line of more than 20 bytes" in reason(scratch, packed(member(Kind.PARAMS, text)), **limits)


def test_an_endless_line_is_not_kept_in_memory(scratch: Path) -> None:
    content = packed(member(Kind.PARAMS, b"x" * (32 * MIB)))
    tracemalloc.start()
    try:
        assert "a line of more than" in reason(scratch, content, block_bytes=MIB // 8, max_line_bytes=MIB)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def peak(path: Path, content: bytes) -> int:
    """The most bytes of memory that reading an archive takes."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        read(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_headers_that_were_read_are_not_kept_in_memory(scratch: Path) -> None:
    few, many = (packed(*(header(f"{i}.txt") for i in range(count))) for count in (3000, 7000))
    assert peak(scratch, many) < peak(scratch, few) + MIB


def test_nothing_of_an_archive_is_kept_in_memory_once_it_was_read(scratch: Path) -> None:
    tracemalloc.start()
    try:
        for _ in range(30):
            read(scratch, packed(GOOD))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 4 * MIB
    finally:
        tracemalloc.stop()


# Archives that are broken


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_members_behind_an_end_mark_are_not_lost_in_silence(scratch: Path, blocks: int) -> None:
    """As `cat a.tar.gz b.tar.gz` makes them, and a header that was overwritten with zeros."""
    behind = bytes(512 * blocks) + member(Kind.METRIC_NUM, METRICS)
    try:
        result = read(scratch, packed(GOOD, behind))
    except Quarantine:
        return
    assert len(result.texts) == 2


def test_a_tar_that_is_filled_up_with_zeros_is_whole(scratch: Path) -> None:
    assert read(scratch, packed(GOOD, end=bytes(20 * 512))).texts
    assert read(scratch, packed(GOOD, end=bytes(MIB))).texts


def test_a_tar_that_was_cut_inside_a_member_ends_in_quarantine(scratch: Path) -> None:
    tar = GOOD + member(Kind.METRIC_NUM, METRICS)
    for size in 512 + 1, 512 + 100, 700, len(GOOD) + 512 + 10, len(GOOD) + 512 + 600:
        assert reason(scratch, gzip.compress(tar[:size])).startswith(("its tar is broken", "its tar ends inside home/"))


def test_a_gzip_of_nothing_or_of_no_tar_ends_in_quarantine(scratch: Path) -> None:
    assert reason(scratch, gzip.compress(b"")).startswith("its tar")
    assert reason(scratch, gzip.compress(JOBS)).startswith("its tar")


def test_a_file_that_is_not_there_ends_in_quarantine(tmp_path: Path) -> None:
    with pytest.raises(Quarantine, match="cannot be read"):
        read(tmp_path / "none.tar.gz")


def flipped(content: bytes, randomly: random.Random) -> bytes:
    """The content with 1 to 8 other bytes."""
    result = bytearray(content)
    for _ in range(randomly.randint(1, 8)):
        result[randomly.randrange(len(result))] ^= randomly.randint(1, 255)
    return bytes(result)


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_were_flipped_never_end_in_another_error_and_never_in_other_records(
    scratch: Path, seed: int
) -> None:
    content = packed(GOOD, member(Kind.METRIC_NUM, METRICS), entry("README", b"read me"))
    whole = outcome(scratch, content)
    randomly = random.Random(seed)
    tracemalloc.start()
    try:
        outcomes = [outcome(scratch, flipped(content, randomly)) for _ in range(200)]
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    # gzip's checksum sees what changes the text; bytes of its own header, such as the time, change nothing.
    assert all(texts in (None, whole) for texts in outcomes)


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_were_flipped_in_the_tar_never_end_in_another_error(scratch: Path, seed: int) -> None:
    """Here gzip's checksum is right: the headers' own checksums, and the reader, are all that is left."""
    entries = [
        pax(path=build.member_name(Kind.JOBS)) + entry("x", JOBS),
        entry("x", b"home/0.datasets.tsv\0", flag=tarfile.GNUTYPE_LONGNAME) + entry("x", b"1\t2\n"),
        SPARSE["pax 1.0"],
    ]
    tar = b"".join(entries) + END_MARK
    randomly = random.Random(seed)
    for _ in range(200):
        outcome(scratch, gzip.compress(flipped(tar, randomly), 1))
