"""S3 as a cold store: checksums, archive classes and their tiers, and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from frozen import Bucket, breaking_off, error, gone, with_number_of_parts, without_checksum

from grt_batch.cold import s3
from grt_batch.cold.s3 import S3Store
from grt_batch.cold.store import Failed, Refused, StoredObject

PART = 5 << 20
"""The smallest part that S3 takes."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "1.tar.gz"
    path.write_bytes(random.Random(1).randbytes(3000))
    return path


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two parts."""
    monkeypatch.setattr(s3, "PART_BYTES", PART)
    path = tmp_path / "2.tar.gz"
    path.write_bytes(random.Random(2).randbytes(PART + 1000))
    return path


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("which", ["file", "large"])
def test_an_object_holds_what_was_put(bucket: Bucket, request: pytest.FixtureRequest, which: str) -> None:
    file: Path = request.getfixturevalue(which)
    url, store = f"{bucket.url}/a/1.tar.gz", S3Store("GLACIER")
    assert store.find(url) is None
    assert not store.holds(url, file, sha256(file))
    store.put(url, file, sha256(file))
    assert store.find(url) == StoredObject(file.stat().st_size, "GLACIER", "frozen")
    assert bucket.content("raw/a/1.tar.gz") == file.read_bytes()
    assert bucket.metadata("raw/a/1.tar.gz")["x-amz-meta-sha256"] == sha256(file)
    assert store.holds(url, file, sha256(file))
    bucket.damage("raw/a/1.tar.gz")
    assert not store.holds(url, file, sha256(file))


@pytest.mark.parametrize("which", ["file", "large"])
def test_a_copy_takes_so_many_requests(bucket: Bucket, request: pytest.FixtureRequest, which: str) -> None:
    file: Path = request.getfixturevalue(which)
    url, store = f"{bucket.url}/1", S3Store()
    store.find(url)
    store.put(url, file, sha256(file))
    store.holds(url, file, sha256(file))
    store.find(url)
    # The list of old uploads is asked of the bucket.
    assert store.requests(file.stat().st_size) == len(bucket.store.asked) + (which == "large")


@pytest.mark.parametrize("which", ["file", "large"])
def test_no_object_is_overwritten(bucket: Bucket, request: pytest.FixtureRequest, which: str) -> None:
    file: Path = request.getfixturevalue(which)
    bucket.put("raw/1", b"another")
    with pytest.raises(Failed, match="another object has come"):
        S3Store().put(f"{bucket.url}/1", file, sha256(file))
    assert bucket.content("raw/1") == b"another"
    assert bucket.keys() == ["raw/1"]


def test_a_store_that_knows_no_condition_takes_it_without(bucket: Bucket, file: Path) -> None:
    bucket.store.faults["PutObject"] = [error("501 Not Implemented", "NotImplemented")]
    S3Store().put(f"{bucket.url}/1", file, sha256(file))
    assert bucket.content("raw/1") == file.read_bytes()


def test_parts_of_a_copy_that_ended_go(bucket: Bucket, large: Path) -> None:
    import boto3

    client = boto3.client("s3")
    client.create_multipart_upload(Bucket=bucket.name, Key="raw/1")
    client.create_multipart_upload(Bucket=bucket.name, Key="raw/12")
    bucket.store.faults["UploadPart"] = [gone]
    for _ in range(2):
        with pytest.raises(Refused):
            S3Store().put(f"{bucket.url}/1", large, sha256(large))
        bucket.store.faults["UploadPart"] = [gone]
    left = client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [upload["Key"] for upload in left] == ["raw/12"]
    assert bucket.keys() == []


def test_a_checksum_of_parts_may_end_with_their_number(bucket: Bucket, large: Path) -> None:
    """As Amazon writes it."""
    url, store = f"{bucket.url}/1", S3Store("GLACIER")
    store.put(url, large, sha256(large))
    bucket.store.faults["HeadObject"] = [with_number_of_parts] * 2
    assert store.holds(url, large, sha256(large))
    large.write_bytes(b"?" + large.read_bytes()[1:])
    assert not store.holds(url, large, sha256(large))


def test_without_a_checksum_the_object_is_read_back(bucket: Bucket, file: Path) -> None:
    url = f"{bucket.url}/1"
    S3Store().put(url, file, sha256(file))
    bucket.store.faults["HeadObject"] = [without_checksum] * 3
    assert S3Store().holds(url, file, sha256(file))
    assert bucket.store.asked[-1] == "GetObject"
    bucket.damage("raw/1")
    assert not S3Store().holds(url, file, sha256(file))


def test_without_a_checksum_nothing_frozen_is_believed(bucket: Bucket, file: Path) -> None:
    url = f"{bucket.url}/1"
    S3Store("DEEP_ARCHIVE").put(url, file, sha256(file))
    bucket.store.faults["HeadObject"] = [without_checksum]
    with pytest.raises(Failed, match="no SHA-256 checksum of the store, and cannot be read back"):
        S3Store().holds(url, file, sha256(file))


def test_what_is_frozen_thaws(bucket: Bucket, file: Path) -> None:
    url, store = f"{bucket.url}/1", S3Store("GLACIER")
    store.put(url, file, sha256(file))
    with pytest.raises(Failed, match="it is frozen"):
        b"".join(store.read(url))
    assert store.thaw(url, ("expedited", "standard"), 3) == "expedited"
    assert bucket.store.tiers == ["Expedited"]
    found = store.find(url)
    assert found is not None
    assert found.state == "thawing"
    bucket.thaw()
    assert store.find(url) == StoredObject(3000, "GLACIER", "readable")
    assert b"".join(store.read(url)) == file.read_bytes()
    bucket.expire()
    assert store.find(url) == StoredObject(3000, "GLACIER", "frozen")


@pytest.mark.parametrize(
    ("storage_class", "tiers", "answers", "tier", "asked"),
    [
        ("GLACIER", ("expedited", "standard"), [("503 Service Unavailable", "GlacierExpeditedRetrievalNotAvailable")],
         "standard", ["Expedited", "Standard"]),
        ("GLACIER", ("expedited", "standard"), [("503 Service Unavailable", "InsufficientCapacity")],
         "standard", ["Expedited", "Standard"]),
        ("GLACIER", ("bulk",), [], "bulk", ["Bulk"]),
        ("DEEP_ARCHIVE", ("expedited", "standard"), [], "standard", ["Standard"]),
        ("GLACIER", ("standard",), [("409 Conflict", "RestoreAlreadyInProgress")], None, ["Standard"]),
    ],
)  # fmt: skip
def test_the_first_tier_that_there_is_serves(
    bucket: Bucket, file: Path, storage_class: str, tiers: tuple, answers: list, tier: str | None, asked: list[str]
) -> None:  # type: ignore[type-arg]
    store, url = S3Store(storage_class), f"{bucket.url}/1"
    store.put(url, file, sha256(file))
    bucket.store.faults["RestoreObject"] = [error(*answer) for answer in answers]
    assert store.thaw(url, tiers, 3) == tier
    assert bucket.store.tiers == asked


def test_no_capacity_at_all_is_said(bucket: Bucket, file: Path) -> None:
    store, url = S3Store("GLACIER"), f"{bucket.url}/1"
    store.put(url, file, sha256(file))
    bucket.store.faults["RestoreObject"] = [error("503 Service Unavailable", "InsufficientCapacity")] * 2
    with pytest.raises(Refused, match="InsufficientCapacity"):
        store.thaw(url, ("expedited", "standard"), 3)
    with pytest.raises(Failed, match="no tier expedited"):
        S3Store("DEEP_ARCHIVE").put(f"{bucket.url}/2", file, sha256(file))
        store.thaw(f"{bucket.url}/2", ("expedited",), 3)
    with pytest.raises(Failed, match="is not there"):
        store.thaw(f"{bucket.url}/3", ("expedited",), 3)


def test_reading_goes_on_where_it_broke_off(bucket: Bucket, tmp_path: Path) -> None:
    content = random.Random(3).randbytes(3 << 20)
    bucket.put("raw/1", content)
    bucket.store.faults["GetObject"] = [breaking_off(2 << 20), gone, breaking_off(1 << 19)]
    assert b"".join(S3Store().read(f"{bucket.url}/1")) == content
    assert bucket.store.asked.count("GetObject") == 4


def test_reading_ends_where_the_network_stays_away(bucket: Bucket) -> None:
    bucket.put("raw/1", random.Random(3).randbytes(3 << 20))
    bucket.store.faults["GetObject"] = [breaking_off(2 << 20), *[gone] * 20]
    with pytest.raises(Refused):
        b"".join(S3Store().read(f"{bucket.url}/1"))
    assert bucket.store.asked.count("GetObject") == 1 + s3.READS


def test_an_object_that_changes_while_it_is_read_is_no_mixture(bucket: Bucket) -> None:
    bucket.put("raw/1", bytes(3 << 20))

    def changed(*arguments: object) -> object:
        bucket.put("raw/1", bytes(4 << 20))
        return gone(*arguments)  # type: ignore[arg-type]

    bucket.store.faults["GetObject"] = [breaking_off(2 << 20), changed]
    with pytest.raises(Failed, match="another object has come"):
        b"".join(S3Store().read(f"{bucket.url}/1"))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (error("403 Forbidden", "AccessDenied"), Refused),
        (error("500 Internal Server Error", "InternalError"), Refused),
        (error("400 Bad Request", "ExpiredToken"), Refused),
        (error("400 Bad Request", "KeyTooLongError"), Failed),
        (gone, Refused),
    ],
)
def test_what_is_refused_is_told_from_what_failed(bucket: Bucket, file: Path, fault: object, kind: type) -> None:
    bucket.store.faults["PutObject"] = [fault]  # type: ignore[list-item]
    with pytest.raises(Failed) as caught:
        S3Store().put(f"{bucket.url}/1", file, sha256(file))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert "secretive" not in str(caught.value)


def test_boto3_tries_again(bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bucket.store.faults["PutObject"] = [error("503 Slow Down", "SlowDown")]
    S3Store().put(f"{bucket.url}/1", file, sha256(file))
    assert bucket.content("raw/1") == file.read_bytes()


def test_a_missing_bucket_and_missing_credentials_are_refusals(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="NoSuchBucket"):
        S3Store().put("s3://nobody-has-this-bucket/1", file, sha256(file))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    # It remembers the credentials that it has found.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(Refused, match="credentials"):
        S3Store().find(f"{bucket.url}/1")
