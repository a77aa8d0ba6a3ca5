"""The folder of the server: who may enter it, where its socket is, and what it says where it cannot be made."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from grt_batch.core.errors import EmbeddedElsewhere, NoEmbeddedServer
from grt_batch.embedded_postgres import folder as server_folder
from grt_batch.embedded_postgres.folder import ServerFolder
from grt_batch.embedded_postgres.note import Note
from grt_batch.embedded_postgres.place import SOCKET
from grt_batch.embedded_postgres.server import EmbeddedServer, serve, start_persistent, stop
from tests.embedded_postgres.test_server import ask, killed_parent, process_of, socket_folder, until


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


def test_a_folder_of_another_user_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ServerFolder(tmp_path)
    folder.make()
    owner = pwd.getpwuid(folder.path.stat().st_uid).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(NoEmbeddedServer, match=f"belongs to the user {owner}"):
        folder.make()


def test_a_link_to_a_folder_of_another_host_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "postgres"
    link.symlink_to(tmp_path / "of another host")
    server = EmbeddedServer(tmp_path)
    for use in (server.start, server.running, lambda: server.start(borrow=True), lambda: stop(tmp_path)):
        with pytest.raises(EmbeddedElsewhere, match="of another host"):
            use()
    assert link.readlink() == tmp_path / "of another host"
    assert not link.exists()


def test_a_server_of_another_host_is_neither_used_nor_joined_by_a_second(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_persistent(work)
    (work / "postgres" / "lock").write_text("far-away another-kernel")
    for use in (lambda: start_persistent(work), lambda: EmbeddedServer(work).start(borrow=True), lambda: stop(work)):
        with pytest.raises(EmbeddedElsewhere, match="far-away") as raised:
            use()
        assert raised.value.exit_code == 4
    os.kill(process_of(work), signal.SIGKILL)  # the power of its host fails
    until(lambda: not EmbeddedServer(work).running())
    with monkeypatch.context() as patch:
        patch.setattr(server_folder, "locked_by_host", lambda _: True)
        with pytest.raises(EmbeddedElsewhere, match="far-away"):
            EmbeddedServer(work).start()
    with serve(work) as url:
        assert ask(url, "SELECT 1") == 1
        assert ServerFolder(work).other_host() is None


def test_a_file_system_without_sockets(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)
    with serve(work) as url:
        folder = socket_folder(url)
        assert not folder.is_relative_to(work)
        assert folder.stat().st_mode & 0o077 == 0
        assert ask(url, "SELECT 1") == 1
    assert not folder.exists()
    assert not (work / "postgres" / "socket").is_symlink()
    monkeypatch.setattr(server_folder, "places", lambda: iter(()))
    with pytest.raises(NoEmbeddedServer, match="takes no sockets"):
        EmbeddedServer(work).start()


def test_a_full_disk_is_named_though_the_log_is_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ServerFolder(tmp_path)
    folder.make()
    with folder.open_log():
        pass
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 << 20))
    assert folder.complaint(0) == f"only 3 MB are free in {folder.path} / see {folder.path}/postgres.log"
