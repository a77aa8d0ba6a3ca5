"""The folder of the server: who may enter it, where its socket is, and what it says where it cannot be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grt_batch.core.errors import NoEmbeddedServer
from grt_batch.embedded_postgres import process as server_process
from grt_batch.embedded_postgres import server as embedded
from grt_batch.embedded_postgres.folder import ServerFolder
from grt_batch.embedded_postgres.note import Note
from grt_batch.embedded_postgres.place import SOCKET
from grt_batch.embedded_postgres.server import EmbeddedServer, serve
from tests.embedded_postgres.test_server import ask, killed_parent, needs_root, process_of, socket_folder


def test_only_the_servers_user_reaches_the_socket(work: Path) -> None:
    with serve(work) as url:
        folder = socket_folder(url)
        assert (folder / SOCKET).is_socket()
        assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "fits"),
    [("é b%c'd", True), ("long" * 40, False), ("a,b", False)],
    ids=["odd", "long", "comma"],
)
def test_any_work_path(work: Path, name: str, fits: bool) -> None:
    with serve(work):
        pass
    odd = work / name
    odd.mkdir()
    (work / "postgres").rename(odd / "postgres")
    with killed_parent(odd) as url:
        left = socket_folder(url)
    with serve(odd) as url:
        folder = socket_folder(url)
        assert ask(url, "SELECT 1") == 1
        assert folder.stat().st_mode & 0o077 == 0
        assert folder.is_relative_to(work) == fits
        assert folder == left
        assert folder.is_symlink() != fits
    assert os.path.lexists(folder) == fits
    (odd / "postgres").rename(work / "postgres")


@needs_root
def test_where_the_servers_user_may_not_go(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    installed = embedded.binaries()
    site = installed.parents[2]
    (closed / "site-packages").symlink_to(site)
    programs = closed / "site-packages" / installed.relative_to(site)
    monkeypatch.setattr(server_process, "SYSTEM_FOLDER", base / "system")
    monkeypatch.setattr(embedded, "binaries", lambda _: programs)
    for _ in range(2):
        with serve(closed / "work") as url:
            assert ask(url, "SELECT 1") == 1
            running = Path(f"/proc/{process_of(closed / 'work')}/exe").resolve()
    assert running.is_relative_to(base / "system")
    assert not (closed / "work" / "postgres").is_symlink()
    assert len(list((base / "system").iterdir())) == 1, "one copy of the server, and no data"


def test_a_folder_that_cannot_be_made_says_why(base: Path) -> None:
    (base / "file").touch()
    with pytest.raises(NoEmbeddedServer) as raised:
        EmbeddedServer(base / "file" / "work").start()
    assert str(base / "file") in str(raised.value.what)


def test_a_folder_is_for_the_servers_user_only_and_made_once(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path / "work")
    assert not folder.work.exists()
    for _ in range(2):
        folder.make()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert folder.user()[0] == folder.path.stat().st_uid


def test_one_has_the_lock_at_a_time(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path)
    folder.path.mkdir()
    first = folder.lock()
    assert first is not None
    with first:
        assert folder.lock() is None
    second = folder.lock()
    assert second is not None
    second.close()


def test_a_complaint_is_the_last_of_what_was_fatal_since(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path)
    folder.path.mkdir()
    log = folder.path / "postgres.log"
    log.write_text("FATAL: before\n")
    said = log.stat().st_size
    with folder.open_log() as file:
        file.write(b"LOG: one\nLOG: two\nLOG: three\n")
    assert folder.complaint(said) == f"LOG: two / LOG: three / see {log}"
    with folder.open_log() as file:
        file.write(b"FATAL: it\nLOG: more\n")
    assert folder.complaint(said) == f"FATAL: it / see {log}"


def test_the_newest_note_names_the_process(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path)
    assert folder.note() is None
    for major, process in ((9, "1\n/data\n"), (18, "2\n/data\n"), (17, "")):
        file = folder.path / str(major) / "data" / "postmaster.pid"
        file.parent.mkdir(parents=True)
        if process:
            file.write_text(process)
            os.utime(file, (major, major))
    assert folder.majors() == [18, 17, 9]
    assert folder.note() == Note(folder.path / "18" / "data", 2, ready=False)
