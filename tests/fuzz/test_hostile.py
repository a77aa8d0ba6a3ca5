"""What single archives could do to all others, one by one."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from build import HEADERS, entry, header, line, member, packed, pax
from strange import LONG, NOISE

from grt_batch.commands import text_table
from grt_batch.core.config import Config
from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock
from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.decode.param_values import REDACTED, VALUE_BYTES
from grt_batch.decode.redaction import Redaction
from grt_batch.modules.exports.lake import Lake
from grt_batch.pipeline.read import read_archive, redaction_of
from grt_batch.pipeline.tasks import RunTasks, run_here
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import RECORDS, Job, Leaf
from grt_batch.uploads.archive import ArchiveReader, Block, Header
from grt_batch.uploads.unpacking import Limits

JOBS = HEADERS[Kind.JOBS] + line(1, "Cut1", "1.0", "ok", "2024-06-02 19:18:30")
GOOD = member(Kind.JOBS, JOBS)
INDEX_BYTES = 2704
"""What a row of an index of PostgreSQL holds at most."""


def items(folder: Path, content: bytes, **limits: int) -> list[Header | Block]:
    tar = folder / "0.tar.gz"
    tar.write_bytes(content)
    return list(ArchiveReader(tar, Limits(**limits)).blocks())


def reason(folder: Path, content: bytes, **limits: int) -> str:
    with pytest.raises(Quarantine) as caught:
        items(folder, content, **limits)
    return caught.value.reason


# Names


@pytest.mark.parametrize("name", ["a\0\x1b[31mb\n.jobs.tsv", "a\u202eb.jobs.tsv", "\x07" * 180 + ".jobs.tsv"])
def test_a_reason_that_quotes_a_name_is_one_printable_line(tmp_path: Path, name: str) -> None:
    """A database takes no NUL, and who reads it on a terminal should not obey it."""
    found = reason(tmp_path, packed(pax(path=name), entry("x", b"x" * 30)), max_line_bytes=20)
    assert found.isprintable()
    assert ".jobs.tsv has a line of more than 20 bytes" in found or len(found) == 500


def test_a_table_on_a_terminal_has_one_line_for_each_row() -> None:
    rows = [["uni", "a\nb\x1b[2J\t\u202e"], ["lab", "Universität 日本"]]
    shown = text_table(["instance", "title"], rows)
    assert shown.splitlines() == ["instance  title", "uni       a\\nb\\x1b[2J\\t\\u202e", "lab       Universität 日本"]


# Sizes


@pytest.mark.parametrize("size", ["0", "3", "100000"])
@pytest.mark.parametrize("keyword", ["GNU__sparse__realsize", "GNU__sparse__size", "GNU__sparse__name"])
def test_no_entry_has_another_size_by_a_sparse_keyword(tmp_path: Path, keyword: str, size: str) -> None:
    """What is behind the size would be passed over, and nobody would count it."""
    content = packed(pax(**{keyword: size}), entry("0.params.tsv", b"1\ta\tb\n" * 9), GOOD)
    assert reason(tmp_path, content) == "its tar has a sparse file"


def test_an_archive_of_too_many_entries_is_in_quarantine(tmp_path: Path) -> None:
    few, many = (packed(*(header(f"{i}.txt") for i in range(count)), GOOD) for count in (9_999, 10_000))
    assert len(items(tmp_path, few)) == 2
    assert reason(tmp_path, many) == "its tar has more than 10000 entries"


@pytest.mark.parametrize(
    "text", [b"\n" * 300_000, b"1\t\t\n" * 70_000, b"x" * 200_000 + b"\n" * 200_000, b"\n" * 200_000 + b"x" * 200_000]
)
def test_a_block_has_only_so_many_lines_as_its_size_would_hold_in_earnest(tmp_path: Path, text: bytes) -> None:
    found = items(tmp_path, packed(member(Kind.PARAMS, text)), block_bytes=1 << 18)
    blocks = [bytes(item.data) for item in found if isinstance(item, Block)]
    assert b"".join(blocks) == text
    assert max(block.count(b"\n") for block in blocks) <= (1 << 18) // 16
    assert len(blocks) < 100
    assert all(block.endswith(b"\n") for block in blocks[:-1])


@pytest.mark.parametrize("start", [b"job_id\t", b"\t", b"1\t"])
def test_a_first_line_of_millions_of_columns_is_not_cut_into_them(tmp_path: Path, start: bytes) -> None:
    content = packed(member(Kind.PARAMS, start + b"\t" * 10_000_000 + b"\n"))
    tracemalloc.start()
    try:
        with contextlib.suppress(Quarantine):
            items(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 70_000_000
    finally:
        tracemalloc.stop()


def test_short_lines_of_a_small_block_are_not_cut(tmp_path: Path) -> None:
    found = items(tmp_path, packed(member(Kind.PARAMS, b"1\t\t\n" * 900)), block_bytes=1 << 12)
    assert [type(item) for item in found] == [Header, Block]


def test_an_archive_of_too_many_rejects_is_in_quarantine(tmp_path: Path) -> None:
    tar = tmp_path / "0.tar.gz"
    tar.write_bytes(packed(member(Kind.JOBS, JOBS + b"broken\n" * 1000)))
    size = 1000 * len("jobs\t1000\t1 columns instead of 5\t6\tbroken\n")
    ended: list[bool] = []

    def read(most: int) -> str | None:
        account, records, rejects = read_archive(tar, Config(max_reject_bytes=most), (), watched(ended), Clock(), skip)
        assert (records is None) == (account.quarantine is not None)
        assert len(rejects) <= size
        return account.quarantine

    assert read(0) is None
    assert read(size) is None
    assert read(1000) == "its rejected lines take more than 1000 bytes"
    assert ended == [True, True, True], "no task is left when an archive ends"


def watched(ended: list[bool]) -> RunTasks:
    """What carries out tasks here, and tells that it has ended."""

    def run(tasks: Iterator[object]) -> Iterator[object]:
        try:
            yield from run_here(tasks)  # type: ignore[arg-type]
        finally:
            ended.append(True)

    return run  # type: ignore[return-value]


def skip(_: int) -> None:
    """Nobody wants to know how far it is."""


# Texts


@pytest.mark.parametrize("long", [NOISE, "é" * LONG, "x" * LONG])
def test_no_key_of_a_table_is_longer_than_an_index_takes(long: str) -> None:
    """Else the database would refuse the tables of all instances."""
    some = (long, long[:-1] + "y", long, "short")
    members = {
        Kind.JOBS: b"".join(line(1, text, text, text, "None") for text in some),
        Kind.DATASETS: b"".join(line(1, 2, text, 3, text, "input") for text in some),
        Kind.PARAMS: b"".join(line(1, text, "value") for text in some),
        Kind.METRIC_TXT: b"".join(line(1, text, text, "value") for text in some),
        Kind.METRIC_NUM: b"".join(line(1, text, text, "1.0") for text in some),
    }
    for kind, text in members.items():
        for name, keys in texts_of(kind, text).items():
            firsts = [key[0] or "" for key in keys]
            assert len(set(firsts)) == len(firsts) == (1 if name == "text" else 3), "different texts stay different"
            # The longest key is that of param_value: three such texts, and the value.
            assert all(3 * len(first.encode()) + VALUE_BYTES < INDEX_BYTES - 100 for first in firsts if name != "text")
            assert name == "text" or sorted(first[:99] for first in firsts) == sorted([long[:99], long[:99], "short"])


def texts_of(kind: Kind, text: bytes) -> dict[str, list[tuple[str | None, ...]]]:
    """The texts of a block of which every record is wanted."""
    layout, _ = layout_of(kind, [HEADERS[kind].rstrip(b"\n")])
    return dict(decode(Block(layout, 0, text), WANTED).texts)


def test_the_text_of_a_metric_is_whole() -> None:
    assert texts_of(Kind.METRIC_TXT, line(1, "env", "PATH", NOISE))["text"] == [(NOISE,)]


def test_names_of_galaxy_are_never_cut() -> None:
    """Its columns have 255 characters at most."""
    name = "é" * 255
    assert texts_of(Kind.JOBS, line(1, name, name, name, "None"))["tool"] == [(name, name)]


@pytest.mark.parametrize(
    "value",
    [
        [f"password{i}=x" for i in range(1000)],
        [{f"k{i}": {"password": str(i)}} for i in range(1000)],
        [json.dumps({"token": i}) for i in range(1000)],
        [json.dumps([json.dumps({"token": i})]) for i in range(1000)],
    ],
)
def test_the_texts_of_a_value_are_searched_at_once(value: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one they would take half a millisecond each, and a line of 10 MB may hold a million of them."""
    searched: list[int] = []
    search = Redaction.named

    def named(self: Redaction, names: pl.Series) -> pl.Series:
        searched.append(len(names))
        return search(self, names)

    monkeypatch.setattr(Redaction, "named", named)
    found = redaction_of(Config()).values(pl.Series([json.dumps(value)])).item()
    assert found.count(REDACTED) == 1000
    assert len(searched) < 8
    assert sum(searched) >= 1000


