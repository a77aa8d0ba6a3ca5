"""The files of a launch. It removes them at its end; those of a launch that was killed are removed by the next one.

An MPI that ends in order removes its own files. When it is killed, Open MPI's mpirun leaves its session folder and the
ranks' shared memory behind; MPICH leaves shared memory whenever a rank is lost. Names and times do not say whose shared
memory a file is, so the ranks note what they have mapped, and nothing else is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grt_batch.core.errors import CannotWrite
from grt_batch.core.work_folder import make_work
from grt_batch.ranks.heartbeat import ENDED, state_of

LAUNCHES = "launches"


_LOCK, _MPIRUN, _SEGMENTS = "lock", "mpirun", "segments"


_SHARED_MEMORY = Path("/dev/shm")


_SEGMENT_NAMES = ("sm_segment.", "mpich_shm_")
"""The beginnings of the names that Open MPI and MPICH give to shared memory."""


@contextmanager
def launch_folder(work: Path, name: str) -> Iterator[Path]:
    """Make a folder for a launch of this name, which all ranks see. Remove it at the end, with everything else that
    the launch left on this host.

    Raises CannotWrite.
    """
    make_work(work)
    folder = work.resolve() / LAUNCHES / name
    try:
        _clear_dead_launches(folder.parent)
        folder.mkdir(parents=True)
        lock = (folder / _LOCK).open("wb")
    except OSError as error:
        raise CannotWrite(folder=folder.parent, what=error.strerror or error) from None
    with lock:
        # Without locks the folder of a launch that was killed stays: nobody can tell it from one under way.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            _clear(folder)


def note_mpirun(folder: Path, process: int) -> None:
    """Remember the process id of mpirun, which is part of the name of its session folder."""
    (folder / _MPIRUN).write_bytes(str(process).encode())


def note_segments(folder: Path, process: int) -> None:
    """Remember the MPI's shared memory that this process of a rank has mapped: its inodes and names."""
    with suppress(OSError):
        # The fields are those of proc_pid_maps(5).
        maps = os.fsdecode(Path(f"/proc/{process}/maps").read_bytes())
        mapped = (line.split(maxsplit=5) for line in maps.splitlines())
        found = {
            f"{fields[4]} {Path(fields[5]).name}\n"
            for fields in mapped
            if len(fields) == 6 and fields[5].startswith(tuple(f"{_SHARED_MEMORY}/{name}" for name in _SEGMENT_NAMES))
        }
        if found:
            (folder / f"{_SEGMENTS}.{socket.gethostname()}.{process}").write_bytes("".join(sorted(found)).encode())


def _clear_dead_launches(launches: Path) -> None:
    for folder in launches.glob("*/"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(folder)


def _clear(folder: Path) -> None:
    """Remove what mpirun and its ranks left on this host, and the folder; nothing while mpirun runs."""
    with suppress(OSError, ValueError):
        mpirun = int((folder / _MPIRUN).read_bytes())
        if state_of(mpirun) not in ENDED:
            return
        shutil.rmtree(Path(tempfile.gettempdir()) / f"ompi.{mpirun}", ignore_errors=True)
    for note in folder.glob(f"{_SEGMENTS}.{socket.gethostname()}.*"):
        for line in note.read_text(encoding="utf-8").splitlines():
            inode, _, name = line.partition(" ")
            file = _SHARED_MEMORY / name
            # Another launch may have a file of this name by now.
            with suppress(OSError):
                if file.stat().st_ino == int(inode):
                    file.unlink()
    shutil.rmtree(folder, ignore_errors=True)
