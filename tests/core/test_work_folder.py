"""Who does not belong to the group reads nothing of what a run makes."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from calling import AS_OF, Call, places

from grt_batch.core.config_file import load
from grt_batch.core.errors import BadConfig, NoLocks
from grt_batch.core.work_folder import alone, beside
from grt_batch.modules.registry import discover
from grt_batch.ranks.launcher import launch


def modes(home: Path, *below: str) -> dict[str, set[str]]:
    """The rights of these folders, and of all files and folders in them."""
    found: dict[str, set[str]] = {"files": set(), "folders": set()}
    for place in below:
        for entry in (home / place, *(home / place).rglob("*")):
            if not entry.is_symlink() and "postgres" not in entry.parts:
                mode = stat.S_IMODE(entry.stat().st_mode)
                if entry == home / "work" and os.geteuid() == 0:
                    # The server of root runs as another user, who goes through.
                    assert mode & 0o001
                else:
                    found["folders" if entry.is_dir() else "files"].add(f"{mode:04o}")
    return found


@pytest.mark.parametrize(("folder", "file"), [("", ""), ("0700", "0600"), ("775", "664")])
def test_files_and_folders_have_the_configured_rights(
    folder: str, file: str, call: Call, good: Path, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folder:
        monkeypatch.setenv("GRT_BATCH_FOLDER_MODE", folder)
        monkeypatch.setenv("GRT_BATCH_FILE_MODE", file)
    modules = discover() if not folder else ("tools", "splitter")
    options = ("--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF)
    answer = call("run", *options, *modules)
    assert answer.code == 0, answer.err
    assert modes(tmp_path, "reports", "work") == {
        "files": {(file or "0640").zfill(4)},
        "folders": {(folder or "0750").zfill(4)},
    }
    assert len([*(tmp_path / "work" / "store").rglob("*")]) > 10


def test_every_rank_keeps_to_them(good: Path, tmp_path: Path, database: str, capfd: pytest.CaptureFixture[str]) -> None:
    """By itself: a rank on another host inherits nothing of the process that started it."""
    options = ("--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF, "--no-progress")
    assert launch(3, [*map(str, options), "tools"], tmp_path / "work") == 0, capfd.readouterr().err
    assert modes(tmp_path, "reports", "work/store") == {"files": {"0640"}, "folders": {"0750"}}


@pytest.mark.parametrize(
    ("folder", "file"), [("0750", "0644"), ("0755", "0640"), ("0750", "0660"), ("0770", "0640"), ("0751", "0641")]
)
def test_files_have_the_rights_of_folders_without_x(folder: str, file: str) -> None:
    with pytest.raises(BadConfig) as raised:
        load(environment={"GRT_BATCH_FOLDER_MODE": folder, "GRT_BATCH_FILE_MODE": file})
    assert {"file_mode", file, "folder_mode", folder} <= set(str(raised.value.what).replace(":", "").split())


@pytest.mark.parametrize("mode", ["", "0440", "0o750", "9999", "rwxr-x---", "02750", "750 "])
def test_rights_are_octal_and_let_the_program_itself_in(mode: str) -> None:
    with pytest.raises(BadConfig) as raised:
        load(environment={"GRT_BATCH_FOLDER_MODE": mode})
    assert raised.value.file == "GRT_BATCH_FOLDER_MODE"
    assert "folder_mode" in str(raised.value.what)


def test_several_work_beside_a_run_and_nobody_is_alone_then(tmp_path: Path) -> None:
    with beside(tmp_path / "work"), beside(tmp_path / "work"), alone(tmp_path / "work") as is_alone:
        assert not is_alone
    with alone(tmp_path / "work") as is_alone:
        assert is_alone


def test_who_comes_waits_for_who_clears_away(tmp_path: Path) -> None:
    code = "import sys, pathlib; from grt_batch.core.work_folder import beside\n"
    code += "print('wants in', flush=True)\nwith beside(pathlib.Path(sys.argv[1])): print('is in', flush=True)\n"
    with alone(tmp_path) as is_alone:
        assert is_alone
        coming = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert coming.stdout is not None
        assert coming.stdout.readline() == "wants in\n"
        # The kernel lists who waits for a lock with an arrow.
        inode = (tmp_path / "beside.lock").stat().st_ino
        deadline = time.monotonic() + 20
        while not re.search(rf"-> .*:{inode} ", Path("/proc/locks").read_text(encoding="ascii")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert coming.poll() is None
    assert coming.communicate(timeout=20)[0] == "is in\n"


def test_without_locks_nobody_can_work_beside_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", lacking)
    with beside(tmp_path), alone(tmp_path):
        """By the locks of POSIX, which do not tell two of one process apart."""
    monkeypatch.setattr("fcntl.lockf", lacking)
    for sharing in (beside, alone):
        with pytest.raises(NoLocks), sharing(tmp_path):
            raise AssertionError
