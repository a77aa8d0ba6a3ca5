"""The check of a single archive, without a database."""

from __future__ import annotations

import hashlib
from pathlib import Path

from build import entry, line, write_archive
from cold_storage import freeze

from grt_batch.core.config import Config
from grt_batch.schema.members import Kind
from grt_batch.uploads.scan import scan
from grt_batch.verify.archives import ArchiveCheck, check_archive

JOBS = line(1, "a", "1", "ok", "2020-01-01 00:00:00") + line(2, "a", "1", "ok", "2020-01-01 00:00:00")
METRICS = line(1, "core", "runtime_seconds", "1.0000000")


def checked(uploads: Path) -> ArchiveCheck:
    """The result for the only archive."""
    (archive,) = scan(uploads).archives
    return check_archive(archive, Config())


def test_the_records_of_a_good_archive_are_counted(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS, Kind.METRIC_NUM: METRICS})
    assert checked(tmp_path) == ArchiveCheck("good: 2 jobs, 1 metric_num")


def test_an_archive_without_records_is_good(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: b""})
    assert checked(tmp_path) == ArchiveCheck("good: no records")


def test_an_archive_without_members_says_so(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", "1", {}, entries=entry("README", b"none"))
    assert checked(tmp_path) == ArchiveCheck("good: no records, its tar has no member that could hold any")


def test_rejected_lines_are_told_by_reason_and_do_no_harm(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS + b"3\ta\n"})
    assert checked(tmp_path) == ArchiveCheck("good: 2 jobs; 1 rejected; 1 × jobs: 2 columns instead of 5")


def test_implausible_measurements_are_told_and_do_no_harm(tmp_path: Path) -> None:
    metrics = line(1, "core", "start_epoch", "0E-7") + line(2, "core", "start_epoch", "0E-7") + METRICS
    write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS, Kind.METRIC_NUM: metrics})
    assert checked(tmp_path) == ArchiveCheck("good: 2 jobs, 3 metric_num; implausible: 2 × start_epoch")


def test_another_count_of_jobs_is_told_and_does_no_harm(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS}, jobs={"ok": 3})
    assert checked(tmp_path) == ArchiveCheck("good: 2 jobs; 1.json counts 3 jobs, and the archive has 2")


def test_an_incomplete_archive_is_not_read(tmp_path: Path) -> None:
    tar = write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS})
    tar.with_name("1.json").unlink()
    tar.write_bytes(b"no archive")
    assert checked(tmp_path) == ArchiveCheck("incomplete: 1.tar.gz has no 1.json")


def test_an_archive_in_cold_storage_is_no_error(tmp_path: Path) -> None:
    freeze(write_archive(tmp_path / "up" / "a" / "archives", "1", {Kind.JOBS: JOBS}))
    url = (tmp_path / "up" / "a" / "archives" / "1.tar.gz.copy").as_uri()
    assert checked(tmp_path / "up") == ArchiveCheck(f"not read, since it is in cold storage: {url}")


def test_an_archive_with_a_bad_document_is_in_quarantine(tmp_path: Path) -> None:
    tar = write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS})
    tar.with_name("1.json").write_text("[]")
    verdict = checked(tmp_path)
    assert verdict.quarantined
    assert verdict.text.startswith("quarantine: 1.json")


def test_an_archive_of_another_hash_is_in_quarantine(tmp_path: Path) -> None:
    write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS}, report_hash=f"sha256:{hashlib.sha256().hexdigest()}")
    verdict = checked(tmp_path)
    assert verdict.quarantined
    assert verdict.text.startswith("quarantine: the hash in ")


def test_an_archive_that_is_damaged_is_in_quarantine(tmp_path: Path) -> None:
    tar = write_archive(tmp_path / "a", "1", {Kind.JOBS: JOBS})
    tar.write_bytes(tar.read_bytes()[:-20])
    verdict = checked(tmp_path)
    assert verdict.quarantined
    assert verdict.text.startswith("quarantine: ")
