"""What is remembered of archives: hashes of files, and what was published of those that are gone."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coming_and_going import AS_OF, NOON, Site, change_code, compute_nothing, small_site

from grt_batch.core.errors import CannotWrite, DatabaseRefused, NothingToRead
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.keys import ACCOUNT, IDS, SUPERSEDED
from grt_batch.pipeline.planned import Step
from grt_batch.pipeline.unreadable import NUMBERS_LOST, OLD
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.uploads.scan import Archive, scan
from grt_batch.verify.verification import verify_published

STAYS = "its files were removed; its numbers stay until --forget"
OF_THE_FILES = ("archive", "instance_status")
"""The tables that say which archives are there."""


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    return small_site(tmp_path, database)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "grt_batch")
    return caplog


# Which file had which hash.


def archive_of(folder: Path) -> Archive:
    (archive,) = scan(folder).archives
    return archive


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """Uploads of one archive, which are looked at without a run."""
    folder = tmp_path / "alone"
    home = folder / "a"
    home.mkdir(parents=True)
    (home / "1.tar.gz").write_bytes(b"packed")
    (home / "1.json").write_text('{"version": 3}')
    return folder


def test_a_file_is_remembered_over_runs(tmp_path: Path, alone: Path) -> None:
    archive = archive_of(alone)
    index = ArchiveIndex(tmp_path, alone)
    assert (index.knows(archive), index.sha256(archive), index.key(archive)) == (False, None, "")
    index.remember(archive, "a hash", "a key")
    index.save()
    again = ArchiveIndex(tmp_path, alone)
    assert (again.knows(archive), again.sha256(archive), again.key(archive)) == (True, "a hash", "a key")
    assert not again.damaged


def longer(tar: Path) -> None:
    date = tar.stat().st_mtime_ns
    tar.write_bytes(tar.read_bytes() + b"\0")
    os.utime(tar, ns=(date, date))


def touched(tar: Path) -> None:
    date = tar.stat().st_mtime_ns + 1_000_000
    os.utime(tar, ns=(date, date))


def moved(tar: Path) -> None:
    date = tar.stat().st_mtime_ns
    other = tar.with_name("other")
    other.write_bytes(tar.read_bytes())
    os.utime(other, ns=(date, date))
    other.replace(tar)


@pytest.mark.parametrize("change", [longer, touched, moved], ids=["size", "date", "inode"])
def test_the_hash_of_a_file_is_not_that_of_another(tmp_path: Path, alone: Path, change) -> None:
    index = ArchiveIndex(tmp_path, alone)
    index.remember(archive_of(alone), "a hash", "a key")
    change(archive_of(alone).tar)
    assert index.sha256(archive_of(alone)) is None
    assert index.knows(archive_of(alone))


KNOWN = '{"format": 2, "as_of": null, "uploads": {"x": {"a": {"metadata": {"owners": []}, "archives": %s}}}}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "\0",
        "[]",
        "null",
        "{}",
        '{"format": 1}',
        '{"3/1": [1, 2, 3, "a"]}',
        '{"format": 2, "as_of": 7}',
        '{"format": 2, "as_of": null, "uploads": {"x": {"a": {}}}}',
        KNOWN % "[]",
        KNOWN % '{"1": 7}',
        KNOWN % '{"1": {"stamp": [1, 2], "sha256": "a", "key": "b"}}',
        KNOWN % '{"1": {"stamp": [1, 2, 3], "sha256": 4, "key": "b"}}',
        KNOWN % '{"1": {"stamp": [1, 2, 3], "sha256": "a", "key": "b", "document": 3}}',
    ],
    ids=lambda content: content[:60],
)
def test_a_damaged_index_is_no_index_and_is_put_aside(tmp_path: Path, alone: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    index = ArchiveIndex(tmp_path, alone)
    assert index.damaged
    assert not index.knows(archive_of(alone))
    index.save()
    assert not ArchiveIndex(tmp_path, alone).damaged
    assert (tmp_path / "index.damaged").read_text() == content


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_the_index_is_whole_or_the_one_before(
    tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    index = ArchiveIndex(tmp_path, alone)
    index.remember(archive_of(alone), "a hash", "a key")
    index.save()
    before = (tmp_path / "index.json").read_bytes()
    index.remember(archive_of(alone), "another", "key")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(step, fail)
    with pytest.raises(CannotWrite, match="the disk is gone"):
        index.save()
    assert (tmp_path / "index.json").read_bytes() == before


def test_what_is_remembered_outlasts_a_power_cut(tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fsync, []

    def watch(file: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(file).st_mode), (tmp_path / "index.json").exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", watch)
    index = ArchiveIndex(tmp_path, alone)
    index.remember(archive_of(alone), "a hash", "a key")
    index.save()
    # The file before it has its name, the folder after that.
    assert synced == [(False, False), (True, True)]
    index.save()
    assert len(synced) == 2


# Archives that are gone.


def test_the_numbers_of_an_archive_that_is_gone_stay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    before, status = site.tables(*OF_THE_FILES), site.rows("instance_status")[0]
    # The second one replaces a job of the first: it does so when it is gone as well.
    site.remove("a", "2")
    assert site.plan()["a/2"] == (Step.REMOVED, STAYS)
    compute_nothing(monkeypatch)
    summary = site.run()
    assert site.tables(*OF_THE_FILES) == before
    assert site.states() == {"a/1": ("published", ""), "a/2": ("published", STAYS)} | dict.fromkeys(
        ["a/3", "b/1"], ("published", "")
    )
    assert summary.numbers["archives"] == {"found": 3, "published": 4, "quarantined": 0, "incomplete": 0, "removed": 1}
    # What is no more takes no room.
    assert (status["archives"], site.rows("instance_status")[0]["archives"]) == ("3", "2")
    assert int(site.rows("instance_status")[0]["bytes"]) < int(status["bytes"])


def test_an_instance_that_is_gone_stays_as_it_was(site: Site, warnings: pytest.LogCaptureFixture) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    site.remove_instance("b")
    assert site.plan()["b/1"] == (Step.REMOVED, STAYS)
    for _ in range(2):
        warnings.clear()
        site.run()
        assert site.tables(*OF_THE_FILES) == before
        assert [row["title"] for row in site.rows("instance")] == ["", "The second"]
        assert warnings.messages == ["no archive is left, 1 archive removed; the numbers stay until --forget"]


def test_what_an_instance_without_archives_says_of_itself_counts(site: Site) -> None:
    site.run()
    site.remove("b", "1")
    site.describe("b", title="Not for all", public=False)
    site.run()
    row = site.rows("instance")[1]
    assert (row["title"], row["public"], row["jobs"]) == ("Not for all", "false", "1")


def test_no_archive_at_all_is_nothing_to_read(site: Site) -> None:
    site.run()
    before = site.tables()
    for instance_id in ("a", "b"):
        site.remove_instance(instance_id)
    with pytest.raises(NothingToRead):
        site.run()
    assert site.tables() == before


def test_archives_that_go_once_they_were_read_are_as_if_they_had_stayed(site: Site, tmp_path: Path) -> None:
    site.run()
    come_and_go = Site(replace(site.fresh(tmp_path / "other").config, uploads=tmp_path / "come_and_go"))
    come_and_go.write("z", "1", [])
    for instance_id, name, ids in (("a", "2", [3, 4]), ("b", "1", [1]), ("a", "3", [5, 6]), ("a", "1", [1, 2, 3])):
        come_and_go.write(instance_id, name, ids)
        come_and_go.run()
        come_and_go.remove(instance_id, name)
    come_and_go.describe("b", title="The second", public=True)
    # `z` was only there so that there was something to read.
    shutil.copytree(come_and_go.config.uploads / "z", site.config.uploads / "z")
    site.run()
    come_and_go.run()
    assert come_and_go.tables(*OF_THE_FILES) == site.tables(*OF_THE_FILES)


def test_an_archive_that_comes_back_needs_no_reading(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    before = site.tables()
    site.remove("a", "1")
    site.run()
    site.write("a", "1", [1, 2, 3])
    compute_nothing(monkeypatch)
    site.run()
    assert site.tables() == before


def test_an_archive_in_quarantine_is_not_remembered(site: Site) -> None:
    site.run()
    json_file = site.config.uploads / "a" / "archives" / "3.json"
    json_file.write_text("{")
    site.run()
    assert site.states()["a/3"][0] == "quarantined"
    site.remove("a", "3")
    site.run()
    assert "a/3" not in site.states()
    assert site.jobs() == {"a": 4, "b": 1}


def test_other_uploads_have_other_archives(site: Site, tmp_path: Path) -> None:
    site.run()
    before = site.tables()
    other = Site(replace(site.config, uploads=tmp_path / "other", reports=tmp_path / "other_reports"))
    other.write("c", "1", [7])
    other.run()
    assert other.jobs() == {"c": 1}
    site.remove("a", "3")
    site.run()
    assert site.jobs() == {"a": 6, "b": 1}
    site.write("a", "3", [5, 6])
    site.run()
    assert site.tables() == before


def test_uploads_are_the_same_however_they_are_called(tmp_path: Path, alone: Path) -> None:
    index = ArchiveIndex(tmp_path, alone)
    index.remember(archive_of(alone), "a hash", "a key")
    index.save()
    for same in (alone / ".." / alone.name, Path(os.path.relpath(alone)), alone / "." / "a" / ".."):
        assert ArchiveIndex(tmp_path, same).knows(archive_of(alone))
    assert not ArchiveIndex(tmp_path, alone / "a").knows(archive_of(alone))


def test_uploads_that_were_moved_are_the_same_behind_a_link(site: Site, tmp_path: Path) -> None:
    site.run()
    site.remove("a", "3")
    site.config.uploads.rename(tmp_path / "moved")
    site.config.uploads.symlink_to(tmp_path / "moved")
    site.run()
    assert site.jobs() == {"a": 6, "b": 1}


# Letting go.


def test_forget_lets_the_numbers_go_and_so_they_stay_gone(site: Site, tmp_path: Path) -> None:
    site.run()
    site.remove("a", "2")
    site.remove_instance("b")
    assert set(site.plan(forget=True)) == {"a/1", "a/3"}
    site.run(forget=True)
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables() == fresh.tables()
    assert set(site.plan()) == {"a/1", "a/3"}
    site.run()
    assert site.tables() == fresh.tables()


def test_forget_may_be_of_one_instance(site: Site) -> None:
    site.run()
    site.remove("a", "3")
    site.remove_instance("b")
    site.run(forget=True, instances=("b",))
    assert site.jobs() == {"a": 6}
    site.run()
    assert site.jobs() == {"a": 6}
    with pytest.raises(NothingToRead, match="the instance b"):
        site.run(forget=True, instances=("b",))


def test_what_is_forgotten_is_so_once_that_is_published(site: Site) -> None:
    site.run()
    site.remove("a", "3")
    lost = Site(replace(site.config, database="host=/nowhere dbname=none"))
    with pytest.raises(DatabaseRefused):
        lost.run(forget=True)
    assert site.plan()["a/3"] == (Step.REMOVED, STAYS)


@pytest.mark.parametrize("before", [True, False], ids=["later", "at first"])
def test_what_was_read_is_remembered_though_it_could_not_be_published(site: Site, before: bool) -> None:
    if before:
        site.run()
    site.write("a", "4", [7])
    lost = Site(replace(site.config, database="host=/nowhere dbname=none"))
    with pytest.raises(DatabaseRefused):
        lost.run()
    site.remove("a", "4")
    site.run()
    assert site.jobs() == {"a": 7, "b": 1}


# Archives that are not whole any more, or others.


def without_json(tar: Path) -> None:
    tar.with_name("3.json").unlink()


def without_tar(tar: Path) -> None:
    tar.unlink()


def sent_again(tar: Path) -> None:
    tar.write_bytes(tar.read_bytes()[:100])


def settle(uploads: Path) -> None:
    """Let all files be old ones."""
    for file in uploads.rglob("*.*"):
        os.utime(file, (NOON, NOON))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_json, "3.tar.gz has no 3.json"),
        (without_tar, "3.json has no 3.tar.gz"),
        (sent_again, "changed within the settle time"),
    ],
    ids=lambda change: getattr(change, "__name__", ""),
)
def test_an_archive_that_is_not_whole_any_more_counts_as_it_was(site: Site, tmp_path: Path, change, why: str) -> None:
    site = Site(replace(site.config, settle_seconds=3600))
    settle(site.config.uploads)
    site.run()
    before = site.tables(*OF_THE_FILES)
    change(site.config.uploads / "a" / "archives" / "3.tar.gz")
    known = f"{why}; its numbers stay until --forget"
    assert site.plan()["a/3"] == (Step.INCOMPLETE, known)
    site.run()
    assert site.tables(*OF_THE_FILES) == before
    assert site.states()["a/3"] == ("incomplete", known)
    assert {row["archive"]: row["jobs"] for row in site.rows("archive")}["3"] == "2"
    # Forgotten, it is as it is where nobody read it before.
    site.run(forget=True)
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables() == fresh.tables()
    assert site.states()["a/3"] == ("incomplete", why)
    assert site.plan()["a/3"] == (Step.INCOMPLETE, why)
    # Whole again, it is read.
    site.write("a", "3", [5, 6, 7])
    settle(site.config.uploads)
    site.run()
    assert site.states()["a/3"] == ("published", "")
    assert site.jobs()["a"] == 7


def test_what_cannot_be_read_counts_as_it_was_and_is_not_forgotten(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert site.run().is_whole
    before = site.tables(*OF_THE_FILES)
    scandir = os.scandir

    def refuse(folder: Path) -> Any:
        if folder == site.config.uploads / "a" / "archives":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    reason = "its folder cannot be read: Permission denied"
    for forget in (False, True):
        caplog.clear()
        summary = site.run(forget=forget)
        assert (summary.is_whole, dict(summary.unreadable)) == (False, {"a": reason})
        assert reason in caplog.messages
        assert site.tables(*OF_THE_FILES) == before
        assert site.states()["a/1"] == ("incomplete", f"{reason}; its numbers stay until --forget")
    monkeypatch.undo()
    assert site.run().is_whole
    assert site.states()["a/1"] == ("published", "")


def test_another_archive_of_the_same_name_takes_the_place_of_the_first(site: Site, tmp_path: Path) -> None:
    site.run()
    site.write("a", "1", [1, 2, 9])
    assert site.plan()["a/1"] == (Step.CHANGED, "its tar.gz has changed since it was read")
    assert not list(site.index().replaced())
    site.run()
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables() == fresh.tables()
    ((instance_id, name, when),) = site.index().replaced()
    assert (instance_id, name, len(when)) == ("a", "1", 19)
    site.run()
    assert list(site.index().replaced()) == [("a", "1", when)]
    # The first one is not what is remembered.
    site.remove("a", "1")
    site.run()
    assert site.jobs() == {"a": 7, "b": 1}


# What a newer archive reports again.


def test_what_is_gone_keeps_the_jobs_that_a_newer_archive_reports_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be read again without them, so the newer one is read without them: each job counts once."""
    site.run()
    site.remove("a", "1")
    site.write("a", "4", [2, 3, 4, 5, 8])
    assert site.run().numbers["superseded"] == 5
    # The first one counts jobs 1 and 2, and not 3, which the second reported again.
    assert superseded(site) == {"a/1": 1, "a/2": 2, "a/3": 1, "a/4": 1, "b/1": 0}
    assert site.jobs() == {"a": 7, "b": 1}
    counts = site.tables(*OF_THE_FILES)
    assert site.plan()["a/4"] == (Step.SUPERSEDED, "read before; 1 job comes again in 1")
    verified = verify_published(site.config, site.config.database, SerialExecutor())
    assert verified.different == []
    with monkeypatch.context() as patch:
        compute_nothing(patch)
        site.run()
    assert site.tables(*OF_THE_FILES) == counts
    # Brought back or forgotten, it is as if it had not been away, or never been.
    site.run(forget=True)
    assert superseded(site) == {"a/2": 2, "a/3": 1, "a/4": 0, "b/1": 0}
    fresh = site.fresh(tmp_path / "without")
    fresh.run()
    assert site.tables() == fresh.tables()
    site.write("a", "1", [1, 2, 3])
    site.run()
    fresh = site.fresh(tmp_path / "with")
    fresh.run()
    assert site.tables() == fresh.tables()


