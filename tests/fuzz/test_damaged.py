"""Archives that are damaged in a thousand ways: each ends in numbers, rejects or quarantine with a reason, and alone."""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import containers
import documents
import lines
import numpy as np
import pytest
from corpus import DOCUMENTS, Damaged, corpus, good
from properties import check_line

from grt_batch.core.config import Config
from grt_batch.core.errors import Quarantine
from grt_batch.core.timing import Clock
from grt_batch.ledger.account import Account
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import Kind
from grt_batch.schema.records import RECORDS, Job, Records
from grt_batch.uploads.metadata import read_report

Read = tuple[Account, Records | None, bytes]
ALL_KINDS = tuple(kind for kind in RECORDS if kind != Job.kind)
DAMAGES = [*(change.__name__ for change in (*lines.DAMAGES, *containers.DAMAGES)), "document"]


@pytest.fixture(scope="module")
def damaged() -> dict[str, list[Damaged]]:
    """The corpus, by damage."""
    found: dict[str, list[Damaged]] = {}
    for archive in corpus():
        found.setdefault(archive.damage, []).append(archive)
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose only content is the working directory, which is empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def read(tar: Path, wanted: tuple[str, ...] = ALL_KINDS) -> Read:
    return read_archive(tar, Config(), wanted, run_here, Clock(), lambda _: None)


def reason_of_document(archive: Damaged) -> str | None:
    """Why an archive is in quarantine for its N.json."""
    try:
        read_report(archive.report, archive.name)
    except Quarantine as error:
        return error.reason
    return None


def check_account(archive: Damaged, account: Account, records: Records, rejects: bytes) -> None:
    """What holds of every archive that is published: nothing that was read is lost."""
    # The second member of a kind is `jobs 2`.
    in_file = Counter(row.split(b"\t")[0].decode().split(" ")[0] for row in rejects.splitlines())
    for name, members in account.members.items():
        assert members.lines == members.accepted + members.rejected
        assert members.fragments <= members.salvaged <= members.accepted
        assert members.orphans <= members.accepted
        assert in_file.pop(name, 0) == members.rejected + members.fragments
        assert sum(n for kind, _, n in account.reasons if kind == name) == members.rejected + members.fragments
    assert not in_file
    assert all(row.count(b"\t") == 4 and row.decode() for row in rejects.removesuffix(b"\n").split(b"\n") if row)
    jobs = records[Job]
    ids = jobs[Job.job_id.name]
    assert account.jobs == jobs.height == account.accepted(Kind.JOBS) - account.repeated
    assert np.array_equal(ids, np.unique(ids))
    assert all(np.isin(records[record][Job.job_id.name], ids).all() for record in records.tables)
    for kind, text in (archive.members or {}).items():
        lines_of_text = text.count(b"\n") + (text[-1:] not in (b"\n", b""))
        counted = account.members[kind.value].lines if kind.value in account.members else 0
        assert lines_of_text - counted in (0, 1), "all but a header"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_is_accounted_for_or_in_quarantine(
    damage: str, damaged: dict[str, list[Damaged]], home: Path
) -> None:
    uploads = home / "uploads"
    fates: Counter[str] = Counter()
    # To join all kinds of records takes most of the time.
    for archive, wanted in zip(damaged[damage], cycle((ALL_KINDS, (), (), ())), strict=False):
        reason = reason_of_document(archive)
        if reason is None:
            account, records, rejects = read(archive.write(uploads), wanted)
            reason = account.quarantine
        if reason is not None:
            check_line(reason)
            fates["quarantined"] += 1
        else:
            assert records is not None
            check_account(archive, account, records, rejects)
            fates["rejects" if rejects else "whole"] += 1
    if damage.startswith("cut_") and damage != "cut_off":
        assert fates["quarantined"] == fates.total(), "what was cut off is never whole"
    assert fates["quarantined"] + fates["rejects"] > 0.2 * fates.total(), "a damage that nobody sees is none"
    # Names that lead elsewhere lead nowhere.
    assert {file.suffix for file in uploads.rglob("*") if file.is_file()} <= {".json", ".gz"}
    assert sorted(home.rglob("*")) == sorted({home / "here", uploads, *uploads.iterdir()})
    assert not list(Path("/").glob(f"{containers.OUTSIDE}*")) + list(Path("/tmp").glob(f"{containers.OUTSIDE}*"))


def test_an_archive_gives_the_same_after_a_damaged_one(damaged: dict[str, list[Damaged]], tmp_path: Path) -> None:
    """What was read before leaves nothing behind in the process that does it."""
    tar = good().write(tmp_path / "good")
    before = read(tar)
    for archives in damaged.values():
        for archive in archives[:2]:
            read(archive.write(tmp_path / "damaged"))
        assert same(read(tar), before), f"after {archives[0].damage}"


def same(one: Read, other: Read) -> bool:
    (account, records, rejects), (other_account, other_records, other_rejects) = one, other
    assert records is not None
    assert other_records is not None
    alike = records.tables.keys() == other_records.tables.keys() and all(
        records.frame(record).equals(other_records.frame(record)) for record in records.tables
    )
    return alike and account == other_account and rejects == other_rejects


def test_the_good_archive_is_good(tmp_path: Path) -> None:
    account, records, rejects = read(good().write(tmp_path))
    assert (account.quarantine, rejects) == (None, b"")
    assert records is not None
    check_account(good(), account, records, rejects)
    assert all(records[record].height for record in records.tables)
    assert account.jobs == 6
    assert records[Job]["runtime"].tolist() == [75_000_000] * 6


def test_the_corpus_is_large_and_always_the_same(damaged: dict[str, list[Damaged]]) -> None:
    archives = [archive for some in damaged.values() for archive in some]
    assert len(archives) >= 1000
    assert list(damaged) == DAMAGES
    assert len(damaged["document"]) == DOCUMENTS
    assert len({archive.name for archive in archives}) == len(archives)
    assert len({archive.tar for archive in archives}) > 0.9 * len(archives)
    assert archives[:50] == list(islice(corpus(), 50))
    assert documents.VALUES
