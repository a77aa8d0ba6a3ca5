"""The upload folders: which instances and archives there are, in which order, and what is passed over and said."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from grt_batch.core.errors import NothingToRead
from grt_batch.uploads import scan as scanning
from grt_batch.uploads.cold import ColdCopy, marker_of, write_cold
from grt_batch.uploads.scan import Archive, Uploads, archive_at, glance, scan

LONG_AGO = 1_500_000_000


def write(home: Path, name: str, *, ending: str = "both", modified: float = LONG_AGO, **report: Any) -> None:
    """Write the pair of files of an archive (or the one of this ending) into `home`."""
    home.mkdir(parents=True, exist_ok=True)
    contents = {"json": json.dumps({"version": 3, **report}).encode(), "tar.gz": b"packed " + name.encode()}
    for each, content in contents.items():
        if ending in ("both", each):
            file = home / f"{name}.{each}"
            file.write_bytes(content)
            os.utime(file, (modified, modified))


def names(uploads: Uploads) -> list[str]:
    return [archive.name for archive in uploads.archives]


def only_archive(uploads: Uploads) -> Archive:
    (archive,) = uploads.archives
    return archive


def is_good(archive: Archive) -> bool:
    return archive.report is not None and archive.incomplete is None and archive.quarantine is None


@pytest.mark.parametrize("place", ["archives", ""])
def test_an_archive_is_found_in_either_layout(tmp_path: Path, place: str) -> None:
    home = tmp_path / "uni" / place
    write(home, "1501836597.08", generated="1501836597.08")
    uploads = scan(tmp_path)
    archive = only_archive(uploads)
    assert is_good(archive)
    assert (archive.instance_id, archive.name) == ("uni", "1501836597.08")
    assert archive.tar == home / "1501836597.08.tar.gz"
    status = archive.tar.stat()
    assert archive.bytes == status.st_size > 0
    assert archive.stamp == (status.st_size, status.st_mtime_ns, status.st_ino)
    assert uploads.passed_over == ()


def test_both_layouts_may_be_mixed(tmp_path: Path) -> None:
    home = tmp_path / "uni"
    write(home, "1", generated=100)
    write(home / "archives", "2", generated=200)
    # Half of a pair may lie in either place.
    write(home, "3", ending="json", generated=300)
    write(home / "archives", "3", ending="tar.gz")
    uploads = scan(tmp_path)
    assert names(uploads) == ["1", "2", "3"]
    assert all(map(is_good, uploads.archives))


def test_of_an_archive_in_both_places_one_is_read_and_the_other_said(tmp_path: Path) -> None:
    home = tmp_path / "uni"
    write(home, "1", generated=100)
    write(home / "archives", "1", generated=200)
    uploads = scan(tmp_path)
    archive = only_archive(uploads)
    assert archive.tar.parent.name == "archives"
    assert archive.report is not None and archive.report.generated == 200
    assert sorted(uploads.passed_over) == [f"uni/1.{ending}: is in archives/ too" for ending in ("json", "tar.gz")]


def test_metadata_is_read_beside_the_archives(tmp_path: Path) -> None:
    write(tmp_path / "uni" / "archives", "0")
    (tmp_path / "uni" / "metadata.json").write_text('{"title": "Uni", "public": true}')
    write(tmp_path / "lab", "0")
    lab, uni = scan(tmp_path).instances
    assert (uni.metadata.title, uni.metadata.public) == ("Uni", True)
    assert (lab.metadata.title, lab.metadata.public) == (None, False)


def test_instances_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    for instance_id in ("b", "10", "a", "2"):
        write(tmp_path / instance_id, "0")
    assert [instance.instance_id for instance in scan(tmp_path).instances] == ["10", "2", "a", "b"]


def test_archives_are_in_the_order_of_generated_as_a_number(tmp_path: Path) -> None:
    times = {"0": "1000.5", "1": 999, "2": "10000", "3": 1000.25, "4": "2000"}
    for name, generated in times.items():
        write(tmp_path / "uni", name, generated=generated)
    assert names(scan(tmp_path)) == ["1", "3", "0", "4", "2"]


def test_archives_of_one_moment_are_in_the_order_of_their_names_as_numbers(tmp_path: Path) -> None:
    for name in ("10", "2", "0", "1", "1.5", "01.25"):
        write(tmp_path / "uni", name, generated="1501836597.08")
    assert names(scan(tmp_path)) == ["0", "1", "01.25", "1.5", "2", "10"]


def test_without_generated_the_name_is_the_time(tmp_path: Path) -> None:
    for name in ("1501836597.1", "1501836597.08", "99", "1501836596"):
        write(tmp_path / "uni", name)
    uploads = scan(tmp_path)
    assert names(uploads) == ["99", "1501836596", "1501836597.08", "1501836597.1"]
    assert [archive.report.generated for archive in uploads.archives if archive.report] == [
        Decimal(name) for name in names(uploads)
    ]


def test_names_that_are_the_same_number_stay_apart(tmp_path: Path) -> None:
    for name in ("1", "1.0", "01"):
        write(tmp_path / "uni", name, generated=5)
    assert names(scan(tmp_path)) == ["01", "1", "1.0"]


@pytest.mark.parametrize("place", ["archives", ""])
@pytest.mark.parametrize(("ending", "missing"), [("json", "tar.gz"), ("tar.gz", "json")])
def test_half_a_pair_is_incomplete(tmp_path: Path, place: str, ending: str, missing: str) -> None:
    write(tmp_path / "uni" / place, "7", ending=ending)
    archive = only_archive(scan(tmp_path))
    assert archive.incomplete == f"7.{ending} has no 7.{missing}"
    assert archive.quarantine is None
    assert (archive.bytes > 0) is (ending == "tar.gz")
    assert (archive.report is None) is (ending == "tar.gz")


def test_half_a_pair_with_a_bad_report_is_incomplete_and_not_in_quarantine(tmp_path: Path) -> None:
    write(tmp_path / "uni", "7", ending="json", version=9)
    archive = only_archive(scan(tmp_path))
    assert archive.incomplete is not None
    assert archive.quarantine is None


@pytest.mark.parametrize("young", ["json", "tar.gz"])
def test_an_archive_that_just_changed_is_left_for_the_next_run(tmp_path: Path, young: str) -> None:
    write(tmp_path / "uni", "1", modified=1000)
    os.utime(tmp_path / "uni" / f"1.{young}", (2000, 2000))
    settled = {"settle_seconds": 300}
    assert only_archive(scan(tmp_path, **settled, now=2299)).incomplete == "changed within the settle time"
    assert is_good(only_archive(scan(tmp_path, **settled, now=2300)))
    assert is_good(only_archive(scan(tmp_path, settle_seconds=0, now=2000)))


AHEAD = "files dated in the future, which are read whatever settle_seconds says"


@pytest.mark.parametrize("settle_seconds", [0, 300])
@pytest.mark.parametrize("late", ["json", "tar.gz"])
def test_a_file_from_the_future_is_read_and_said(tmp_path: Path, settle_seconds: int, late: str) -> None:
    write(tmp_path / "uni", "1", modified=1000)
    os.utime(tmp_path / "uni" / f"1.{late}", (2400, 2400))
    archive = only_archive(scan(tmp_path, settle_seconds=settle_seconds, now=2000))
    assert is_good(archive)
    assert archive.doubts == (AHEAD,)


def test_a_clock_that_is_a_little_ahead_is_not_worth_a_word(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1", modified=2050)
    archive = only_archive(scan(tmp_path, now=2000))
    assert is_good(archive)
    assert archive.doubts == ()
    # It may still be written.
    assert only_archive(scan(tmp_path, settle_seconds=51, now=2000)).incomplete == "changed within the settle time"
    assert is_good(only_archive(scan(tmp_path, settle_seconds=50, now=2000)))


def test_a_date_of_n_json_in_the_future_is_said(tmp_path: Path) -> None:
    now = 1_718_000_000
    write(tmp_path / "a", "1", generated=now + 86_400)
    write(tmp_path / "b", "2", generated=now + 86_401)
    write(tmp_path / "c", "1718000003", generated=now + 10**9)
    soon, late, impossible = scan(tmp_path, now=now).archives
    assert soon.doubts == ()
    assert ["date of N.json in the future" in doubt for doubt in late.doubts] == [True]
    assert ["impossible date in N.json" in doubt for doubt in impossible.doubts] == [True]


def test_an_archive_with_an_impossible_date_does_not_win(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1718000000.5", generated=4_000_000_000)
    write(tmp_path / "uni", "1718000001", generated=1_718_000_001)
    write(tmp_path / "uni", "1718000002", generated=0)
    assert names(scan(tmp_path)) == ["1718000000.5", "1718000001", "1718000002"]


def test_the_settle_time_is_measured_from_now(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1")
    assert is_good(only_archive(scan(tmp_path, settle_seconds=3600)))
    os.utime(tmp_path / "uni" / "1.json")
    assert only_archive(scan(tmp_path, settle_seconds=3600)).incomplete


@pytest.mark.parametrize("name", [".hidden", "-x", "_x", "a b", "ä", "a+b", "a,b"])
def test_a_folder_that_names_no_instance_is_passed_over_and_said(tmp_path: Path, name: str) -> None:
    write(tmp_path / "uni", "0")
    write(tmp_path / name, "0")
    uploads = scan(tmp_path)
    assert [instance.instance_id for instance in uploads.instances] == ["uni"]
    (line,) = uploads.passed_over
    assert line.endswith(": not the name of an instance")


@pytest.mark.parametrize("name", ["0", "e2f1b7a0-6a0f-4a55-9d1c-0f5a3f6d1c11", "A.b_c-d", "x..y"])
def test_a_folder_of_such_a_name_is_an_instance(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "0")
    assert only_archive(scan(tmp_path)).instance_id == name


def test_files_and_empty_folders_are_passed_over_and_said(tmp_path: Path) -> None:
    write(tmp_path / "uni" / "archives", "0")
    (tmp_path / "README").write_text("hello")
    (tmp_path / "empty" / "archives").mkdir(parents=True)
    (tmp_path / "bare").mkdir()
    assert scan(tmp_path).passed_over == (
        "README: not a folder",
        "bare: holds no archives",
        "empty: holds no archives",
    )


def test_what_an_instance_without_archives_says_of_itself_is_read(tmp_path: Path) -> None:
    write(tmp_path / "uni", "0")
    for name, metadata in (("silent", None), ("nothing", "{}"), ("bare", '{"title": "Bare", "public": true}')):
        (tmp_path / name / "archives").mkdir(parents=True)
        if metadata:
            (tmp_path / name / "metadata.json").write_text(metadata)
    uploads = scan(tmp_path)
    (bare,) = uploads.bare
    assert (bare.instance_id, bare.metadata.title, bare.metadata.public, bare.archives) == ("bare", "Bare", True, ())
    assert [instance.instance_id for instance in uploads.instances] == ["uni"]
    assert "bare: holds no archives" in uploads.passed_over


@pytest.mark.parametrize(
    "name",
    [
        "x.json",
        "1.tar",
        "1.tar.gz.part",
        ".1.json",
        "1.json~",
        "-1.json",
        "1e5.json",
        "1..json",
        "1.2.3.json",
        "report",
    ],
)
@pytest.mark.parametrize("place", ["archives", ""])
def test_a_file_that_is_no_archive_is_passed_over_and_said(tmp_path: Path, place: str, name: str) -> None:
    write(tmp_path / "uni" / place, "0")
    (tmp_path / "uni" / place / name).write_text("?")
    uploads = scan(tmp_path)
    assert names(uploads) == ["0"]
    assert uploads.passed_over == (f"uni/{name}: not an archive",)


def test_metadata_and_folders_inside_of_archives_are_no_archives(tmp_path: Path) -> None:
    home = tmp_path / "uni" / "archives"
    write(home, "0")
    (home / "metadata.json").write_text('{"title": "not here"}')
    (home / "1.json").mkdir()
    uploads = scan(tmp_path)
    assert names(uploads) == ["0"]
    assert uploads.instances[0].metadata.title is None
    assert uploads.passed_over == ("uni/1.json: not an archive", "uni/metadata.json: not an archive")


def test_a_link_that_leads_nowhere_is_passed_over_and_said(tmp_path: Path) -> None:
    write(tmp_path / "uni", "0")
    (tmp_path / "uni" / "1.json").symlink_to("gone.json")
    (tmp_path / "old").symlink_to("gone")
    assert scan(tmp_path).passed_over == ("old: not a folder", "uni/1.json: not an archive")


@pytest.mark.parametrize(
    ("link", "line"),
    [
        ("1.json", "1.json: not a folder"),
        ("uni/1.json", "uni/1.json: not an archive"),
        ("uni/archives/1.json", "uni/1.json: not an archive"),
    ],
)
def test_a_link_that_leads_to_itself_is_passed_over_and_said(tmp_path: Path, link: str, line: str) -> None:
    write(tmp_path / "uni" / "archives", "0")
    (tmp_path / link).symlink_to("1.json")
    uploads = scan(tmp_path)
    assert names(uploads) == ["0"]
    assert uploads.passed_over == (line,)


@pytest.mark.parametrize("target", ["archives", "."])
def test_a_folder_archives_that_leads_in_circles_hides_no_archive(tmp_path: Path, target: str) -> None:
    write(tmp_path / "uni", "0")
    (tmp_path / "uni" / "archives").symlink_to(target)
    uploads = scan(tmp_path)
    assert is_good(only_archive(uploads))
    assert "uni/archives: not an archive" in uploads.passed_over


@pytest.mark.parametrize("unreadable", ["lab", "lab/archives"])
def test_a_folder_that_cannot_be_read_is_said_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    write(tmp_path / "lab" / "archives", "0")
    write(tmp_path / "uni" / "archives", "0")
    scandir = os.scandir

    # Not by the rights of the folder, since root may read it all the same.
    def refuse(folder: Path) -> Any:
        if folder == tmp_path / unreadable:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    uploads = scan(tmp_path)
    assert only_archive(uploads).instance_id == "uni"
    assert uploads.passed_over == ()
    assert uploads.unreadable == {"lab": "its folder cannot be read: Permission denied"}
    assert "lab: its folder cannot be read: Permission denied" in nothing(tmp_path, only=("lab",))


def test_a_file_that_is_removed_meanwhile_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1", "2"):
        write(tmp_path / "uni", name)
    entries = scanning._entries

    def then_remove(folder: Path) -> list[os.DirEntry[str]]:
        found = entries(folder)
        if folder != tmp_path:
            (folder / "2.json").unlink()
        return found

    monkeypatch.setattr(scanning, "_entries", then_remove)
    uploads = scan(tmp_path)
    assert [archive.incomplete for archive in uploads.archives] == [None, "2.tar.gz has no 2.json"]
    assert (uploads.passed_over, uploads.unreadable) == (("uni/2.json: not an archive",), {})


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
@pytest.mark.parametrize("closed", ["lab", "lab/archives"])
def test_a_folder_of_too_few_rights_is_not_taken_for_an_empty_one(open_folder: Path, closed: str, mode: int) -> None:
    write(open_folder / "lab" / "archives", "0")
    write(open_folder / "uni" / "archives", "0")
    (open_folder / closed).chmod(mode)
    if closed == "lab" and mode == 0o111:
        pytest.skip("who knows its name may read lab/archives")
    with nobody():
        uploads = scan(open_folder)
    assert only_archive(uploads).instance_id == "uni"
    assert uploads.unreadable == {"lab": "its folder cannot be read: Permission denied"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        for path in (Path(folder) / "lab", Path(folder) / "lab" / "archives"):
            path.chmod(0o755)


@contextmanager
def nobody() -> Iterator[None]:
    """Have no more rights than anyone, as root has."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_metadata_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for instance_id in ("folder", "link", "none"):
        write(tmp_path / instance_id, "0")
    (tmp_path / "folder" / "metadata.json").mkdir()
    (tmp_path / "link" / "metadata.json").symlink_to("metadata.json")
    uploads = scan(tmp_path)
    assert all(map(is_good, uploads.archives))
    assert {instance.instance_id: instance.metadata.problem for instance in uploads.instances} == {
        "folder": "metadata.json cannot be read",
        "link": "metadata.json cannot be read",
        "none": None,
    }
    assert not any(instance.metadata.public for instance in uploads.instances)


