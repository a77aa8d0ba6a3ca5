"""The store of partial results: what is put comes back whole or not at all."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from grt_batch.core.digest import digest
from grt_batch.core.errors import CannotWrite
from grt_batch.store.store import Store

KEY = digest("a", "key")
PAYLOAD = b"what was computed\n" * 10


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_put_is_there(store: Store) -> None:
    store.put("jobs", KEY, PAYLOAD)
    assert store.has("jobs", KEY)
    assert store.get("jobs", KEY) == PAYLOAD
    assert files(store.root) == [store.path("jobs", KEY)]


def test_an_empty_entry_is_an_entry(store: Store) -> None:
    store.put("rejects", KEY, b"")
    assert store.get("rejects", KEY) == b""


def test_what_was_never_put_is_not_there(store: Store) -> None:
    store.put("jobs", KEY, PAYLOAD)
    for kind, key in (("account", KEY), ("jobs", digest("another"))):
        assert not store.has(kind, key)
        assert store.get(kind, key) is None
    assert files(store.root) == [store.path("jobs", KEY)]


def test_what_was_dropped_is_gone(store: Store) -> None:
    store.put("jobs", KEY, PAYLOAD)
    store.drop("jobs", KEY)
    store.drop("jobs", KEY)
    assert not store.has("jobs", KEY)
    assert store.get("jobs", KEY) is None


def test_what_was_put_again_is_what_comes_back(store: Store) -> None:
    store.put("jobs", KEY, b"old")
    store.put("jobs", KEY, PAYLOAD)
    assert store.get("jobs", KEY) == PAYLOAD


DAMAGES = {
    "empty": lambda raw: b"",
    "cut off in its head": lambda raw: raw[:10],
    "cut off": lambda raw: raw[:-1],
    "longer": lambda raw: raw + b"\0",
    "another magic": lambda raw: b"GRTPART0" + raw[8:],
    "another checksum": lambda raw: raw[:8] + bytes([raw[8] ^ 1]) + raw[9:],
    "another size": lambda raw: raw[:12] + bytes([raw[12] ^ 1]) + raw[13:],
    "a flipped bit at its end": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_none(store: Store, damage) -> None:
    store.put("jobs", KEY, PAYLOAD)
    path = store.path("jobs", KEY)
    path.write_bytes(damage(path.read_bytes()))
    assert store.get("jobs", KEY) is None
    store.put("jobs", KEY, PAYLOAD)
    assert store.get("jobs", KEY) == PAYLOAD


def test_any_flipped_byte_is_noticed(store: Store) -> None:
    store.put("jobs", KEY, b"short")
    path = store.path("jobs", KEY)
    raw = path.read_bytes()
    for i in range(len(raw)):
        path.write_bytes(raw[:i] + bytes([raw[i] ^ 0xFF]) + raw[i + 1 :])
        assert store.get("jobs", KEY) is None, f"byte {i}"


def test_an_entry_is_synced_before_it_has_its_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fsync, []

    def watch(file: int) -> None:
        assert not store.has("jobs", KEY)
        # All of it is in the file by now: nothing waits in a buffer.
        assert os.fstat(file).st_size > len(PAYLOAD)
        synced.append(os.fstat(file).st_ino)
        sync(file)

    monkeypatch.setattr(os, "fsync", watch)
    store.put("jobs", KEY, PAYLOAD)
    assert synced == [store.path("jobs", KEY).stat().st_ino]


def test_a_power_cut_leaves_no_entry_or_a_whole_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    for step in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch, pytest.raises(PowerCut):
            patch.setattr(step, cut)
            store.put("jobs", KEY, PAYLOAD)
        assert store.get("jobs", KEY) is None
        assert list(store.entries()) == []
    store.tidy()
    assert files(store.root) == []


def test_entries_are_listed_with_their_sizes(store: Store) -> None:
    assert list(store.entries()) == []
    store.put("jobs", KEY, PAYLOAD)
    store.put("account", KEY, b"")
    store.put("account", digest("another"), b"x")
    (store.root / "unfinished" / "half").write_bytes(b"half")
    found = {(entry.kind, entry.key): entry.bytes for entry in store.entries()}
    assert set(found) == {("jobs", KEY), ("account", KEY), ("account", digest("another"))}
    assert found["jobs", KEY] - found["account", KEY] == len(PAYLOAD)
    assert sum(found.values()) == sum(file.stat().st_size for file in files(store.root) if file.name != "half")


def test_what_is_used_is_marked_once_a_day(store: Store) -> None:
    store.put("jobs", KEY, PAYLOAD)
    now = time.time()
    for ago, marked in ((90_000, True), (80_000, False)):
        os.utime(store.path("jobs", KEY), (now - ago, now - ago))
        assert store.has("jobs", KEY)
        (entry,) = store.entries()
        assert entry.used == pytest.approx(now - ago)
        store.get("jobs", KEY)
        (entry,) = store.entries()
        assert (entry.used >= now - 1) is marked


def test_an_entry_that_cannot_be_let_go_is_told(store: Store) -> None:
    store.path("jobs", KEY).mkdir(parents=True)
    with pytest.raises(CannotWrite) as raised:
        store.drop("jobs", KEY)
    assert raised.value.folder == store.root


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    store = Store(tmp_path / "store")
    with pytest.raises(CannotWrite) as raised:
        store.put("jobs", KEY, PAYLOAD)
    assert raised.value.folder == store.root
    assert not store.has("jobs", KEY)
    assert store.get("jobs", KEY) is None


def test_a_full_disk_leaves_no_entry_and_tidy_what_is_left(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CannotWrite, match="No space left on device"):
            store.put("jobs", KEY, PAYLOAD)
    assert not store.has("jobs", KEY)
    store.put("account", KEY, PAYLOAD)
    store.tidy()
    assert files(store.root) == [store.path("account", KEY)]
    store.put("jobs", KEY, PAYLOAD)
    assert store.get("jobs", KEY) == PAYLOAD


def test_two_writers_of_one_key_leave_one_whole_entry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync
    seen = []

    def another_writes_meanwhile(file: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        Store(store.root).put("jobs", KEY, PAYLOAD)
        seen.append(store.get("jobs", KEY))
        sync(file)

    monkeypatch.setattr(os, "fsync", another_writes_meanwhile)
    store.put("jobs", KEY, PAYLOAD)
    assert seen == [PAYLOAD]
    assert store.get("jobs", KEY) == PAYLOAD
    assert files(store.root) == [store.path("jobs", KEY)]
