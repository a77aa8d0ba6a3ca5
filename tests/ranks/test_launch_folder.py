"""A launch removes what it left, and what a killed launch left, but no file of anybody else."""

from __future__ import annotations

import mmap
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from grt_batch.core.errors import CannotWrite
from grt_batch.ranks.launch_folder import (
    LAUNCHES,
    clear_dead_launches,
    forget_files,
    launch_folder,
    note_files,
    note_mpirun,
)

NO_PROCESS = 2**22 + 1
"""Above the largest that Linux gives."""


@pytest.fixture(params=["sm_segment.test.", "mpich_shm_test_"])
def segment(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The name of a file as Open MPI and MPICH make it in shared memory."""
    file = Path(f"/dev/shm/{request.param}{os.getpid()}")
    yield file
    file.unlink(missing_ok=True)


def map_as_rank(folder: Path, segment: Path) -> None:
    """Do what a rank does: make shared memory, map it, note it."""
    segment.write_bytes(b"x")
    with segment.open("r+b") as file, mmap.mmap(file.fileno(), 1):
        note_files(folder, os.getpid())


def test_a_launch_has_a_folder_while_it_runs(tmp_path: Path) -> None:
    with launch_folder(tmp_path, "one") as folder:
        assert folder == tmp_path / LAUNCHES / "one"
        assert folder.is_dir()
    assert not folder.exists()


def test_shared_memory_of_its_ranks_goes(tmp_path: Path, segment: Path) -> None:
    with launch_folder(tmp_path, "one") as folder:
        note_mpirun(folder, NO_PROCESS)
        map_as_rank(folder, segment)
    assert not segment.exists()


@pytest.mark.parametrize("mapped", [False, True])
def test_that_of_others_stays_whenever_it_was_made(tmp_path: Path, segment: Path, mapped: bool) -> None:
    with launch_folder(tmp_path, "one") as folder, ExitStack() as stack:
        note_mpirun(folder, NO_PROCESS)
        segment.write_bytes(b"x")
        if mapped:
            file = stack.enter_context(segment.open("r+b"))
            stack.enter_context(mmap.mmap(file.fileno(), 1))
    assert not folder.exists()
    assert segment.exists()


def test_so_does_a_file_that_has_the_name_of_one_that_is_gone(tmp_path: Path, segment: Path) -> None:
    with launch_folder(tmp_path, "one") as folder:
        map_as_rank(folder, segment)
        segment.unlink()
        segment.write_bytes(b"another")
    assert segment.exists()


def test_so_does_shared_memory_that_is_no_mpi_s(tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="test.") as file:
        with launch_folder(tmp_path, "one") as folder:
            map_as_rank(folder, Path(file.name))
        assert Path(file.name).exists()


def test_shared_memory_on_another_host_is_for_the_next_launch_there(
    tmp_path: Path, segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with launch_folder(tmp_path, "one") as folder, monkeypatch.context() as there:
        there.setattr(socket, "gethostname", lambda: "node7")
        map_as_rank(folder, segment)
    assert segment.exists()
    dead = tmp_path / LAUNCHES / "one"
    assert {file.name.partition(".")[0] for file in dead.iterdir()} == {"lock", "left"}
    with monkeypatch.context() as there:
        there.setattr(socket, "gethostname", lambda: "node7")
        clear_dead_launches(tmp_path / LAUNCHES, but=dead)
        assert segment.exists()
        clear_dead_launches(tmp_path / LAUNCHES)
    assert not segment.exists()
    assert not dead.exists()


def test_who_ended_in_order_has_left_nothing(tmp_path: Path, segment: Path) -> None:
    with launch_folder(tmp_path, "one") as folder:
        map_as_rank(folder, segment)
        forget_files(folder)
        forget_files(folder)
    assert segment.exists()
    assert not folder.exists()


def test_the_folder_of_a_daemon_of_open_mpi_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tmp_path / "prted.7"
    (session / "1").mkdir(parents=True)
    monkeypatch.setenv("PMIX_SERVER_TMPDIR", str(session))
    with launch_folder(tmp_path, "one") as folder:
        note_files(folder, os.getpid())
    assert not session.exists()


def test_a_process_that_is_gone_notes_nothing(tmp_path: Path) -> None:
    with launch_folder(tmp_path, "one") as folder:
        note_files(folder, NO_PROCESS)
        assert not list(folder.glob("segments*"))


def test_the_folder_of_a_killed_mpirun_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = tmp_path / f"ompi.{NO_PROCESS}"
    session.mkdir()
    with launch_folder(tmp_path, "one") as folder:
        note_mpirun(folder, NO_PROCESS)
    assert not session.exists()


def test_the_next_launch_removes_what_a_killed_one_left(tmp_path: Path, segment: Path) -> None:
    dead = tmp_path / LAUNCHES / "dead"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    note_mpirun(dead, NO_PROCESS)
    map_as_rank(dead, segment)
    with launch_folder(tmp_path, "next"):
        assert not dead.exists()
        assert not segment.exists()


def test_it_leaves_that_of_one_whose_mpirun_still_runs(tmp_path: Path) -> None:
    ending = tmp_path / LAUNCHES / "ending"
    ending.mkdir(parents=True)
    (ending / "lock").touch()
    note_mpirun(ending, os.getpid())
    with launch_folder(tmp_path, "next"):
        assert ending.exists()


def test_it_leaves_that_of_one_that_runs(tmp_path: Path) -> None:
    with launch_folder(tmp_path, "one") as folder, launch_folder(tmp_path, "two"):
        assert folder.exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("")
    with pytest.raises(CannotWrite) as caught, launch_folder(tmp_path / "work", "one"):
        pass
    assert "\n" not in str(caught.value)