def test_what_comes_back_gives_its_jobs_to_the_newer_archive(site: Site, tmp_path: Path) -> None:
    site.run()
    site.remove("a", "2")
    site.write("a", "4", [4, 8])
    site.run()
    assert superseded(site) == {"a/1": 1, "a/2": 0, "a/3": 0, "a/4": 1, "b/1": 0}
    site.write("a", "2", [3, 4])
    site.run()
    assert superseded(site) == {"a/1": 1, "a/2": 1, "a/3": 0, "a/4": 0, "b/1": 0}
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables() == fresh.tables()


def superseded(site: Site) -> dict[str, int]:
    """The jobs of each archive that another counts."""
    return {f"{row['instance_id']}/{row['archive']}": int(row["superseded"]) for row in site.rows("archive")}


# What the store lost.


def test_what_is_gone_is_lost_to_a_module_that_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    site.remove("a", "3")
    change_code(monkeypatch, "params")
    why = f"{STAYS}, but not in params"
    assert site.plan()["a/3"] == (Step.REMOVED, why)
    again = "read again for params: new code, or no partial in the store"
    assert site.plan()["a/2"] == (Step.NEW, again)
    assert site.plan()["a/1"] == (Step.NEW, f"{again}; 1 job comes again in 2")
    warnings.clear()
    site.run()
    said = [message for message in warnings.messages if "lost" in message]
    assert said == ["lost the numbers in params of 1 removed archive: the store has not kept them (a/3)"]
    assert site.jobs_with_params() == ["2", "3"]
    assert site.jobs() == {"a": 6, "b": 1}
    site.write("a", "3", [5, 6])
    site.run()
    assert site.tables(*OF_THE_FILES) == before


