"""Uploads have room or are refused, with what others still need counted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from grt_batch.core.config import Config
from grt_batch.service.replies import Refused
from grt_batch.service.room import Room
from grt_batch.uploads.cold import ColdCopy, write_cold

SETTINGS = Config(min_free_bytes=100, max_upload_bytes=10_000, uploads_per_hour=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "7" / "archives").mkdir(parents=True)
    return tmp_path / "7"


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size))


def refused(room: Room, folder: Path, size: int) -> Refused:
    with pytest.raises(Refused) as caught:
        room.keep(folder, size)
    return caught.value


def test_the_disk_keeps_some_bytes_free(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(SETTINGS)
    free(monkeypatch, 1000)
    assert refused(room, folder, 901).status == 507
    first = room.keep(folder, 600)
    assert "disk of the service is full" in refused(room, folder, 301).message
    # What the first has written is no longer free.
    first.written = 200
    free(monkeypatch, 800)
    assert refused(room, folder, 301).status == 507
    second = room.keep(folder, 300)
    room.release(first)
    room.release(first)
    room.release(second)
    free(monkeypatch, 1000)
    room.keep(folder, 900)


def test_a_form_has_room_for_what_is_beside_its_tar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 2**50)
    room = Room(SETTINGS)
    room.keep(folder, 10_000 + 1_000_000)
    found = refused(room, folder, 2**30)
    assert (found.status, "10000 bytes" in found.message) == (413, True)
    Room(replace(SETTINGS, max_upload_bytes=0)).keep(folder, 2**40)


def test_a_quota_counts_what_is_there_and_what_is_coming(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 2**50)
    (folder / "archives" / "1.tar.gz").write_bytes(bytes(400))
    (folder / "archives" / "1.json").write_bytes(bytes(100))
    (folder / "archives" / "other").write_bytes(bytes(5000))
    settings = replace(SETTINGS, quota_bytes=10, quotas={"7": 1000})
    Room(settings).keep(folder, 9000)
    room = Room(replace(settings, enforce_quotas=True))
    assert refused(room, folder, 501).status == 507
    place = room.keep(folder, 300)
    place.written = 300
    assert "quota of 1000 bytes" in refused(room, folder, 201).message
    room.keep(folder, 200)
    # What is in cold storage counts, as it does in instance_status.
    write_cold(folder / "archives" / "1.cold", ColdCopy("file:///1", "ab" * 32, 400, (400, 0, 0), "2024"))
    assert "quota of 1000 bytes" in refused(room, folder, 1).message
    (folder / "archives" / "1.tar.gz").unlink()
    assert "quota of 1000 bytes" in refused(room, folder, 1).message
    other = folder.with_name("8")
    other.mkdir()
    assert "quota of 10 bytes" in refused(room, other, 11).message
    room.keep(other, 10)


def test_uploads_within_an_hour_are_counted_for_each_instance(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 2**50)
    now = 5000.0
    room = Room(replace(SETTINGS, uploads_per_hour=2), lambda: now)
    room.release(room.keep(folder, 1))
    now += 1000
    room.release(room.keep(folder, 1))
    found = refused(room, folder, 1)
    assert (found.status, found.headers) == (429, {"Retry-After": "2601"})
    room.keep(folder.with_name("8"), 1)
    now += 2600
    room.keep(folder, 1)
    assert refused(room, folder, 1).status == 429