MANY = 100_000


@pytest.mark.parametrize(
    "value",
    [
        "[" * MANY, "[" * MANY + "]" * MANY, '{"a":' * MANY + "1" + "}" * MANY, '[{"a":' * MANY + "1" + "}]" * MANY,
        "[" + "[]," * MANY + "{}]", "[" + '"x",' * MANY + "1]", "[" + ",".join(f'{{"a":{i}}}' for i in range(MANY)) + "]",
        "{" + ",".join(f'"{i}":"{i}"' for i in range(MANY)) + "}", "{" + '"a":1,' * MANY + '"a":2}', '{"a":"' + "\\\\" * MANY + '"}',
        "[" * 15 + "{}" + ",1" * MANY + "]" * 15, "[" + "{'src': 'hda', 'id': 1}, " * MANY + "]", '{"' + "|" * MANY + '":{"a":1}}',
        json.dumps([{"values": [{"src": "hda", "id": i}]} for i in range(MANY)]), '{"p":' * MANY + "1",
    ],
    ids=range(15),
)  # fmt: skip
def test_a_value_with_a_hundred_thousand_parts_has_leaves(value: str) -> None:
    layout, _ = layout_of(Kind.PARAMS, [HEADERS[Kind.PARAMS].rstrip(b"\n")])
    for text in (value, json.dumps(value)):
        found = decode(Block(layout, 0, line(1, "p", text) + line(2, "q", '{"a": 1}')), (Leaf.kind,))
        count, other = found.columns["leaves"].tolist()
        assert 0 < count <= MANY + 2
        assert other == 1
        assert found.texts["leaf"][found.columns["leaf"][-1]] == ("q|a", "1", None)


