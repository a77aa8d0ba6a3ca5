"""The real archives beside the project give what plain SQL over the database that they came from gives."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from places import REAL

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import FRAGMENT
from grt_batch.ledger.account import Account
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import Task
from grt_batch.schema.members import NULL, RUNTIME, SECOND, Kind
from grt_batch.schema.records import Job

EXPECTED = REAL / "exporter" / "expected"
VERSION_2, VERSION_3 = "b9ce7932-3691-5288-9630-f51552fc96a6", "9b29eccf-0dbe-5405-95a2-3518d80b6e84"
FOLDERS = (REAL / "grt-2017" / "1", *(REAL / "exporter" / "uploads" / name for name in (VERSION_2, VERSION_3)))
JOINED, TAB, LOST_TAIL = "joined_salvageable", "tab_in_name", "lost_tail"
NEWLINE = ("newline_in_name_head", "newline_in_name_tail")

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")


@dataclass(frozen=True)
class Real:
    """What was read of a real archive. `rejects` are the lines of its reject file, as fields."""

    name: str
    account: Account
    jobs: pl.DataFrame
    rejects: list[list[str]]
    decoded: list[Decoded]

    def blocks(self, kind: Kind) -> Iterator[Decoded]:
        return (block for block in self.decoded if block.layout.kind is kind and block.columns)


@cache
def archives(folder: Path) -> tuple[Real, ...]:
    """All archives of an instance, oldest first."""
    return tuple(
        _read(path.with_name(path.name.removesuffix(".json") + ".tar.gz"))
        for path in sorted(
            (folder / "archives").glob("*.json"),
            key=lambda path: Decimal(json.loads(path.read_text())["generated"]),
        )
    )


def _read(tar: Path) -> Real:
    decoded: list[Decoded] = []

    def keep(tasks: Iterator[Task]) -> Iterator[Any]:
        for task in tasks:
            decoded.append(task.run())
            yield decoded[-1]

    # Small blocks: many cuts in each member.
    account, records, rejects = read_archive(tar, Config(block_bytes=100_000), (), keep, Clock(), lambda done: None)
    assert account.quarantine is None
    assert records is not None
    lines = [line.split("\t") for line in rejects.decode().splitlines()]
    return Real(tar.name.removesuffix(".tar.gz"), account, records.frame(Job), lines, decoded)


def instance(name: str) -> tuple[Real, ...]:
    return archives(REAL / "exporter" / "uploads" / name)


def table(path: Path) -> list[dict[str, str]]:
    """A table of what is expected; `\\N` is null, which is the empty text here as in the published tables."""
    names, *rows = (line.split("\t") for line in path.read_text().splitlines())
    return [dict(zip(names, ("" if field == "\\N" else field for field in row), strict=True)) for row in rows]


def mangled(name: str) -> list[dict[str, str]]:
    return table(EXPECTED / name / "mangled_lines.tsv")


def newest_wins(reals: Sequence[Real]) -> pl.DataFrame:
    """The jobs of several archives; each in the newest that reports it, whose name stands beside it."""
    frames: list[pl.DataFrame] = []
    for real in reversed(reals):
        jobs = real.jobs.with_columns(
            Job.tool_id.expr, Job.tool_version.expr, Job.state.expr, archive=pl.lit(real.name)
        )
        frames.append(jobs.join(pl.concat(frames), on=Job.job_id.name, how="anti") if frames else jobs)
    return pl.concat(frames)


CASES = {
    "version 2": (VERSION_2, slice(None), ""),
    "version 3, first export": (VERSION_3, slice(0, 2), "first_export_A"),
    "version 3, second export": (VERSION_3, slice(2, 4), "second_export_B"),
    "version 3, newest wins": (VERSION_3, slice(None), "merged_newest_wins"),
}


Case = tuple[tuple[Real, ...], str, Path]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Some archives of an instance, its name, and where their numbers stand."""
    name, part, folder = CASES[request.param]
    return instance(name)[part], name, EXPECTED / name / folder


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name[:8])
def test_every_line_is_accepted_or_rejected(folder: Path) -> None:
    for real in archives(folder):
        assert real.account.passed_over == real.account.replaced == real.account.repeated == 0
        for members in real.account.members.values():
            assert members.lines == members.accepted + members.rejected
            assert members.orphans == 0
        rejected = Counter(row[0] for row in real.rejects)
        assert rejected == {
            kind: members.rejected + members.fragments
            for kind, members in real.account.members.items()
            if members.rejected + members.fragments
        }