def test_to_recalculate_leaves_what_is_gone_as_it_is(site: Site) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    for name in ("1", "2"):
        site.remove("a", name)
    site.run(recalculate=True)
    assert site.tables(*OF_THE_FILES) == before


def lose_account(site: Site, key: str) -> None:
    site.store.drop(ACCOUNT, key)


def damage_account(site: Site, key: str) -> None:
    site.store.path(ACCOUNT, key).write_bytes(b"damaged")


def lose_ids(site: Site, key: str) -> None:
    site.store.drop(IDS, key)


def lose_superseded(site: Site, key: str) -> None:
    shutil.rmtree(site.store.root / SUPERSEDED)


def damage_superseded(site: Site, key: str) -> None:
    for file in (site.store.root / SUPERSEDED).rglob("*/*"):
        file.write_bytes(b"damaged")


@pytest.mark.parametrize("lose", [lose_account, damage_account, lose_ids, lose_superseded, damage_superseded])
def test_what_is_gone_here_and_there_is_said_and_counted(
    site: Site, tmp_path: Path, warnings: pytest.LogCaptureFixture, lose
) -> None:
    site.run()
    key = site.planned()["a/1"].key
    site.remove("a", "1")
    lose(site, key)
    warnings.clear()
    summary = site.run()
    said = [message for message in warnings.messages if "lost" in message]
    assert said == ["lost the numbers of 1 removed archive: the store has not kept them (a/1)"]
    assert summary.numbers["archives"] == {"found": 3, "published": 3, "quarantined": 0, "incomplete": 1, "removed": 1}
    state, reason = site.states()["a/1"]
    assert (state, reason.removeprefix("its files were removed; ")) == ("incomplete", NUMBERS_LOST)
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables(*OF_THE_FILES) == fresh.tables(*OF_THE_FILES)
    # It can be forgotten, and be sent again.
    site.run(forget=True)
    assert site.tables() == fresh.tables()
    site.write("a", "1", [1, 2, 3])
    site.run()
    assert site.states()["a/1"] == ("published", "")
    assert site.jobs()["a"] == 6


