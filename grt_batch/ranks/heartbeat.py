"""Signs of life: each rank touches a file of its own, and whoever started the ranks looks whether all still do.

Files and no messages: a rank that computes for long sends nothing, and a thread of its own may not call every MPI.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = "GRT_BATCH_HEARTBEAT"
"""Where the ranks of a launch leave their signs of life; without it they leave none."""


INTERVAL_SECONDS = 0.5


STOPPED = "T"


ENDED = ("", "Z")


_LONGEST_LOOK = 2.0


_PUBLISHED = "published"


def beat(folder: Path, rank: int) -> threading.Thread | None:
    """Touch the file of this rank from now on, as long as the process runs and the file is there. None, and no beat,
    where the folder is not to be seen."""
    file = folder / str(rank)
    try:
        file.write_text(f"{os.getpid()} {socket.gethostname()}")
    except OSError:
        return None
    thread = threading.Thread(target=_touch, args=(file,), name="heartbeat", daemon=True)
    thread.start()
    return thread


def _touch(file: Path) -> None:
    with suppress(FileNotFoundError):
        while True:
            with suppress(PermissionError, TimeoutError, InterruptedError):
                os.utime(file)
            time.sleep(INTERVAL_SECONDS)


def sign_off(folder: Path, rank: int) -> None:
    """Expect no more signs of life of this rank: it is at its end, or the others know that it was lost."""
    with suppress(OSError):
        (folder / str(rank)).unlink()


def note_published() -> None:
    """Let whoever started the ranks know that the run has published."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        with suppress(OSError):
            (Path(folder) / _PUBLISHED).touch()


def has_published(folder: Path) -> bool:
    """Whether the run of this launch has published."""
    return (folder / _PUBLISHED).exists()


@dataclass(frozen=True)
class Silent:
    """A rank that gave no sign of life for too long, in words; its process where that is one of this host, and has not
    ended. Of mpirun there are only words."""

    what: str
    rank: int | None = None
    process: int | None = None


class Watch:
    """Finds the rank that gives no sign of life any more. It goes by the clock of who looks: those of hosts differ."""

    def __init__(self, folder: Path, ranks: int, mpirun: int, seconds: float, *, tolerant: bool = False) -> None:
        """Over `ranks` ranks whose files are, or will be, in `folder`, and the process of their mpirun; each may be
        silent for so many `seconds`. A `tolerant` mpirun does not end the others where one has ended: it must have
        signed off, or one of them for it."""
        self.folder = folder
        self.tolerant = tolerant
        self.mpirun = mpirun
        self.seconds = seconds
        self._looked = time.monotonic()
        self._touched = dict.fromkeys(range(ranks), 0)
        self._silence = dict.fromkeys([*self._touched, None], 0.0)

    def forgive(self, rank: int) -> None:
        """Begin to count the silence of a rank anew."""
        self._silence[rank] = 0.0

    def lost(self) -> Silent | None:
        """Which rank is silent for too long, and where it runs; None while all are well. To be asked often: where a
        batch system suspends all of a job, who looks does not, and that time does not count."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK), now
        silent = []
        for rank, before in list(self._touched.items()):
            found = self._look(rank)
            if before and found is None:
                del self._touched[rank]  # it has signed off
                continue
            self._touched[rank], process, host = found or (0, 0, "")
            self._silence[rank] = 0.0 if self._touched[rank] != before else self._silence[rank] + passed
            if self._silence[rank] > self.seconds:
                state = state_of(process) if host == socket.gethostname() else None
                if self.tolerant or state not in ENDED:
                    here = None if state is None or state in ENDED else process
                    silent.append((state != STOPPED, -self._silence[rank], rank, host, here))
        if silent:
            # Where one rank has stopped others may wait for it, as silent as it is.
            _, _, rank, host, here = min(silent, key=lambda found: found[:3])
            if not host:
                return Silent(f"rank {rank} has not started within {self._silence[rank]:.0f} seconds", rank)
            what = f"rank {rank} on {host} gave no sign of life for {self._silence[rank]:.0f} seconds"
            return Silent(what, rank, here)
        self._silence[None] = self._silence[None] + passed if state_of(self.mpirun) == STOPPED else 0.0
        if self._silence[None] > self.seconds:
            return Silent(f"mpirun on {socket.gethostname()} is stopped for {self._silence[None]:.0f} seconds")
        return None

    def _look(self, rank: int) -> tuple[int, int, str] | None:
        """When the rank touched its file, in ns, its process and its host; None where it has no file."""
        try:
            # A network file system shows what others did to a file to those who open it.
            with (self.folder / str(rank)).open() as file:
                process, host = file.read().split(maxsplit=1)
                return os.fstat(file.fileno()).st_mtime_ns, int(process), host
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return 0, 0, ""


def state_of(process: int) -> str:
    """The state of a process of this host, as in proc(5): STOPPED, say, or one of ENDED."""
    try:
        # The name before it, in parentheses, may hold anything.
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