def test_a_file_in_the_place_of_the_folder_archives_is_said(tmp_path: Path) -> None:
    write(tmp_path / "uni", "0")
    (tmp_path / "uni" / "archives").write_text("?")
    assert scan(tmp_path).passed_over == ("uni/archives: not an archive",)


def test_linked_folders_and_files_are_read(tmp_path: Path) -> None:
    write(tmp_path / "disk" / "uni", "0")
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "uni").symlink_to(tmp_path / "disk" / "uni")
    assert is_good(only_archive(scan(tmp_path / "uploads")))


def test_only_the_instances_that_are_asked_for_are_read(tmp_path: Path) -> None:
    for instance_id in ("a", "b", "c"):
        write(tmp_path / instance_id, "0")
    assert [instance.instance_id for instance in scan(tmp_path, only=("c", "a")).instances] == ["a", "c"]


def nothing(root: Path, **options: Any) -> str:
    """The one line for which there is nothing to read."""
    with pytest.raises(NothingToRead) as caught:
        scan(root, **options)
    assert caught.value.exit_code == 3
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_to_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    assert "no folder holds archives" in nothing(tmp_path)
    (tmp_path / "uni" / "archives").mkdir(parents=True)
    assert "no folder holds archives" in nothing(tmp_path)
    assert "No such file" in nothing(tmp_path / "nowhere")
    (tmp_path / "file").write_text("?")
    assert "Not a directory" in nothing(tmp_path / "file")