def test_a_module_that_never_ran_lacks_what_is_gone(site: Site) -> None:
    site.run(modules=("tools", "instances"))
    site.remove("a", "3")
    assert site.plan()["a/3"] == (Step.REMOVED, f"{STAYS}, but not in params")
    site.run()
    assert site.jobs_with_params() == ["2", "3"]
    assert site.jobs() == {"a": 6, "b": 1}


def test_what_is_gone_survives_another_way_to_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    site.remove("a", "3")
    monkeypatch.setattr("grt_batch.pipeline.keys.reader_code", lambda: "other code")
    site.run()
    assert site.tables(*OF_THE_FILES) == before
    assert site.plan()["a/3"] == (Step.REMOVED, f"{STAYS}, {OLD}")


# One instance at a time.


def test_other_instances_keep_what_is_known_of_them(site: Site) -> None:
    site.run()
    site.remove("a", "1")
    site.write("a", "3", [5, 6, 7])
    site.write("b", "1", [1, 2])
    site.run(instances=("b",))
    assert site.jobs() == {"a": 6, "b": 2}
    state, reason = site.states()["a/3"]
    assert (state, reason.partition(";")[0]) == (
        "incomplete",
        "its tar.gz has changed since it was read, and not asked for",
    )
    site.run()
    assert site.jobs() == {"a": 7, "b": 2}


