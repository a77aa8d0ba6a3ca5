"""Archives leave for cold storage, and nothing is lost here before it is safe there, whatever happens on the way."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from frozen import Bucket, ColdSite, error, gone, killed

from grt_batch.cold import archiving
from grt_batch.cold.archiving import copied, move, object_url
from grt_batch.cold.policy import RESTORED, leaving
from grt_batch.cold.store import Failed, StoredObject
from grt_batch.cold.stores import ColdStores
from grt_batch.cold.tally import PATIENCE, Tally
from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, Locked
from grt_batch.core.work_folder import lock
from grt_batch.service.filter import Filter
from grt_batch.uploads.cold import ColdCopy, marker_of, read_cold, write_cold
from grt_batch.uploads.scan import stamp_of

NAMES = ("a/6", "a/4", "b/5")


class Call:
    """Archives moved in this process, with what was said."""

    def __init__(self, site: ColdSite, target: str, storage_class: str = "GLACIER") -> None:
        self.site, self.target = site, target
        self.stores = ColdStores(storage_class)
        self.said: list[str] = []
        self.failed: list[str] = []

    def __call__(self, **changes: Any) -> Tally:
        self.said.clear()
        self.failed.clear()
        config = replace(self.site.config, cold_after_days=0, **changes)
        tally = Tally(self.said.append, self.failed.append)
        move(config, list(leaving(config, Filter())), self.target, self.stores, tally)
        return tally


@pytest.fixture
def call(site: ColdSite, bucket: Bucket) -> Call:
    return Call(site, bucket.url)


def assert_safe(site: ColdSite, bucket: Bucket, before: dict[str, bytes]) -> None:
    """Each archive is here, or its marker says where the same bytes are."""
    here = site.contents()
    for label, content in before.items():
        if label in here:
            assert here[label] == content
        else:
            copy = site.marker(label)
            assert copy is not None
            assert copy.sha256 == hashlib.sha256(content).hexdigest()
            assert bucket.content(copy.url.removeprefix(f"s3://{bucket.name}/")) == content


def assert_done(site: ColdSite, bucket: Bucket, before: dict[str, bytes]) -> None:
    assert site.contents() == {}
    assert_safe(site, bucket, before)
    left = [path.name for path in site.config.uploads.rglob("*") if path.is_file()]
    assert sorted(left) == ["4.cold", "4.json", "5.cold", "5.json", "6.cold", "6.json"]


def test_archives_leave(call: Call, site: ColdSite, bucket: Bucket) -> None:
    before, stamp = site.contents(), stamp_of(site.tar("a/6").stat())
    tally = call()
    assert (tally.done, tally.bytes, tally.failed, call.failed) == (3, 3500, 0, [])
    assert call.said[0] == f"a/6: moved to {bucket.url}/a/6.tar.gz (1500 bytes)"
    assert_done(site, bucket, before)
    copy = site.marker("a/6")
    assert copy is not None
    assert copy == ColdCopy(
        f"{bucket.url}/a/6.tar.gz", hashlib.sha256(before["a/6"]).hexdigest(), 1500, stamp, copy.moved, "GLACIER"
    )
    again = call()
    assert (again.done, again.failed) == (0, 0)


def test_what_is_there_already_is_the_copy(call: Call, site: ColdSite, bucket: Bucket) -> None:
    before = site.contents()
    for label, content in before.items():
        bucket.put(f"raw/{label}.tar.gz", content)
    assert call().done == 3
    assert "PutObject" not in bucket.store.asked[3:]
    assert_done(site, bucket, before)


def test_another_object_stays_and_so_does_the_archive(call: Call, site: ColdSite, bucket: Bucket) -> None:
    before = site.contents()
    bucket.put("raw/a/6.tar.gz", b"another")
    bucket.put("raw/a/4.tar.gz", b"?" + before["a/4"][1:])
    tally = call()
    assert (tally.done, tally.failed, tally.code()) == (1, 2, 1)
    assert all(f"{label}.tar.gz is another object" in line for label, line in zip(NAMES[:2], call.failed, strict=True))
    assert bucket.content("raw/a/6.tar.gz") == b"another"
    assert_safe(site, bucket, before)
    bucket.remove("raw/a/6.tar.gz")
    bucket.remove("raw/a/4.tar.gz")
    assert call().done == 2
    assert_done(site, bucket, before)


def test_a_copy_that_was_damaged_goes_and_is_made_again(call: Call, site: ColdSite, bucket: Bucket) -> None:
    before = site.contents()
    bucket.store.faults["PutObject"] = [bucket.damaging("raw/a/6.tar.gz")]
    tally = call()
    assert (tally.done, tally.failed) == (2, 1)
    assert "was damaged, and is removed there" in call.failed[0]
    assert bucket.content("raw/a/6.tar.gz") is None
    assert_safe(site, bucket, before)
    assert call().done == 1
    assert_done(site, bucket, before)


FAULTS = {
    "the network goes instead of the first look": ("HeadObject", [gone]),
    "the network goes while it is copied": ("PutObject", [gone]),
    "the network goes while it is compared": ("HeadObject", [None, gone]),
    "the network goes while its class is asked for": ("HeadObject", [None, None, gone]),
    "the store has a fault of its own": ("PutObject", [error("500 Internal Server Error", "InternalError")]),
    "the bucket is refused": ("PutObject", [error("403 Forbidden", "AccessDenied")]),
    "to look is refused": ("HeadObject", [error("403 Forbidden", "AccessDenied")]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_store_costs_one_archive_one_call(call: Call, site: ColdSite, bucket: Bucket, name: str) -> None:
    before = site.contents()
    operation, faults = FAULTS[name]
    bucket.store.faults[operation] = list(faults)  # type: ignore[arg-type]
    tally = call()
    assert (tally.done, tally.failed, tally.code()) == (2, 1, 1)
    assert_safe(site, bucket, before)
    assert call().failed == 0
    assert_done(site, bucket, before)


def test_a_store_that_refuses_everything_is_not_asked_for_ever(call: Call, site: ColdSite, bucket: Bucket) -> None:
    for name in ("7", "8", "9"):
        site.write("a", name)
    site.publish()
    before = site.contents()
    bucket.store.faults["HeadObject"] = [error("403 Forbidden", "AccessDenied")] * 10
    tally = call()
    assert (tally.done, tally.failed) == (0, PATIENCE)
    assert site.contents() == before
    assert not list(site.config.uploads.rglob("*.cold"))


STEPS = [
    "before grt_batch.cold.s3:S3Store.put",
    "after grt_batch.cold.s3:S3Store.put",
    "after grt_batch.cold.s3:S3Store.holds",
    "before grt_batch.cold.archiving.write_cold",
    "after grt_batch.cold.archiving.write_cold",
    "before grt_batch.core.files.write_synced 2",
    "after grt_batch.cold.archiving._remove",
    "before grt_batch.cold.s3:S3Store.put 2",
]


@pytest.mark.parametrize("step", STEPS)
def test_a_call_that_is_killed_is_repeated(call: Call, site: ColdSite, bucket: Bucket, step: str) -> None:
    before = site.contents()
    killed(step, "archive", "--to", bucket.url, "--after-days", 0, *site.options())
    assert_safe(site, bucket, before)
    assert call().failed == 0
    hidden = [path for path in site.config.uploads.rglob(".*") if path.is_file()]
    for path in hidden:
        # A marker that was half written has a name of its own.
        path.unlink()
    assert_done(site, bucket, before)


def test_a_run_keeps_archives_here_and_not_the_copies(call: Call, site: ColdSite, bucket: Bucket) -> None:
    before = site.contents()
    with lock(site.config.work), pytest.raises(Locked):
        call()
    assert len(bucket.keys()) == 3
    assert "a/6: copied; it stays here while a run holds the lock of the work folder" in call.said
    assert site.contents() == before
    assert not list(site.config.uploads.rglob("*.cold"))
    assert call().done == 3
    assert_done(site, bucket, before)


def test_what_waited_for_a_run_leaves_when_it_ends(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, held = site.contents(), lock(site.config.work)
    held.__enter__()

    def ended(one: Any, target: str, stores: ColdStores) -> ColdCopy:
        copy = copied(one, target, stores)
        if one.label == "b/5":
            held.__exit__(None, None, None)
        return copy

    monkeypatch.setattr(archiving, "copied", ended)
    assert call().done == 3
    assert_done(site, bucket, before)


def test_what_changes_while_it_is_copied_stays(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(one: Any, target: str, stores: ColdStores) -> ColdCopy:
        copy = copied(one, target, stores)
        if one.label == "a/6":
            one.tar.write_bytes(b"a new one")
        if one.label == "a/4":
            one.tar.unlink()
        return copy

    monkeypatch.setattr(archiving, "copied", changing)
    tally = call()
    assert (tally.done, tally.failed) == (1, 2)
    assert site.tar("a/6").read_bytes() == b"a new one"
    assert site.marker("a/6") is site.marker("a/4") is None


def test_what_a_run_takes_back_while_it_is_copied_stays(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(one: Any, target: str, stores: ColdStores) -> ColdCopy:
        (site.config.work / "index.json").unlink(missing_ok=True)
        return copied(one, target, stores)

    before = site.contents()
    monkeypatch.setattr(archiving, "copied", changing)
    assert call().failed == 3
    assert "no longer what was published" in call.failed[0]
    assert site.contents() == before


def test_another_content_under_an_old_stamp_stays(call: Call, site: ColdSite, bucket: Bucket) -> None:
    tar = site.tar("a/6")
    stat = tar.stat()
    with tar.open("r+b") as file:
        file.write(b"damaged")
    os.utime(tar, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    before = site.contents()
    tally = call()
    assert (tally.done, tally.failed) == (2, 1)
    assert "a/6: what lies here is not what was published" in call.failed[0]
    assert bucket.content("raw/a/6.tar.gz") is None
    assert_safe(site, bucket, before)


def test_a_marker_that_cannot_be_written_ends_the_call(
    call: Call, site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.contents()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(archiving, "write_cold", full)
        with pytest.raises(CannotWrite, match="No space left"):
            call()
    assert site.contents() == before
    assert call().done == 3
    assert_done(site, bucket, before)


def restored(site: ColdSite, label: str, url: str) -> None:
    tar = site.tar(label)
    sha256 = hashlib.sha256(tar.read_bytes()).hexdigest()
    stamp, request = stamp_of(tar.stat()), {RESTORED: "2024-01-01T00:00:00+00:00"}
    copy = ColdCopy(url, sha256, tar.stat().st_size, stamp, "2023", "DEEP_ARCHIVE", "", request)
    write_cold(marker_of(tar), copy)


def test_what_was_restored_leaves_again_without_a_copy(call: Call, site: ColdSite, bucket: Bucket) -> None:
    before = site.contents()
    for label, content in before.items():
        bucket.put(f"elsewhere/{label}", content)
        restored(site, label, f"s3://{bucket.name}/elsewhere/{label}")
    bucket.store.asked.clear()
    assert call().done == 3
    assert set(bucket.store.asked) == {"HeadObject"}
    assert_done(site, bucket, before)
    copy = site.marker("a/6")
    assert copy is not None
    assert (copy.url, copy.moved) == (f"s3://{bucket.name}/elsewhere/a/6", "2023")
    assert (copy.thawing, copy.request) == ("", {})


def test_what_was_restored_is_copied_anew_where_its_copy_is_no_longer_the_same(
    call: Call, site: ColdSite, bucket: Bucket
) -> None:
    before = site.contents()
    bucket.put("elsewhere/a/6", b"another")
    for label in ("a/6", "a/4"):
        restored(site, label, f"s3://{bucket.name}/elsewhere/{label}")
    assert call().done == 3
    assert_done(site, bucket, before)
    assert [read_cold(site.tar(label).with_name(f"{label[2:]}.cold")).url for label in NAMES] == [
        f"{bucket.url}/{label}.tar.gz" for label in NAMES
    ]


def test_an_object_that_vanishes_is_said(site: ColdSite, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(site.config, cold_after_days=0)
    (one,) = leaving(config, Filter(archive="6"))
    stores = ColdStores()
    url = object_url(bucket.url, one)
    looks = iter([None, None])
    monkeypatch.setattr(type(stores.of(url)), "find", lambda *_: next(looks))
    with pytest.raises(Failed, match="has vanished"):
        copied(one, bucket.url, stores)
    assert bucket.content("raw/a/6.tar.gz") is not None


def test_a_folder_is_a_cold_store_too(site: ColdSite, tmp_path: Path) -> None:
    before, tape = site.contents(), tmp_path / "tape"
    call = Call(site, f"{tape.as_uri()}/", "")
    assert call().done == 3
    assert {str(path.relative_to(tape)): path.read_bytes() for path in tape.rglob("*.tar.gz")} == {
        f"{label}.tar.gz": content for label, content in before.items()
    }
    copy = site.marker("a/6")
    assert copy is not None
    assert (copy.url, copy.storage_class) == (f"{tape.as_uri()}/a/6.tar.gz", "")
    assert call.stores.of(copy.url).find(copy.url) == StoredObject(1500)


def test_a_url_below_a_target(site: ColdSite) -> None:
    config: Config = replace(site.config, cold_after_days=0)
    (one,) = leaving(config, Filter(archive="5"))
    assert object_url("s3://b", one) == object_url("s3://b/", one) == "s3://b/b/5.tar.gz"
