"""Every line of every archive is accounted for, in each member, in the tables and in run.json."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from build import HEADERS, examples, line, write_archive
from calling import AS_OF, Call
from hypothesis import given
from hypothesis import strategies as st
from odd import write_bare, write_odd

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.ledger.account import Account
from grt_batch.ledger.ledger import miscount
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.request import RunSummary
from grt_batch.pipeline.tasks import run_here
from grt_batch.queries.ledger import miscounted
from grt_batch.schema.members import Kind
from grt_batch.uploads.scan import Archive, scan

BLOCK = 4096
"""Small blocks, so that a member has several."""


def read(archive: Archive) -> tuple[Account, bytes]:
    """What is read of an archive, and its reject file."""
    config = Config(block_bytes=BLOCK)
    account, _, rejects = read_archive(archive.tar, config, (), run_here, Clock(), lambda _: None)
    assert account.quarantine is None
    return account, rejects


def lines_of(tar: Path) -> Mapping[str, int]:
    """The lines of each kind of member but its header, counted by Python's own tar and newlines."""
    counts: Counter[str] = Counter()
    with tarfile.open(tar) as entries:
        for entry in entries:
            kind = entry.name.removesuffix(".tsv").rpartition(".")[2]
            file = entries.extractfile(entry)
            if file and kind in {kind.value for kind in Kind}:
                lines = file.read().split(b"\n")
                lines = lines[:-1] if not lines[-1] else lines
                has_header = lines and any(field in (b"id", b"job_id") for field in lines[0].split(b"\t"))
                counts[kind] += len(lines) - bool(has_header)
    return {kind: count for kind, count in counts.items() if count}


def assert_accounted(archive: Archive) -> Account:
    """Every line is accepted or rejected, and every rejected piece stands in the reject file with its reason."""
    account, rejects = read(archive)
    assert {kind: members.lines for kind, members in account.members.items()} == lines_of(archive.tar)
    written = Counter(row.split(b"\t")[0].decode() for row in rejects.splitlines())
    reasons: Counter[str] = Counter()
    for kind, _, count in account.reasons:
        reasons[kind] += count
    for kind, members in account.members.items():
        assert members.lines == members.accepted + members.rejected, kind
        assert members.salvaged <= members.accepted
        assert members.orphans <= members.accepted
        assert members.rejected + members.fragments == written[kind] == reasons[kind], kind
    assert account.accepted(Kind.JOBS) == account.jobs + account.repeated
    return account


def uploads_of(name: str, sample: Path, folder: Path) -> Path:
    if name == "sample":
        return sample
    {"odd": write_odd, "bare": write_bare}[name](folder)
    return folder


@pytest.mark.parametrize("name", ["sample", "odd", "bare"])
def test_every_line_is_accounted_for(name: str, sample: Path, tmp_path: Path) -> None:
    accounts = [assert_accounted(archive) for archive in scan(uploads_of(name, sample, tmp_path)).archives]
    if name == "sample":
        for count in ("salvaged", "rejected", "fragments"):
            assert sum(account.total(count) for account in accounts), count


def fields() -> st.SearchStrategy[bytes]:
    """Fields that are mostly such of jobs and datasets, so that lines nearly are records."""
    good = [b"1", b"2", b"17", b"tool", b"1.0", b"ok", b"2024-06-01 10:00:00", b"bam", b"input", b"output", b"None"]
    return st.one_of(st.sampled_from(good), st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b"")))


def texts() -> st.SearchStrategy[bytes]:
    lines = st.lists(st.lists(fields(), max_size=12).map(b"\t".join), max_size=12)
    return st.tuples(lines.map(b"\n".join), st.sampled_from([b"", b"\n"])).map(b"".join)