def test_the_archives_of_2017_are_whole_and_report_the_same_jobs() -> None:
    older, newer = archives(FOLDERS[0])
    for real in older, newer:
        counts = {kind: members.accepted for kind, members in real.account.members.items()}
        assert counts == {"jobs": 98, "metric_num": 388, "params": 541}
        assert real.rejects == []
    assert older.jobs["create_time"].null_count() == 98
    assert newer.jobs["create_time"].null_count() == 0
    jobs = newest_wins([older, newer])
    assert set(jobs["archive"]) == {newer.name}
    assert Counter(jobs["state"]) == {"ok": 76, "error": 22}
    assert (~jobs["without_metrics"]).sum() == 97
    assert jobs["runtime"].sum() == 332 * SECOND


@pytest.mark.parametrize("name", [VERSION_2, VERSION_3], ids=["version 2", "version 3"])
def test_the_lines_that_the_exporter_broke_are_salvaged_or_rejected_and_no_other(name: str) -> None:
    lines = mangled(name)
    assert {line["class"] for line in lines} == ({JOINED, LOST_TAIL} if name == VERSION_2 else {TAB, *NEWLINE})
    for real in instance(name):
        here = [line for line in lines if line["report_id"] == real.name]
        places = {
            group: sorted((line["member"], int(line["line_no_1based"])) for line in here if line["class"] in group)
            for group in ((JOINED,), (LOST_TAIL, *NEWLINE))
        }
        fragments = sorted((member, int(line)) for member, line, reason, *_ in real.rejects if reason == FRAGMENT)
        rejected = sorted((member, int(line)) for member, line, reason, *_ in real.rejects if reason != FRAGMENT)
        assert fragments == places[JOINED,]
        assert rejected == places[LOST_TAIL, *NEWLINE]
        # A tab that was put back leaves no line in the reject file: of these there is the number only.
        salvaged = Counter(line["member"] for line in here if line["class"] in (JOINED, TAB))
        members = real.account.members
        assert {kind: members[kind].salvaged for kind in members if members[kind].salvaged} == salvaged


def test_jobs_by_tool_version_and_state(case: Case) -> None:
    reals, _, folder = case
    rows = table(folder / "jobs_by_tool_version_state.tsv")
    expected = {(row["tool_id"], row["tool_version"], row["state"]): int(row["n"]) for row in rows}
    assert Counter(newest_wins(reals).select("tool_id", "tool_version", "state").rows()) == expected


def test_the_jobs_that_the_exporter_destroyed_are_the_fragments(case: Case) -> None:
    """Those of version 3 left no line at all, so what they lost cannot be told from the archive."""
    reals, name, folder = case
    lost = {int(row["job_id"]) for row in table(folder / "job_ids_lost.tsv")}
    assert lost.isdisjoint(newest_wins(reals)[Job.job_id.name])
    if name == VERSION_2:
        texts = [row[4].split("\\t") for real in reals for row in real.rejects if row[0] == "jobs"]
        assert {int(field) for fields in texts for field in fields if field.isdigit()} == lost


