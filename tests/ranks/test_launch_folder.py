"""A launch removes what it left, and what a launch that was killed left; never what somebody has."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from grt_batch.core.errors import CannotWrite
from grt_batch.ranks.launch_folder import LAUNCHES, note_mpirun, traces

NO_PROCESS = 2**22 + 1
"""Above the largest that Linux gives."""


@pytest.fixture
def segment() -> Iterator[Path]:
    """A file as Open MPI makes it in shared memory, made after the launch began."""
    file = Path(f"/dev/shm/sm_segment.test.{os.getpid()}")
    yield file
    file.unlink(missing_ok=True)


def test_a_launch_has_a_folder_while_it_runs(tmp_path: Path) -> None:
    with traces(tmp_path, "one") as folder:
        assert folder == tmp_path / LAUNCHES / "one"
        assert folder.is_dir()
    assert not folder.exists()


def test_shared_memory_that_nobody_has_goes(tmp_path: Path, segment: Path) -> None:
    with traces(tmp_path, "one") as folder:
        note_mpirun(folder, NO_PROCESS)
        segment.write_bytes(b"x")
    assert not segment.exists()


def test_what_a_process_has_stays(tmp_path: Path, segment: Path) -> None:
    with ExitStack() as stack:
        with traces(tmp_path, "one") as folder:
            note_mpirun(folder, NO_PROCESS)
            segment.write_bytes(b"x")
            file = stack.enter_context(segment.open("r+b"))
            stack.enter_context(mmap.mmap(file.fileno(), 1))
        assert not folder.exists()
        assert segment.exists()


def test_so_does_what_was_there_before(tmp_path: Path, segment: Path) -> None:
    segment.write_bytes(b"x")
    with traces(tmp_path, "one") as folder:
        os.utime(folder / "lock", (segment.stat().st_ctime + 10,) * 2)
    assert segment.exists()


def test_the_folder_of_a_killed_mpirun_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = tmp_path / f"ompi.{NO_PROCESS}"
    session.mkdir()
    with traces(tmp_path, "one") as folder:
        note_mpirun(folder, NO_PROCESS)
    assert not session.exists()


def test_the_next_launch_removes_what_a_killed_one_left(tmp_path: Path, segment: Path) -> None:
    dead = tmp_path / LAUNCHES / "dead"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    note_mpirun(dead, NO_PROCESS)
    segment.write_bytes(b"x")
    with traces(tmp_path, "next"):
        assert not dead.exists()
        assert not segment.exists()


def test_it_leaves_that_of_one_whose_mpirun_still_runs(tmp_path: Path) -> None:
    ending = tmp_path / LAUNCHES / "ending"
    ending.mkdir(parents=True)
    (ending / "lock").touch()
    note_mpirun(ending, os.getpid())
    with traces(tmp_path, "next"):
        assert ending.exists()


def test_it_leaves_that_of_one_that_runs(tmp_path: Path) -> None:
    with traces(tmp_path, "one") as folder, traces(tmp_path, "two"):
        assert folder.exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("")
    with pytest.raises(CannotWrite) as caught, traces(tmp_path / "work", "one"):
        pass
    assert "\n" not in str(caught.value)