@examples(60)
@given(members=st.dictionaries(st.sampled_from(list(Kind)), texts(), min_size=1))
def test_lines_of_anything_are_accounted_for(
    members: Mapping[Kind, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any") / "uploads"
    write_archive(folder / "any", "1", {kind: HEADERS[kind] + text for kind, text in members.items()})
    (archive,) = scan(folder).archives
    assert_accounted(archive)


@pytest.mark.parametrize("name", ["sample", "odd"])
def test_the_totals_of_a_run_are_the_sums_over_its_archives(
    name: str, config: Config, run_here: Callable[..., RunSummary], tmp_path: Path
) -> None:
    uploads = uploads_of(name, config.uploads, tmp_path / "odd")
    run_here(replace(config, uploads=uploads), modules=("instances",))
    latest = config.reports / "latest"
    header, *rows = (text.split("\t") for text in (latest / "archive.tsv").read_text().splitlines())
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update({name: int(value) for name, value in zip(header, row, strict=True) if value.isdigit()})
    numbers = json.loads((latest / "run.json").read_text())
    assert numbers["jobs"] == sums["jobs"] - sums["superseded"]
    assert numbers["accepted"] == sum(sums[kind] for kind in ("jobs", "metrics", "params", "datasets"))
    assert numbers["lines"] == numbers["accepted"] + numbers["rejected"]
    for total in ("salvaged", "rejected", "superseded", "bytes"):
        assert numbers[total] == sums[total], total
    written = sum(len(file.read_bytes().splitlines()) - 1 for file in (config.reports / "rejects").rglob("*.tsv"))
    assert written == numbers["rejected"] + numbers["fragments"]
    assert numbers["lines"] == sum(sum(lines_of(archive.tar).values()) for archive in scan(uploads).archives)
    assert numbers["archives"]["published"] == len(rows)


JOBS = [line(number, "tool", "1.0", "ok", "2024-06-01 10:00:00") for number in (1, 2, 3)]
JOINED = b"8358\t" + JOBS[0]
SHORT = line(9, "tool")


@pytest.mark.parametrize(
    ("lines", "counted", "what"),
    [
        (JOBS, {}, None),
        (JOBS, {"ok": 2, "error": 1}, None),
        (JOBS, {"ok": 2}, "counts 2 jobs, and the archive has 3"),
        (JOBS, {"ok": 3, "new": 1}, "counts 4 jobs, and the archive has 3"),
        ([], {"ok": 1}, "counts 1 job, and the archive has 0"),
        # A fragment and a rejected line may be counted or not, and may be several rows.
        ([*JOBS, JOINED, SHORT], {"ok": 4}, None),
        ([*JOBS, JOINED, SHORT], {"ok": 6}, None),
        ([*JOBS, JOINED, SHORT], {"ok": 14}, None),
        ([*JOBS, JOINED, SHORT], {"ok": 15}, "counts 15 jobs, and the archive has 4 and 2 rejected lines"),
        ([*JOBS, JOINED, SHORT], {"ok": 3}, "counts 3 jobs, and the archive has 4 and 2 rejected lines"),
    ],
)
def test_other_numbers_than_were_read_are_seen(
    lines: list[bytes], counted: dict[str, int], what: str | None, tmp_path: Path
) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(lines)}, jobs=counted)
    (archive,) = scan(tmp_path).archives
    account, _ = read(archive)
    assert miscount(archive, account) == (f"1.json {what}" if what else None)


def test_no_archive_of_the_sample_is_miscounted(sample: Path) -> None:
    archives = list(scan(sample).archives)
    assert all(archive.report and archive.report.jobs for archive in archives)
    assert [what for archive in archives if (what := miscount(archive, read(archive)[0]))] == []


def test_status_and_check_tell_of_it(config: Config, call: Call, tmp_path: Path) -> None:
    config = replace(config, uploads=tmp_path / "uploads")
    for name, counted in (("1", 3), ("2", 5)):
        write_archive(
            config.uploads / "a", name, {Kind.JOBS: HEADERS[Kind.JOBS] + b"".join(JOBS)}, jobs={"ok": counted}
        )
    places: list[object] = ["--work", config.work, "--database", config.database]
    options = ["--uploads", config.uploads, "--reports", config.reports, *places, "--as-of", AS_OF, "instances"]
    assert call("run", *options).code == 0
    what = "2.json counts 5 jobs, and the archive has 3"
    assert f"a/2: good: 3 jobs; {what}\n" in call("check", config.uploads).out
    assert "a/1: good: 3 jobs\n" in call("check", config.uploads).out
    assert call("status", *places).out.partition("miscounted:")[2].splitlines()[2].split() == ["a", "2", *what.split()]
    # Who is published no more is not told of.
    write_archive(config.uploads / "a", "2", {Kind.JOBS: JOBS[0]}, jobs={"ok": 1})
    assert call("run", *options).code == 0
    assert miscounted(config) == []
