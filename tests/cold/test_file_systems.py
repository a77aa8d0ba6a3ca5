"""File systems of fsspec as cold stores."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from grt_batch.cold.file_systems import HIDDEN, FileSystemStore
from grt_batch.cold.store import Failed, Refused, StoredObject
from grt_batch.core.errors import BadColdStore

CONTENT = b"content of an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "1.tar.gz"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    place = tmp_path / "tape" / "a" / "1.tar.gz"
    return f"{request.param}://{place}"


def test_an_object_holds_what_was_put(url: str, file: Path) -> None:
    store = FileSystemStore(url)
    assert store.find(url) is None
    assert not store.holds(url, file, SHA256)
    store.put(url, file, SHA256)
    assert store.find(url) == StoredObject(len(CONTENT))
    assert store.holds(url, file, SHA256)
    assert b"".join(store.read(url)) == CONTENT
    assert not store.holds(url, file, "0" * 64)
    assert store.requests(10) == 0
    store.remove(url)
    assert store.find(url) is None


def test_no_object_is_overwritten(url: str, file: Path) -> None:
    store = FileSystemStore(url)
    store.put(url, file, SHA256)
    file.write_bytes(b"another")
    with pytest.raises(Failed, match="another object has come"):
        store.put(url, file, hashlib.sha256(b"another").hexdigest())
    assert b"".join(store.read(url)) == CONTENT


def test_what_was_damaged_on_the_way_gets_no_name(url: str, file: Path) -> None:
    store = FileSystemStore(url)
    with pytest.raises(Failed, match="damaged on the way"):
        store.put(url, file, "0" * 64)
    assert store.find(url) is None
    # What is left of that, or of a call that was killed, is in nobody's way.
    assert store.find(url + HIDDEN) is not None
    store.put(url, file, SHA256)
    assert store.find(url + HIDDEN) is None


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, synced = tmp_path / "tape" / "1.tar.gz", []
    sync = os.fsync

    def noting(number: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{number}").readlink()), place.exists()))
        sync(number)

    monkeypatch.setattr(os, "fsync", noting)
    FileSystemStore("file:///").put(f"file://{place}", file, SHA256)
    assert synced == [(str(place) + HIDDEN, False), (str(place.parent), True)]


def test_what_is_not_there_is_told_from_what_is_refused(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileSystemStore(url)
    with pytest.raises(Failed, match="is not there") as missing:
        b"".join(store.read(url))
    assert type(missing.value) is Failed

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store._system, "open", full)
    with pytest.raises(Refused, match="No space left on device"):
        store.put(url, file, SHA256)


def test_nothing_is_frozen_there(url: str) -> None:
    with pytest.raises(Failed, match="no archive class"):
        FileSystemStore(url).thaw(url, ("standard",), 1)


def test_a_protocol_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadColdStore, match="nobody"):
        FileSystemStore("nobody://place")