def test_an_instance_that_is_gone_can_be_asked_for(site: Site) -> None:
    site.run()
    site.remove_instance("b")
    site.run(instances=("b",))
    assert site.jobs() == {"a": 6, "b": 1}


def test_other_instances_are_read_again_where_a_module_lacks_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    before = site.tables()
    change_code(monkeypatch, "tools")
    site.run(instances=("b",))
    assert site.tables() == before


def test_what_was_not_published_after_all_is_taken_back(site: Site) -> None:
    """Of archives that came since only the hashes stay; of published ones all but the time of their files."""
    site.run()
    index = site.index()
    published = dict(next(archives for _, instance_id, archives in index.instances() if instance_id == "a"))
    archives = {archive.name: archive for archive in scan(site.config.uploads).archives if archive.instance_id == "a"}
    moved, replaced = replace(archives["1"], stamp=(1, 2, 3)), replace(archives["2"], stamp=(4, 5, 6))
    index.remember(moved, published["1"].sha256, published["1"].key)
    index.remember(replaced, "other", "of other content")
    index.remember(replace(archives["3"], name="4"), "new", "of a new one")
    index.remember(replace(archives["3"], instance_id="c"), "new", "of a new instance")
    index.take_back()
    index.save()
    now = {instance_id: dict(archives) for _, instance_id, archives in site.index().instances()}
    assert now["a"]["1"] == replace(published["1"], stamp=(1, 2, 3))
    assert site.index().sha256(replaced) is None
    assert site.index().remembered("a", "2") is not None
    for known in (now["a"]["4"], now["c"]["3"]):
        assert (known.sha256, known.document, known.superseded) == ("new", None, "")
    assert site.index().as_of == AS_OF