@pytest.mark.parametrize("key", ["k" * 490, "é" * 245, "k|" * 245])
def test_the_names_of_leaves_take_no_more_than_some_times_the_values(key: str) -> None:
    layout, _ = layout_of(Kind.PARAMS, [HEADERS[Kind.PARAMS].rstrip(b"\n")])
    for count in (5, 30, 100, 10_000):
        values = (json.dumps({f"{key}{job}": {f"{i}": i for i in range(count)}}) for job in range(20_000 // count))
        text = b"".join(line(job, "p", value) for job, value in enumerate(values))
        leaves = decode(Block(layout, 0, text), (Leaf.kind,)).texts["leaf"]
        assert sum(len((name or "").encode()) for name, *_ in leaves) < 32 * len(text)


# Dates


def test_the_lake_has_no_month_in_which_no_job_was_created(tmp_path: Path) -> None:
    days = ("0001-01-02", "0999-12-31", "2005-01-01", "2099-12-31", "9999-12-31")
    jobs = b"".join(line(job, "Cut1", "1.0", "ok", f"{day} 00:00:00") for job, day in enumerate(days))
    tar = tmp_path / "0.tar.gz"
    tar.write_bytes(packed(member(Kind.JOBS, HEADERS[Kind.JOBS] + jobs)))
    _, records, _ = read_archive(tar, Config(), tuple(RECORDS)[1:], run_here, Clock(), skip)
    assert records is not None
    assert [part.name for part in Lake().parts(records)] == [
        "jobs/__HIVE_DEFAULT_PARTITION__",
        "jobs/2005-01",
        "jobs/2099-12",
    ]
    jobs_of = records[Job]
    assert jobs_of[Job.implausible.name].tolist() == [1, 1, 0, 0, 1]
