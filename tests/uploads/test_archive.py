"""An archive is read to its last byte, in whole lines, or it goes into quarantine; it never harms the reader."""

from __future__ import annotations

import gc
import gzip
import hashlib
import itertools
import random
import tarfile
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import build
import pytest
from build import END_MARK, entry, examples, header, line, member, packed, pax
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.core.errors import Quarantine
from grt_batch.schema.members import Kind
from grt_batch.uploads import unpacking
from grt_batch.uploads.archive import ArchiveReader, Header
from grt_batch.uploads.unpacking import Limits

JOBS = build.HEADERS[Kind.JOBS] + b"".join(line(i, "Cut1", "1.0", "ok", "2017-06-02 19:18:30") for i in range(1, 40))
METRICS = build.HEADERS[Kind.METRIC_NUM] + b"".join(line(i, "core", "galaxy_slots", "1.0000000") for i in range(1, 40))
GOOD = member(Kind.JOBS, JOBS)
MIB = 1 << 20


@dataclass
class Read:
    """What was read of an archive: by kind and number, the text behind the header, and whether there was one."""

    reader: ArchiveReader
    texts: dict[tuple[Kind, int], bytes] = field(default_factory=dict)
    headers: dict[tuple[Kind, int], bool] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each example writes anew."""
    return tmp_path_factory.mktemp("archives") / "0.tar.gz"


def read(path: Path, content: bytes | None = None, **limits: Any) -> Read:
    """Read an archive to its end, and test what holds for every one."""
    if content is not None:
        path.write_bytes(content)
    result = Read(ArchiveReader(path, Limits(**limits)))
    for item in result.reader.blocks():
        place = item.layout.kind, item.member
        if isinstance(item, Header):
            assert place not in result.headers
            result.headers[place] = item.has_header
            result.texts[place] = b""
        else:
            assert item.data
            assert result.texts[place].endswith(b"\n") or not result.texts[place]
            result.texts[place] += item.data
            result.blocks.append(item.data)
    assert result.reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.reader.bytes_read == path.stat().st_size
    return result


def reason(path: Path, content: bytes, **limits: Any) -> str:
    """Why an archive goes into quarantine."""
    with pytest.raises(Quarantine) as caught:
        read(path, content, **limits)
    assert caught.value.reason
    assert "\n" not in caught.value.reason
    return caught.value.reason


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


def test_a_gzip_may_have_several_parts_and_end_in_zeros(scratch: Path) -> None:
    tar = GOOD + END_MARK
    result = read(scratch, gzip.compress(tar[:700]) + gzip.compress(tar[700:]) + bytes(100))
    assert list(result.texts) == [(Kind.JOBS, 0)]


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


SPARSE = {
    "old GNU": header("0.jobs.tsv", flag=tarfile.GNUTYPE_SPARSE),
    "old GNU that goes on behind the end": header("0.jobs.tsv", flag=tarfile.GNUTYPE_SPARSE, sparse_follows=True),
    "pax 0.1": pax(GNU__sparse__map="100,1", GNU__sparse__size="100000") + entry("0.jobs.tsv", b"\n"),
    "pax 1.0": pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize="100000")
    + entry("0.jobs.tsv", b"1\n100\n1\n".ljust(512, b"\0") + b"\n"),
    "pax 1.0 without a map": pax(GNU__sparse__major="1", GNU__sparse__minor="0") + header("0.jobs.tsv", 512),
}


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


# Entries that are too large


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


@pytest.mark.parametrize("name", ["README", "0.jobs.tsv"])
@pytest.mark.parametrize("size", [-1, -512, -1024, -(2**60)])
def test_an_entry_of_a_negative_size_ends_in_quarantine(scratch: Path, name: str, size: int) -> None:
    assert reason(scratch, packed(header(name, size), GOOD))
    assert reason(scratch, packed(GOOD, header(name, size), GOOD))


def test_a_pax_header_may_not_give_a_negative_size(scratch: Path) -> None:
    for size in "-1", "-512", "-99999":
        assert reason(scratch, packed(pax(size=size), entry("0.jobs.tsv", JOBS)))


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


def test_a_broken_header_in_the_middle_is_not_the_end(scratch: Path) -> None:
    second = bytearray(member(Kind.METRIC_NUM, METRICS))
    for at in 0, 100, 124, 148, 156, 300, 511:
        broken = bytearray(second)
        broken[at] ^= 0x55
        assert "broken header" in reason(scratch, packed(GOOD, bytes(broken)))


def test_a_broken_first_header_ends_in_quarantine(scratch: Path) -> None:
    assert "tar" in reason(scratch, packed(b"x" * 512))


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


def test_a_tar_that_was_cut_inside_a_member_ends_in_quarantine(scratch: Path) -> None:
    tar = GOOD + member(Kind.METRIC_NUM, METRICS)
    for size in 512 + 1, 512 + 100, 700, len(GOOD) + 512 + 10, len(GOOD) + 512 + 600:
        assert reason(scratch, gzip.compress(tar[:size])).startswith("its tar is broken")


def test_a_tar_that_was_cut_between_members_ends_in_quarantine(scratch: Path) -> None:
    assert reason(scratch, packed(GOOD, end=b"")) == "its tar has no end mark: it was cut off"


def test_a_tar_that_was_cut_inside_a_header_ends_in_quarantine(scratch: Path) -> None:
    assert "broken header" in reason(scratch, packed(GOOD, GOOD[:100], end=b""))


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"not a gzip at all", b"PK\x03\x04", b"\x1f", b"\x1f\x8b\x08"])
def test_what_is_no_gzip_ends_in_quarantine(scratch: Path, content: bytes) -> None:
    assert reason(scratch, content)


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


def outcome(path: Path, content: bytes) -> dict[tuple[Kind, int], bytes] | None:
    """The texts of an archive, None in quarantine; any other error is one of the test's."""
    try:
        return read(path, content, max_archive_bytes=64 * MIB, block_bytes=1000).texts
    except Quarantine as error:
        assert error.reason
        return None


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
