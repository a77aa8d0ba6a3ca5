"""Archives come back from cold storage as they were, whatever happens on the way."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from frozen import Bucket, ColdSite, breaking_off, error, gone, killed

from grt_batch.cold import restoring
from grt_batch.cold.archiving import move
from grt_batch.cold.policy import RESTORED, RUN, WANTED, away, is_wanted, leaving, marker_at
from grt_batch.cold.restoring import TIER, Restoring, Wish, finish, tiers_from
from grt_batch.cold.s3 import S3Store
from grt_batch.cold.store import Tier
from grt_batch.cold.stores import ColdStores
from grt_batch.cold.tally import PATIENCE, Tally
from grt_batch.core.errors import CannotWrite
from grt_batch.service.filter import Filter
from grt_batch.uploads.cold import ColdCopy, marker_of, write_cold

NAMES = ("a/6", "a/4", "b/5")


class Call:
    """Archives brought back in this process, with what was said."""

    def __init__(self, site: ColdSite, storage_class: str, url: str) -> None:
        """Move all archives of the site to cold storage."""
        self.site = site
        self.before = site.contents()
        self.dates = {label: site.tar(label).stat().st_mtime_ns for label in self.before}
        self.said: list[str] = []
        self.failed: list[str] = []
        config = replace(site.config, cold_after_days=0)
        move(config, list(leaving(config, Filter())), url, ColdStores(storage_class), Tally(print, print))
        assert site.contents() == {}

    def __call__(self, tier: Tier | None = None, *, then_run: bool = False, only: str | None = None) -> SimpleNamespace:
        self.said.clear()
        self.failed.clear()
        tally = Tally(self.said.append, self.failed.append)
        one = Restoring(ColdStores(), tally, Wish(tier, 7, then_run))
        one.restore(away(self.site.config, Filter(archive=only)))
        return SimpleNamespace(done=tally.done, bytes=tally.bytes, failed=tally.failed, waiting=one.waiting)

    def would(self) -> list[str]:
        one = Restoring(ColdStores(), Tally(self.said.append, self.failed.append), Wish(None, 7))
        return [f"{marked.label}: {what}" for marked, _, what in one.would(away(self.site.config, Filter()))]


@pytest.fixture
def move_to(site: ColdSite, bucket: Bucket) -> Callable[[str], Call]:
    """Archives in this storage class of the bucket."""

    def moved(storage_class: str) -> Call:
        call = Call(site, storage_class, bucket.url)
        bucket.store.asked.clear()
        return call

    return moved


@pytest.fixture
def call(move_to: Callable[[str], Call]) -> Call:
    return move_to("GLACIER")


def assert_back(call: Call) -> None:
    """All are here as they were, and known by their markers."""
    site = call.site
    assert site.contents() == call.before
    assert {label: site.tar(label).stat().st_mtime_ns for label in call.before} == call.dates
    for label, content in call.before.items():
        copy = marker_at(site.tar(label))
        assert copy is not None
        assert copy.sha256 == hashlib.sha256(content).hexdigest()
        assert copy.thawing == ""
        assert WANTED not in copy.request
        assert copy.request[RESTORED] > "2026"
    assert list(away(site.config, Filter())) == []
    assert not list(site.config.uploads.rglob(".*"))


def test_archives_come_back_when_they_have_thawed(call: Call, site: ColdSite, bucket: Bucket) -> None:
    assert vars(call()) == {"done": 0, "bytes": 0, "failed": 0, "waiting": 3}
    assert bucket.store.tiers == ["Expedited"] * 3
    copy = site.marker("a/6")
    assert copy is not None
    assert copy.request == {WANTED: "expedited", TIER: "expedited"}
    assert call.said[0] == f"a/6: under way since {copy.thawing}, expedited"
    # Nothing is asked for twice.
    assert vars(call()) == {"done": 0, "bytes": 0, "failed": 0, "waiting": 3}
    assert bucket.store.tiers == ["Expedited"] * 3
    assert site.marker("a/6") == copy
    bucket.thaw()
    assert vars(call()) == {"done": 3, "bytes": 3500, "failed": 0, "waiting": 0}
    assert call.said[0] == "a/6: restored (1500 bytes)"
    assert_back(call)
    assert vars(call()) == {"done": 0, "bytes": 0, "failed": 0, "waiting": 0}


def test_all_are_asked_for_before_any_is_fetched(move_to: Callable[[str], Call], bucket: Bucket) -> None:
    call = move_to("STANDARD")
    assert call().done == 3
    assert [name for name in bucket.store.asked if name != "HeadObject"] == ["GetObject"] * 3
    assert bucket.store.asked[:3] == ["HeadObject"] * 3
    assert_back(call)


def test_a_folder_gives_them_back_at_once(site: ColdSite, tmp_path: Path) -> None:
    call = Call(site, "", (tmp_path / "tape").as_uri())
    assert call().done == 3
    assert_back(call)


@pytest.mark.parametrize("code", ["GlacierExpeditedRetrievalNotAvailable", "InsufficientCapacity"])
def test_without_capacity_the_standard_tier_serves(call: Call, site: ColdSite, bucket: Bucket, code: str) -> None:
    bucket.store.faults["RestoreObject"] = [error("503 Service Unavailable", code)]
    assert call().waiting == 3
    # What the store does not have for one, it is not asked for again in this call.
    assert bucket.store.tiers == ["Expedited", "Standard", "Standard", "Standard"]
    copy = site.marker("b/5")
    assert copy is not None
    assert copy.request == {WANTED: "expedited", TIER: "standard"}


@pytest.mark.parametrize(
    ("storage_class", "tier", "asked"),
    [("DEEP_ARCHIVE", "expedited", "Standard"), ("DEEP_ARCHIVE", "bulk", "Bulk"), ("GLACIER", "standard", "Standard")],
)
def test_the_class_and_the_wish_decide_the_tier(
    move_to: Callable[[str], Call], bucket: Bucket, storage_class: str, tier: Tier, asked: str
) -> None:
    assert move_to(storage_class)(tier).waiting == 3
    assert bucket.store.tiers == [asked] * 3


def test_what_somebody_else_has_asked_for_is_under_way(call: Call, site: ColdSite, bucket: Bucket) -> None:
    bucket.store.faults["RestoreObject"] = [error("409 Conflict", "RestoreAlreadyInProgress")]
    assert call().waiting == 3
    copy = site.marker("a/6")
    assert copy is not None
    assert (copy.request, copy.thawing > "2026") == ({WANTED: "expedited", TIER: ""}, True)
    assert call.said[0] == f"a/6: under way since {copy.thawing}"


def test_what_has_frozen_again_is_asked_for_again(call: Call, bucket: Bucket) -> None:
    call()
    bucket.thaw()
    bucket.expire()
    assert call("bulk").waiting == 3
    bucket.thaw()
    bucket.expire()
    # As the last call wanted them, not as dear as can be.
    assert call().waiting == 3
    assert bucket.store.tiers == ["Expedited"] * 3 + ["Bulk"] * 6
    bucket.thaw()
    assert call().done == 3
    assert_back(call)


def test_a_filter_leaves_the_others_in_peace(call: Call, bucket: Bucket) -> None:
    assert call(only="5").waiting == 1
    assert [name for name in bucket.store.asked if name] == ["HeadObject", "HeadObject", "RestoreObject"]


def test_what_would_be_done_is_only_said(call: Call, site: ColdSite, bucket: Bucket) -> None:
    call(only="4")
    markers = {label: site.marker(label) for label in NAMES}
    bucket.store.asked.clear()
    assert call.would() == [
        "a/6: would be asked for, expedited or standard from GLACIER",
        "a/4: is under way from GLACIER",
        "b/5: would be asked for, expedited or standard from GLACIER",
    ]
    assert set(bucket.store.asked) == {"HeadObject"}
    assert {label: site.marker(label) for label in NAMES} == markers
    bucket.thaw()
    bucket.remove("raw/a/6.tar.gz")
    assert call.would()[0] == "a/4: would be fetched from GLACIER"
    assert call.failed == [f"a/6: its copy is gone: {bucket.url}/a/6.tar.gz is not there"]


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("HeadObject", gone),
        ("HeadObject", error("403 Forbidden", "AccessDenied")),
        ("HeadObject", error("500 Internal Server Error", "InternalError")),
        ("GetObject", gone),
        ("GetObject", error("403 Forbidden", "AccessDenied")),
        ("GetObject", error("404 Not Found", "NoSuchKey")),
        ("GetObject", error("403 Forbidden", "InvalidObjectState")),
    ],
)
def test_a_fault_of_the_store_costs_one_archive_one_call(
    call: Call, bucket: Bucket, operation: str, fault: Any
) -> None:
    call()
    bucket.thaw()
    bucket.store.faults[operation] = [fault]
    found = call()
    assert (found.done, found.failed) == (2, 1)
    assert call().done == 1
    assert_back(call)


def test_what_breaks_off_goes_on_where_it_ended(call: Call, bucket: Bucket) -> None:
    call()
    bucket.thaw()
    bucket.store.faults["GetObject"] = [breaking_off(700)]
    assert call().done == 3
    assert_back(call)


def test_what_is_not_asked_for_is_asked_for_by_the_next_call(call: Call, bucket: Bucket) -> None:
    bucket.store.faults["RestoreObject"] = [gone, error("403 Forbidden", "AccessDenied")]
    found = call()
    assert (found.failed, found.waiting) == (2, 1)
    # The store has not taken the request, but it is remembered here.
    assert [(one.label, is_wanted(one)) for one in away(call.site.config, Filter())] == [(name, True) for name in NAMES]
    copy = call.site.marker("a/6")
    assert copy is not None
    assert copy.thawing == ""
    assert call().waiting == 3
    assert bucket.store.tiers == ["Expedited"] * 5


def test_a_store_that_refuses_everything_is_not_asked_for_ever(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grt_batch.cold.tally.PATIENCE", PATIENCE - 1)
    bucket.store.faults["HeadObject"] = [error("403 Forbidden", "AccessDenied")] * 9
    found = call()
    assert (found.failed, found.waiting, len(bucket.store.asked)) == (2, 0, 2)
    bucket.store.faults.clear()
    call()
    bucket.thaw()
    bucket.store.faults["GetObject"] = [gone] * 9
    assert call().failed == 2


@pytest.mark.parametrize("storage_class", ["GLACIER", "STANDARD"])
def test_a_copy_that_is_gone_is_said(
    move_to: Callable[[str], Call], site: ColdSite, bucket: Bucket, storage_class: str
) -> None:
    call = move_to(storage_class)
    content = call.before["a/6"]
    bucket.remove("raw/a/6.tar.gz")
    found = call()
    assert (found.failed, call.failed) == (1, [f"a/6: its copy is gone: {bucket.url}/a/6.tar.gz is not there"])
    S3Store(storage_class).put(f"{bucket.url}/a/6.tar.gz", _file(site, content), hashlib.sha256(content).hexdigest())
    call()
    bucket.thaw()
    call()
    assert_back(call)


def _file(site: ColdSite, content: bytes) -> Path:
    path = site.config.work / "copy"
    path.write_bytes(content)
    return path


def test_a_damaged_copy_gets_no_name_here(call: Call, site: ColdSite, bucket: Bucket) -> None:
    call()
    bucket.thaw()
    content = call.before["a/6"]
    bucket.damage("raw/a/6.tar.gz")
    found = call()
    assert (found.done, found.failed) == (2, 1)
    assert call.failed[0].startswith("a/6: s3://")
    assert "a/6" not in site.contents()
    assert not list(site.config.uploads.rglob(".*"))
    bucket._keys["raw/a/6.tar.gz"].value = content
    bucket._keys["raw/a/6.tar.gz"].checksum_algorithm = None
    assert call().done == 1
    assert_back(call)


def test_another_object_in_its_place_is_said(call: Call, bucket: Bucket) -> None:
    bucket._keys["raw/a/6.tar.gz"].value = b"short"
    assert call().failed == 1
    assert "is another object: it has 5 bytes, not 1500" in call.failed[0]


def test_a_damaged_marker_costs_one_archive(call: Call, site: ColdSite, bucket: Bucket) -> None:
    marker_of(site.tar("a/6")).write_bytes(b"{")
    copy = site.marker("b/5")
    assert copy is not None
    write_cold(marker_of(site.tar("b/5")), replace(copy, url="nobody://has/this"))
    found = call()
    assert (found.failed, found.waiting) == (2, 1)
    assert call.failed[0].startswith("a/6: 6.cold is no JSON")
    assert call.failed[1].startswith("b/5: 5.cold: The cold storage 'nobody://has/this' cannot be used")


def test_another_archive_of_the_name_stays(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    call()
    bucket.thaw()
    fetched = restoring._download

    def arriving(copy: ColdCopy, stores: ColdStores, target: Path) -> None:
        fetched(copy, stores, target)
        if "a/6" in copy.url:
            site.tar("a/6").write_bytes(b"a new one")

    monkeypatch.setattr(restoring, "_download", arriving)
    found = call()
    assert (found.done, found.failed) == (2, 1)
    assert call.failed == ["a/6: another 6.tar.gz has come here meanwhile, and stays"]
    assert site.tar("a/6").read_bytes() == b"a new one"
    assert not list(site.config.uploads.rglob(".*"))


def test_a_file_system_without_links_does_as_well(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", cannot)
    call()
    bucket.thaw()
    fetched = restoring._download

    def arriving(copy: ColdCopy, stores: ColdStores, target: Path) -> None:
        fetched(copy, stores, target)
        if "a/6" in copy.url:
            site.tar("a/6").write_bytes(b"a new one")

    with monkeypatch.context() as patched:
        patched.setattr(restoring, "_download", arriving)
        assert call().failed == 1
    assert site.tar("a/6").read_bytes() == b"a new one"
    site.tar("a/6").unlink()
    call()
    assert_back(call)


def test_a_full_disk_ends_the_call(call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    call()
    bucket.thaw()
    usage = restoring.shutil.disk_usage
    with monkeypatch.context() as patched:
        patched.setattr(restoring.shutil, "disk_usage", lambda path: usage(path)._replace(free=1499))
        with pytest.raises(CannotWrite, match="No space left"):
            call()
    assert "GetObject" not in bucket.store.asked
    with monkeypatch.context() as patched:
        patched.setattr(restoring, "sync_file", _full)
        with pytest.raises(CannotWrite, match="No space left"):
            call()
    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write_cold", _full)
        with pytest.raises(CannotWrite, match="No space left"):
            call()
    assert site.contents() == {}
    assert not list(site.config.uploads.rglob(".*"))
    call()
    assert_back(call)


def test_a_marker_that_cannot_be_written_ends_the_call(
    call: Call, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(restoring, "write_cold", _full)
        with pytest.raises(CannotWrite, match="No space left"):
            call()
    assert call().waiting == 3


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_a_killed_call_has_left_goes(call: Call, site: ColdSite, bucket: Bucket) -> None:
    """A second name of the file would keep its bytes on the disk when the archive leaves again."""
    call()
    bucket.thaw()
    call(only="6")
    folder = site.tar("a/6").parent
    os.link(site.tar("a/6"), folder / ".6.tar.gz.new")
    for name in (".4.tar.gz.new", ".6.cold.4711", "../.6.cold.12"):
        (folder / name).touch()
    copy = site.marker("a/6")
    assert copy is not None
    write_cold(marker_of(site.tar("a/6")), replace(copy, thawing="2026-01-01T00:00:00+00:00"))
    finish(site.config)
    assert [path.name for path in site.config.uploads.rglob(".*")] == [".4.tar.gz.new"]
    assert site.marker("a/6") == copy
    assert call().done == 2
    assert_back(call)


ASKING = [
    "before grt_batch.cold.s3:S3Store.thaw",
    "after grt_batch.cold.s3:S3Store.thaw",
    "after grt_batch.cold.restoring._mark 2",
]
FETCHING = [
    "after grt_batch.cold.restoring._download",
    "before grt_batch.cold.restoring._place",
    "after grt_batch.cold.restoring._place",
    "after grt_batch.cold.restoring.fetch 2",
]


@pytest.mark.parametrize("step", ASKING)
def test_a_call_that_is_killed_while_it_asks_is_repeated(call: Call, bucket: Bucket, step: str) -> None:
    killed(step, "restore", "--all", *call.site.options())
    assert call().waiting == 3
    assert len(bucket.store.tiers) == 3
    bucket.thaw()
    assert call().done == 3
    assert_back(call)


@pytest.mark.parametrize("step", FETCHING)
def test_a_call_that_is_killed_while_it_fetches_is_repeated(call: Call, bucket: Bucket, step: str) -> None:
    call()
    bucket.thaw()
    killed(step, "restore", *call.site.options())
    here = call.site.contents()
    assert here == {label: call.before[label] for label in here}
    # What has its name is known as restored.
    for label in here:
        copy = marker_at(call.site.tar(label))
        assert copy is not None
        assert RESTORED in copy.request
    finish(call.site.config)
    assert call().failed == 0
    assert_back(call)


def test_a_run_that_shall_follow_is_remembered(call: Call, site: ColdSite, bucket: Bucket) -> None:
    call(only="4")
    call(then_run=True, only="4")
    call(only="5")
    bucket.thaw()
    call()
    copies = {label: site.marker(label) for label in NAMES}
    assert [label for label, copy in copies.items() if copy and copy.request.get(RUN) is True] == ["a/4"]
    assert [one.label for one in away(site.config, Filter())] == ["a/6"]


def test_after_expedited_standard_is_tried() -> None:
    assert tiers_from("expedited") == ("expedited", "standard")
    assert tiers_from("standard") == ("standard",)
    assert tiers_from("bulk") == ("bulk",)
