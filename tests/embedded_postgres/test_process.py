"""The processes of the server: they end with their parent, and a killed one hinders no other."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grt_batch.core.errors import NoEmbeddedServer
from grt_batch.embedded_postgres import process as server_process
from grt_batch.embedded_postgres.server import EmbeddedServer, serve, start_persistent
from tests.embedded_postgres.test_server import ask, killed_parent, needs_root, process_of, until


def test_ends_with_a_killed_parent(work: Path) -> None:
    with killed_parent(work) as url:
        ask(url, "DROP TABLE IF EXISTS committed")
        ask(url, "CREATE TABLE committed AS SELECT 7 AS rows")
    until(lambda: not EmbeddedServer(work).running())
    with serve(work) as url:
        assert ask(url, "SELECT rows FROM committed") == 7


def test_starts_at_once_after_a_killed_parent(work: Path) -> None:
    with killed_parent(work):
        pass
    with serve(work) as url:
        assert ask(url, "SELECT current_setting('grt_batch.owner')") == f"process {os.getpid()}"


def test_recovers_from_a_killed_server(work: Path) -> None:
    with serve(work) as url:
        ask(url, "DROP TABLE IF EXISTS survivor")
        ask(url, "CREATE TABLE survivor AS SELECT 3 AS rows")
        os.kill(process_of(work), signal.SIGKILL)
    assert list((work / "postgres").glob("*/data/postmaster.pid"))
    with serve(work) as url:
        assert ask(url, "SELECT rows FROM survivor") == 3


def test_a_stale_process_file_does_not_hinder(work: Path) -> None:
    with serve(work):
        (file,) = (work / "postgres").glob("*/data/postmaster.pid")
        note = file.read_text()
        owner = file.stat()
    # Another process of the same user has the number now: PostgreSQL by itself would take it for a server.
    user: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    other = subprocess.Popen(["sleep", "60"], **user)
    try:
        file.write_text(note.replace(note.split()[0], str(other.pid), 1))
        with serve(work) as url:
            assert ask(url, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_file_without_content_does_not_hinder(work: Path) -> None:
    with serve(work):
        (file,) = (work / "postgres").glob("*/data/postmaster.pid")
    for content in ("", "\0" * 40):  # a power cut left it so
        file.write_text(content)
        with serve(work) as url:
            assert ask(url, "SELECT 1") == 1


def test_wrong_modes_of_the_folders_are_mended(work: Path) -> None:
    with serve(work):
        pass
    (data,) = (work / "postgres").glob("*/data")
    folders = (work / "postgres", data.parent, data)
    for folder in folders:
        folder.chmod(0o775)
    with serve(work) as url:
        assert ask(url, "SELECT 1") == 1
    assert [folder.stat().st_mode & 0o777 for folder in (folders[0], data)] == [0o700, 0o700]


def test_initdb_cut_short_is_done_again(work: Path) -> None:
    with serve(work):
        pass
    (data,) = (work / "postgres").glob("*/data")
    (data / "global" / "pg_control").unlink()
    data.rename(data.with_name("unfinished"))
    with serve(work) as url:
        assert ask(url, "SELECT 1") == 1
    assert not data.with_name("unfinished").exists()


@needs_root
def test_root_runs_it_as_the_owner_of_its_folder(work: Path) -> None:
    def give(uid: int, gid: int) -> None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, gid)

    with serve(work):
        pass
    folder = work / "postgres"
    before = folder.stat()
    other = pwd.getpwnam("nobody")
    give(other.pw_uid, other.pw_gid)
    with serve(work):
        assert Path(f"/proc/{process_of(work)}").stat().st_uid == other.pw_uid
    assert {path.stat().st_uid for path in folder.rglob("*")} == {other.pw_uid}
    give(before.st_uid, before.st_gid)


def test_a_server_that_cannot_start_says_why(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "SETTINGS", (*server_process.SETTINGS, "shared_buffers=nonsense"))
    for start in (EmbeddedServer(work).start, lambda: start_persistent(work)):
        with pytest.raises(NoEmbeddedServer) as raised:
            start()
        assert re.search(r"FATAL:.*shared_buffers.*postgres\.log", str(raised.value.what))