def sum_by_tool(rows: Iterable[tuple[tuple[str, ...], int, int]]) -> dict[tuple[str, ...], tuple[int, int]]:
    """(number, sum) by key."""
    sums: dict[tuple[str, ...], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for key, count, value in rows:
        sums[key] = sums[key][0] + count, sums[key][1] + value
    return dict(sums)


def broken_by_newlines(name: str) -> Iterator[tuple[str, int, str, int]]:
    """(archive, job id, type, size) of rows that a newline in their name broke; the type is in the second half."""
    heads, tails = ([line for line in mangled(name) if line["class"] == half] for half in NEWLINE)
    for head, tail in zip(heads, tails, strict=True):
        job, _, _, size, _ = head["repr_first_400_chars"].strip("'").split("\\t")
        yield head["report_id"], int(job), tail["repr_first_400_chars"].strip("'").split("\\t")[1], int(size)


def test_datasets_and_bytes_by_tool_and_type(case: Case) -> None:
    reals, name, folder = case
    jobs = newest_wins(reals).select("archive", "job_id", "tool_id", "tool_version")
    tools = {(archive, job): tool for archive, job, *tool in jobs.rows()}
    sizes = [
        (real.name, job, ("input", "output")[output], size)
        for real in reals
        for block in real.blocks(Kind.DATASETS)
        for job, size, output in zip(*(block.columns[name].tolist() for name in ("id", "size", "output")), strict=True)
    ]
    # The database knows the rows that the exporter broke.
    sizes += broken_by_newlines(name)
    rows = [
        ((*tools[archive, job], direction), 1, 0 if size == NULL else size)
        for archive, job, direction, size in sizes
        if (archive, job) in tools
    ]
    if folder.name == "merged_newest_wins":
        # Job 620 is in the first export only, where the size of its output was still null; the database, which was
        # asked after the second, knows the size that it had by then (it is an input of job 940 there).
        rows.append((("Grouping1", "2.1.4", "output"), 0, 340_000_000))
    # Version 3 rounds sizes to two digits.
    column = "bytes_exact" if name == VERSION_2 else "bytes_2sd"
    expected = {
        (row["tool_id"], row["tool_version"], row["type"]): (int(row["rows"]), int(row[column] or 0))
        for row in table(folder / "datasets_by_tool.tsv")
    }
    assert sum_by_tool(rows) == expected


def test_the_joined_jobs_hold_all_bytes(case: Case) -> None:
    for real in case[0]:
        sizes: dict[tuple[int, int, int], int] = {}
        for block in real.blocks(Kind.DATASETS):
            columns = (block.columns[name].tolist() for name in ("id", "output", "dataset_id", "size"))
            for job, output, dataset, size in zip(*columns, strict=True):
                # None of them lacks its id; NULL is less than any size.
                assert dataset != NULL
                sizes[job, output, dataset] = max(size, sizes.get((job, output, dataset), 0))
        for direction, field in enumerate((Job.input_bytes, Job.output_bytes)):
            total = sum(size for (_, output, _), size in sizes.items() if output == direction)
            assert real.jobs[field.name].cast(pl.Int128).sum() == total


def raw_runtimes(real: Real) -> dict[int, int]:
    """The last runtime that the archive gives for each job, in units of 1e-7 s, negative ones as well."""
    values: dict[int, int] = {}
    for block in real.blocks(Kind.METRIC_NUM):
        seen = block.columns["seen"] & (1 << RUNTIME) != 0
        values.update(
            zip(block.columns["id"][seen].tolist(), block.columns["values"][seen, RUNTIME].tolist(), strict=True)
        )
    return {job: value for job, value in values.items() if value != NULL}


def test_runtimes_of_ok_jobs_by_tool(case: Case) -> None:
    reals, _, folder = case
    jobs = newest_wins(reals).filter(pl.col("state") == "ok")
    raw = {(real.name, job): value for real in reals for job, value in raw_runtimes(real).items()}
    rows = []
    for archive, job, tool_id, version, runtime, implausible in jobs.select(
        "archive", "job_id", "tool_id", "tool_version", "runtime", "implausible"
    ).rows():
        known = raw.get((archive, job))
        # The database adds up negative runtimes, which are null here: for them alone the raw value is taken.
        if known is not None and known < 0:
            assert (runtime, implausible) == (None, True)
            rows.append(((tool_id, version), 1, known))
        else:
            assert runtime == known
            rows.append(((tool_id, version), int(runtime is not None), runtime or 0))
    expected = {
        (row["tool_id"], row["tool_version"]): (int(row["runtime_n"]), int(Decimal(row["runtime_sum"] or 0) * SECOND))
        for row in table(folder / "runtime_memory_ok_jobs_by_tool.tsv")
    }
    assert sum_by_tool(rows) == expected


def test_memory_of_ok_jobs_by_tool(case: Case) -> None:
    reals, _, folder = case
    jobs = newest_wins(reals).filter(pl.col("state") == "ok")
    rows = [
        ((tool_id, version), int(memory is not None), memory or 0)
        for tool_id, version, memory in jobs.select("tool_id", "tool_version", "memory").rows()
    ]
    expected = {
        (row["tool_id"], row["tool_version"]): (int(row["mem_n"]), int(Decimal(row["mem_sum"] or 0)))
        for row in table(folder / "runtime_memory_ok_jobs_by_tool.tsv")
    }
    assert sum_by_tool(rows) == expected
