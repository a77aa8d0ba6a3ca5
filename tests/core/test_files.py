"""Files are whole or as before, synced before they get their name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grt_batch.core.files import atomic_write, rewrite, sync_folder, write_synced


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The syncs and renames, in order."""
    found: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(file: int) -> None:
        found.append(f"sync {Path('/proc/self/fd', str(file)).readlink().name}")
        sync(file)

    def noted_replace(path: Path, target: Path) -> Path:
        found.append(f"{path.name} to {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return found


def test_a_file_is_synced_before_it_gets_its_name(tmp_path: Path, events: list[str]) -> None:
    atomic_write(tmp_path / "file", [b"a", b"b"], tmp_path / "new")
    assert (tmp_path / "file").read_bytes() == b"ab"
    assert events == ["sync new", "new to file"]
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_is_written_anew_and_nothing_else_is_left(tmp_path: Path, events: list[str]) -> None:
    os.umask(0o077)
    rewrite(tmp_path / "file", b"a")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    rewrite(tmp_path / "file", b"b", 0o644)
    assert ((tmp_path / "file").read_bytes(), (tmp_path / "file").stat().st_mode & 0o777) == (b"b", 0o644)
    assert [event.partition(" ")[0] for event in events] == ["sync", events[1].partition(" ")[0]] * 2
    with pytest.raises(OSError, match="directory"):
        rewrite(tmp_path, b"c")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))


def test_the_old_file_may_be_kept(tmp_path: Path, events: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"old")
    atomic_write(tmp_path / "file", [b"new"], tmp_path / "new", aside=tmp_path / "aside")
    assert (tmp_path / "aside").read_bytes() == b"old"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert events == ["sync new", "file to aside", "new to file"]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="the disk is gone"):
        atomic_write(tmp_path / "file", [b"new"], tmp_path / "new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_synced_file_and_a_synced_folder(tmp_path: Path, events: list[str]) -> None:
    write_synced(tmp_path / "file", [b"content"])
    sync_folder(tmp_path)
    sync_folder(tmp_path / "missing")
    assert (tmp_path / "file").read_bytes() == b"content"
    assert events == ["sync file", f"sync {tmp_path.name}"]
