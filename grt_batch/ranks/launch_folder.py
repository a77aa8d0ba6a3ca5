"""What a launch has in the file system while it runs. It removes that at its end, the next one that of a killed one.

An MPI removes its own files when it ends in order. Killed, Open MPI's mpirun leaves its folder and the shared memory of
the ranks, and MPICH leaves that whenever a rank is lost.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grt_batch.core.errors import CannotWrite
from grt_batch.core.work_folder import make_work
from grt_batch.ranks.heartbeat import ENDED, state_of

LAUNCHES = "launches"


_LOCK, _MPIRUN = "lock", "mpirun"


_SEGMENTS = ("sm_segment.*", "mpich_shm_*")


_SHARED_MEMORY = Path("/dev/shm")


_SETTLE_SECONDS = 0.05


@contextmanager
def traces(work: Path, name: str) -> Iterator[Path]:
    """A folder for a launch of this name, which all ranks see; it goes, with all else that is left of the launch.

    Raises CannotWrite.
    """
    make_work(work)
    folder = work.resolve() / LAUNCHES / name
    try:
        _clear_those_of_the_dead(folder.parent)
        folder.mkdir(parents=True)
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise CannotWrite(folder=folder.parent, what=error.strerror or error) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            _clear(folder)


def note_mpirun(folder: Path, process: int) -> None:
    """Remember the process whose traces are to be removed."""
    (folder / _MPIRUN).write_text(str(process))


def _clear_those_of_the_dead(launches: Path) -> None:
    for folder in launches.glob("*/"):
        with suppress(OSError), (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(folder)


def _clear(folder: Path) -> None:
    """Remove what mpirun and its ranks have left on this host, and the folder; nothing where mpirun still runs."""
    with suppress(OSError, ValueError):
        mpirun = int((folder / _MPIRUN).read_text())
        if state_of(mpirun) not in ENDED:
            return
        shutil.rmtree(Path(tempfile.gettempdir()) / f"ompi.{mpirun}", ignore_errors=True)
    with suppress(OSError):
        for segment in _nobodys_segments((folder / _LOCK).stat().st_mtime):
            segment.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _nobodys_segments(since: float) -> set[Path]:
    """The shared memory of this user's MPIs, made since then (in Unix seconds), that no process has any more."""
    found = {file for pattern in _SEGMENTS for file in _SHARED_MEMORY.glob(pattern) if _is_own(file, since)}
    for _ in range(2):  # another launch may be about to map what it has just made
        if found:
            found -= _mapped()
            time.sleep(_SETTLE_SECONDS)
    return found


def _is_own(file: Path, since: float) -> bool:
    try:
        status = file.stat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and status.st_ctime >= since


def _mapped() -> set[Path]:
    """The files of shared memory that processes have mapped."""
    mapped = set()
    mark = f"{_SHARED_MEMORY}/"
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            mapped |= {Path(line[line.index(mark) :]) for line in maps.read_text().splitlines() if mark in line}
    return mapped