def test_an_instance_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    write(tmp_path / "a", "0")
    (tmp_path / "empty").mkdir()
    line = nothing(tmp_path, only=("z", "a", "empty"))
    assert "empty, z" in line


@pytest.mark.parametrize("content", ['{"version": 9}', "{", '{"version": 3, "report_hash": "?"}', ""])
def test_a_bad_report_puts_its_archive_in_quarantine_and_no_other(tmp_path: Path, content: str) -> None:
    for name in ("1", "2", "3"):
        write(tmp_path / "uni", name)
    (tmp_path / "uni" / "2.json").write_text(content)
    os.utime(tmp_path / "uni" / "2.json", (LONG_AGO, LONG_AGO))
    one, bad, three = scan(tmp_path).archives
    assert is_good(one)
    assert is_good(three)
    assert bad.report is None
    assert bad.incomplete is None
    assert bad.quarantine is not None
    assert bad.quarantine.startswith("2.json")
    assert "\n" not in bad.quarantine


STRANGE = b"new\nline \xff\xfe"


def test_a_strange_name_of_a_folder_is_one_printable_line(tmp_path: Path) -> None:
    write(tmp_path / "uni" / "archives", "0")
    for place in ("", "uni", "uni/archives"):
        Path(os.fsdecode(os.fsencode(tmp_path / place) + b"/" + STRANGE)).mkdir()
    uploads = scan(tmp_path)
    assert names(uploads) == ["0"]
    assert len(uploads.passed_over) == 3
    for line in uploads.passed_over:
        assert line.isprintable()
        assert line.encode("utf-8")


