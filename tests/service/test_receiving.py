"""Files are hidden until they are whole, and a run that looks sees both of an archive or none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
from cold_storage import freeze
from galaxy_client import Sent, archive

from grt_batch.service import receiving
from grt_batch.service.receiving import Incoming, check_and_sync, make_folder, publish, sweep
from grt_batch.service.replies import Refused
from grt_batch.uploads.scan import RECEIVING, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "7" / "archives").mkdir(parents=True)
    return tmp_path / "7"


def published(
    folder: Path, sent: Sent, *, replace: bool = False, crash: AbstractContextManager[object] | None = None
) -> bool:
    meta, data = Incoming(folder / "archives"), Incoming(folder / "archives")
    try:
        meta.write(memoryview(sent.meta))
        data.write(memoryview(sent.data))
        check_and_sync(sent.name, meta, data)
        with crash or nullcontext():
            return publish(folder, sent.name, meta, data, replace=replace)
    finally:
        meta.close()
        data.close()


def test_a_file_is_hashed_while_it_is_written(tmp_path: Path) -> None:
    file = Incoming(tmp_path)
    for piece in (b"ab", b"", b"c"):
        file.write(memoryview(piece))
    assert (file.size, file.content(), file.sha256) == (3, b"abc", hashlib.sha256(b"abc").hexdigest())
    assert file.path.name.startswith(RECEIVING)
    assert file.path.read_bytes() == b"abc"
    file.close()
    assert not list(tmp_path.iterdir())


def test_a_large_file_is_synced_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(receiving, "_SYNC_BYTES", 10)
    monkeypatch.setattr(receiving.os, "fdatasync", lambda _: synced.append(file.size))
    file = Incoming(tmp_path)
    for size in (6, 6, 6, 6, 30, 6):
        file.write(memoryview(bytes(size)))
    file.close()
    assert synced == [12, 24, 54]


def test_what_has_got_its_name_stays_when_the_file_is_closed(tmp_path: Path) -> None:
    file = Incoming(tmp_path)
    file.path.rename(tmp_path / "kept")
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_is_made_once_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(receiving, "sync_folder", synced.append)
    make_folder(tmp_path / "archives")
    make_folder(tmp_path / "archives")
    assert synced == [tmp_path]
    assert (tmp_path / "archives").is_dir()


def test_another_content_is_refused_or_replaces(folder: Path) -> None:
    assert published(folder, archive("1"))
    assert not published(folder, archive("1"))
    with pytest.raises(Refused) as caught:
        published(folder, archive("1", b"other"))
    assert caught.value.status == 409
    assert published(folder, archive("1", b"other"), replace=True)
    assert not published(folder, archive("1", b"other"), replace=True)
    (found,) = scan(folder.parent).archives
    assert found.report
    assert found.report.sha256 == hashlib.sha256(found.tar.read_bytes()).hexdigest()


def test_what_is_cold_is_there_and_is_replaced_as_a_whole(folder: Path) -> None:
    assert published(folder, archive("1"))
    file = folder / "archives" / "1.tar.gz"
    marker = freeze(file)
    assert not published(folder, archive("1"))
    assert not file.exists()
    with pytest.raises(Refused) as caught:
        published(folder, archive("1", b"other"))
    assert caught.value.status == 409
    assert published(folder, archive("1", b"other"), replace=True)
    # The marker would stand for the old content, once this file is gone.
    assert not marker.exists()
    assert file.read_bytes() == archive("1", b"other").data


def test_the_same_content_comes_to_a_marker_without_a_report(folder: Path) -> None:
    assert published(folder, archive("1"))
    file = folder / "archives" / "1.tar.gz"
    marker = freeze(file)
    file.with_name("1.json").unlink()
    assert published(folder, archive("1"))
    assert (file.exists(), marker.exists()) == (True, True)


@pytest.mark.parametrize("crash", range(5))
def test_after_a_crash_what_was_cold_is_whole_or_not_there(folder: Path, crash: int) -> None:
    old, new = archive("1"), archive("1", b"other")
    assert published(folder, old)
    marker = freeze(folder / "archives" / "1.tar.gz")
    with pytest.raises(Crash) if crash < 4 else nullcontext():
        published(folder, new, replace=True, crash=crashing(crash))
    (found,) = scan(folder.parent).archives
    assert (found.incomplete is None) == (crash in (0, 4))
    if crash == 0:
        assert (found.is_cold, marker.exists()) == (True, True)
    assert published(folder, new, replace=True) == (crash < 4)
    assert (folder / "archives" / "1.tar.gz").read_bytes() == new.data
    assert not marker.exists()


class Crash(Exception):
    """The machine stops."""


@contextmanager
def crashing(last: int) -> Iterator[None]:
    """Crash before the change of a name with this number."""
    done = 0

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def call(path: Path, *arguments: object, **options: object) -> object:
            nonlocal done
            if done >= last:
                raise Crash
            done += 1
            return change(path, *arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        yield


@pytest.mark.parametrize("crash", range(3))
def test_after_a_crash_an_archive_is_whole_or_not_there(folder: Path, crash: int) -> None:
    old, new = archive("1"), archive("1", b"other")
    assert published(folder, old)
    with pytest.raises(Crash):
        published(folder, new, replace=True, crash=crashing(crash))
    (found,) = scan(folder.parent).archives
    assert (found.incomplete is None) == (crash == 0)
    if found.incomplete is None:
        assert found.tar.read_bytes() == old.data
        assert found.tar.with_name("1.json").read_bytes() == old.meta
    # The client sends again what is not listed.
    assert published(folder, new, replace=True)
    assert (folder / "archives" / "1.tar.gz").read_bytes() == new.data


def test_names_are_on_the_disk_before_the_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    rename = Path.rename
    monkeypatch.setattr(receiving.os, "fsync", lambda _: events.append("sync file"))
    monkeypatch.setattr(receiving, "sync_folder", lambda path: events.append(f"sync {path.name}"))
    monkeypatch.setattr(Path, "rename", lambda self, to: (events.append(to.name), rename(self, to)))
    assert published(folder, archive("1"))
    assert events == ["sync file", "sync file", "1.tar.gz", "sync archives", "1.json", "sync archives"]


def test_what_is_left_of_a_killed_service_is_swept(folder: Path) -> None:
    running = Incoming(folder / "archives")
    for path in (folder / "archives" / f"{RECEIVING}0", folder / "archives" / ".other", folder / f"{RECEIVING}0"):
        path.touch()
    assert sweep(folder.parent) == 1
    assert sorted(path.name for path in (folder / "archives").iterdir()) == sorted([".other", running.path.name])
    running.close()
    assert sweep(folder.parent) == sweep(folder / "missing") == 0


def test_a_run_says_what_is_being_received(folder: Path) -> None:
    published(folder, archive("1"))
    running = Incoming(folder / "archives")
    assert scan(folder.parent).passed_over == (f"7/{running.path.name}: is being received",)
    running.close()
