"""Every line of every archive is accounted for, in each member, in the tables and in run.json."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from build import HEADERS, examples, write_archive
from hypothesis import given
from hypothesis import strategies as st
from odd import write_bare, write_odd

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.ledger.account import Account
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
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