@pytest.mark.parametrize("place", ["", "uni", "uni/archives"])
def test_a_strange_name_of_a_file_is_one_printable_line(tmp_path: Path, place: str) -> None:
    write(tmp_path / "uni" / "archives", "0")
    Path(os.fsdecode(os.fsencode(tmp_path / place) + b"/" + STRANGE)).write_text("?")
    (line,) = scan(tmp_path).passed_over
    assert line.isprintable()
    assert line.encode("utf-8")


def test_a_glance_sees_the_pairs_as_a_scan_does(tmp_path: Path) -> None:
    for folder in ("a/archives", "b", "nothing"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a/archives/1", "a/archives/2.5", "b/3"):
        for ending in ("json", "tar.gz"):
            (tmp_path / f"{name}.{ending}").write_bytes(b"x" * len(name))
    (tmp_path / "a/archives/4.json").touch()
    (tmp_path / "b/.5.tar.gz").touch()
    (tmp_path / "file").touch()
    seen = glance(tmp_path)
    whole = [archive for archive in scan(tmp_path).archives if not archive.incomplete]
    assert {key: pair.stamp for key, pair in seen.items()} == {(one.instance_id, one.name): one.stamp for one in whole}
    assert len(seen) == 3
    os.utime(tmp_path / "b/3.json", (2_000_000_000, 2_000_000_000))
    assert glance(tmp_path)["b", "3"].changed == 2_000_000_000
    assert glance(tmp_path / "missing") == {}


def freeze(file: Path, content: bytes | None = None) -> ColdCopy:
    """Put a marker in the place of a tar.gz, or other content."""
    stat = file.stat()
    copy = ColdCopy("s3://bucket/1.tar.gz", "ab" * 32, stat.st_size, scanning.stamp_of(stat), "2024-06-30T12:00:00Z")
    write_cold(marker_of(file), copy)
    if content is not None:
        marker_of(file).write_bytes(content)
    file.unlink()
    return copy


@pytest.mark.parametrize("place", ["archives", ""])
def test_an_archive_in_cold_storage_is_as_it_was_but_cannot_be_read(tmp_path: Path, place: str) -> None:
    home = tmp_path / "uni" / place
    write(home, "1")
    before = only_archive(scan(tmp_path))
    copy = freeze(home / "1.tar.gz")
    uploads = scan(tmp_path)
    archive = only_archive(uploads)
    assert archive == replace(before, cold=copy, is_cold=True)
    assert (before.readable, archive.readable, is_good(archive)) == (True, False, True)
    assert uploads.passed_over == ()
    assert archive_at(home / "1.json").is_cold


def test_a_marker_beside_a_tar_gz_only_tells_of_a_copy(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1")
    file = tmp_path / "uni" / "1.tar.gz"
    copy = freeze(file)
    file.write_bytes(b"another")
    archive = only_archive(scan(tmp_path))
    assert (archive.cold, archive.is_cold, archive.readable, archive.bytes) == (copy, False, True, 7)
    marker_of(file).write_bytes(b"{")
    archive = only_archive(scan(tmp_path))
    assert (archive.cold, archive.readable, is_good(archive)) == (None, True, True)
    assert archive.doubts == ("a damaged marker, so that nobody knows where their copies in cold storage are",)


def test_a_damaged_marker_is_an_incomplete_archive(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1")
    freeze(tmp_path / "uni" / "1.tar.gz", b"[]")
    archive = only_archive(scan(tmp_path))
    assert archive.incomplete == "1.tar.gz is in cold storage, nobody knows where: 1.cold is no JSON object"
    assert (archive.is_cold, archive.cold, archive.quarantine) == (True, None, None)


def test_a_marker_without_a_report_is_an_incomplete_archive(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1")
    freeze(tmp_path / "uni" / "1.tar.gz")
    (tmp_path / "uni" / "1.json").unlink()
    uploads = scan(tmp_path)
    assert only_archive(uploads).incomplete == "1.cold has no 1.json"
    assert uploads.passed_over == ()


def test_a_marker_is_never_too_young(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1")
    freeze(tmp_path / "uni" / "1.tar.gz")
    assert only_archive(scan(tmp_path, settle_seconds=3600)).incomplete is None


def test_a_glance_takes_a_marker_for_its_tar_gz(tmp_path: Path) -> None:
    write(tmp_path / "uni", "1")
    write(tmp_path / "uni", "2", ending="json")
    freeze(tmp_path / "uni" / "1.tar.gz")
    found = glance(tmp_path)
    assert {name: pair.is_cold for name, pair in found.items()} == {("uni", "1"): True}
