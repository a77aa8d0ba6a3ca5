"""The files of a launch. It removes them at its end; those of a launch that was killed are removed by the next one.

An MPI that ends in order removes its own files. When it is killed, Open MPI's mpirun and daemons leave their session
folders and the ranks' shared memory behind; MPICH leaves shared memory whenever a rank is lost. Names and times do not
say whose a file is, so the ranks note what they have mapped, and nothing else is removed. What lies on another host is
removed by the next launch that has a rank there.
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
from grt_batch.ranks.heartbeat import state_of
from grt_batch.ranks.watch import ENDED
from grt_batch.ranks.word import expect_word

LAUNCHES = "launches"


_LOCK, _MPIRUN, _LEFT = "lock", "mpirun", "left"


_SHARED_MEMORY = "/dev/shm"


_SEGMENTS = tuple(f"{_SHARED_MEMORY}/{name}" for name in ("sm_segment.", "vader_segment.", "mpich_shm_"))
"""The beginnings of the names that Open MPI, since 5 and before, and MPICH give to shared memory."""


_SESSION = "PMIX_SERVER_TMPDIR"
"""The variable with the session folder of the daemon of Open MPI that has started a rank."""


_SESSIONS = ("ompi.", "prted.")
"""The beginnings of the names of these folders: that of mpirun, and those of its daemons on other hosts."""


@contextmanager
def launch_folder(work: Path, name: str) -> Iterator[Path]:
    """Make a folder for a launch of this name, which all ranks see. Remove it at the end, with everything else that
    the launch left on this host.

    Raises CannotWrite.
    """
    make_work(work)
    folder = work.resolve() / LAUNCHES / name
    try:
        clear_dead_launches(folder.parent)
        folder.mkdir(parents=True)
        lock = (folder / _LOCK).open("wb")
        expect_word(folder)
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
    (folder / _MPIRUN).write_text(f"{process} {socket.gethostname()}", encoding="utf-8")


def note_files(folder: Path, process: int) -> None:
    """Remember what this process of a rank, or the MPI under it, leaves behind when it is killed: the inodes and paths
    of the shared memory that it has mapped, and of the session folder."""
    with suppress(OSError):
        # The fields are those of proc_pid_maps(5).
        mapped = (
            line.split(maxsplit=5) for line in os.fsdecode(Path(f"/proc/{process}/maps").read_bytes()).splitlines()
        )
        found = {f"{fields[4]} {fields[5]}\n" for fields in mapped if len(fields) == 6 and _is_segment(fields[5])}
        session = os.environ.get(_SESSION, "") if process == os.getpid() else ""
        if Path(session).name.startswith(_SESSIONS):
            found.add(f"{Path(session).stat().st_ino} {session}\n")
        if found:
            with _notes(folder, process).open("ab") as notes:
                notes.writelines(sorted(map(os.fsencode, found)))


def forget_files(folder: Path) -> None:
    """Forget what was noted of this process: MPI has ended in order, and removed it."""
    with suppress(OSError):
        _notes(folder, os.getpid()).unlink()


def clear_dead_launches(launches: Path, but: Path | None = None) -> None:
    """Remove what launches of this work folder that are over, all `but` one, have left on this host."""
    for folder in set(launches.glob("*/")) - {but}:
        with suppress(OSError), (folder / _LOCK).open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(folder)


def _notes(folder: Path, process: int) -> Path:
    return folder / f"{_LEFT}.{socket.gethostname()}.{process}"


def _is_segment(path: str) -> bool:
    return path.startswith(_SEGMENTS)


def _clear(folder: Path) -> None:
    """Remove what mpirun and its ranks left on this host, and the folder; nothing while mpirun runs."""
    host = socket.gethostname()
    with suppress(OSError, ValueError):
        mpirun, there = (folder / _MPIRUN).read_text(encoding="utf-8").split(" ", 1)
        if there == host:
            if state_of(int(mpirun)) not in ENDED:
                return
            shutil.rmtree(Path(tempfile.gettempdir()) / f"ompi.{mpirun}", ignore_errors=True)
    for notes in folder.glob(f"{_LEFT}.{host}.*"):
        for line in os.fsdecode(notes.read_bytes()).splitlines():
            inode, _, path = line.partition(" ")
            _remove(Path(path), int(inode))
        notes.unlink(missing_ok=True)
    # Its lock stays with what is noted of other hosts. A rank ends itself once its own file is gone.
    elsewhere = list(folder.glob(f"{_LEFT}.*"))
    if not elsewhere:
        shutil.rmtree(folder, ignore_errors=True)
    for file in set(folder.glob("*")) - {*elsewhere, folder / _LOCK}:
        file.unlink(missing_ok=True)


def _remove(place: Path, inode: int) -> None:
    # Another launch may have one of this name by now.
    with suppress(OSError):
        if place.stat().st_ino != inode:
            return
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink()
