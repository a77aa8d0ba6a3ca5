"""Signs of life: each rank touches a file of its own, and the launcher looks whether all still do.

Files instead of messages: a rank that computes for long sends nothing, and its threads may not call every MPI.

A rank that starts is not stuck. Python's imports and MPI's Init, which stops the rank's threads until all ranks have
come, take as long as the machine is busy. Until a rank says that it has started, its patience is START_SECONDS.
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
"""The folder for the signs of life of a launch; ranks without it leave none."""


INTERVAL_SECONDS = 0.5


START_SECONDS = 600.0
"""The time in which a rank must have started: only what hangs takes longer, however busy the machine is."""


STOPPED = "T"


ENDED = ("", "Z")


_LONGEST_LOOK = 2.0


_STARTED = "started"


_PUBLISHED = "published"


def beat(folder: Path, rank: int) -> threading.Thread | None:
    """Touch the file of this rank from now on, as long as the process runs and the file exists. Return None, and touch
    nothing, where the folder is not visible."""
    file = folder / str(rank)
    try:
        file.write_text(f"{os.getpid()} {socket.gethostname()}", encoding="utf-8")
    except OSError:
        return None
    thread = threading.Thread(target=_touch, args=(file,), name="heartbeat", daemon=True)
    thread.start()
    return thread


def note_started(folder: Path, rank: int) -> None:
    """Let the launcher know that this rank has started: from now on it touches its file in time."""
    with suppress(OSError), (folder / str(rank)).open("r+", encoding="utf-8") as file:
        file.seek(0, os.SEEK_END)
        file.write(f" {_STARTED}")


def _touch(file: Path) -> None:
    with suppress(FileNotFoundError):
        while True:
            with suppress(PermissionError, TimeoutError, InterruptedError):
                os.utime(file)
            time.sleep(INTERVAL_SECONDS)


def sign_off(folder: Path, rank: int) -> None:
    """Expect no more signs of life of this rank: it ends, or the others know that it was lost."""
    with suppress(OSError):
        (folder / str(rank)).unlink()


def note_published() -> None:
    """Let the launcher know that the run has published."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        with suppress(OSError):
            (Path(folder) / _PUBLISHED).touch()


def has_published(folder: Path) -> bool:
    """Return whether the run of this launch has published."""
    return (folder / _PUBLISHED).exists()


@dataclass(frozen=True)
class SilentRank:
    """A rank that gave no sign of life for too long: a description, the rank, and its process if that is on this host
    and has not ended. mpirun has a description only."""

    what: str
    rank: int | None = None
    process: int | None = None


@dataclass(frozen=True)
class _Sign:
    """What the file of a rank says: when it was touched, in ns, the rank's process and host, and whether it has
    started. Without a file it is all empty."""

    touched: int = 0
    process: int = 0
    host: str = ""
    started: bool = False

    def state(self) -> str | None:
        """Return the state of the process, None if it is not on this host."""
        return state_of(self.process) if self.host == socket.gethostname() else None


class Watch:
    """Find the rank that gives no more signs of life, by the clock of this process: those of hosts differ."""

    def __init__(self, folder: Path, ranks: int, mpirun: int, seconds: float, *, tolerant: bool = False) -> None:
        """Watch `ranks` ranks whose files are, or will be, in `folder`, and the process of their mpirun. Each may be
        silent for `seconds` once it has started. A `tolerant` mpirun does not end the others when a rank ends: that
        rank, or another one for it, must have signed off."""
        self.folder = folder
        self.tolerant = tolerant
        self.mpirun = mpirun
        self.seconds = seconds
        self._looked = time.monotonic()
        self._signs = dict.fromkeys(range(ranks), _Sign())
        self._silence = dict.fromkeys([*self._signs, None], 0.0)

    def forgive(self, rank: int) -> None:
        """Count the silence of a rank from 0 again."""
        self._silence[rank] = 0.0

    def lost(self) -> SilentRank | None:
        """Return the rank that is silent for too long, None if there is none. Call this often: the time during which a
        batch system suspends the whole job, the launcher included, does not count."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LONGEST_LOOK), now
        self._silence[None] = self._silence[None] + passed if state_of(self.mpirun) == STOPPED else 0.0
        silent = [(order, rank) for rank in list(self._signs) if (order := self._look_at(rank, passed)) is not None]
        if self._silence[None] > self.seconds:
            # Ranks may wait for it, as silent as it is.
            return SilentRank(f"mpirun on {socket.gethostname()} is stopped for {self._silence[None]:.0f} seconds")
        return self._described(min(silent)[1]) if silent else None

    def _look_at(self, rank: int, passed: float) -> tuple[bool, float] | None:
        """Count the silence of a rank. Return its place in the order of those that are silent for too long, or None:
        a rank that is stopped comes first, since others may wait for it, as silent as it is."""
        before, found = self._signs[rank], self._read(rank)
        if found is None and before.touched:
            del self._signs[rank]  # it has signed off
            return None
        sign = self._signs[rank] = found or _Sign()
        self._silence[rank] = 0.0 if sign.touched != before.touched else self._silence[rank] + passed
        if self._silence[rank] <= self.seconds:
            return None
        state = sign.state()
        if state in ENDED and not self.tolerant:
            return None  # mpirun sees that
        starts = not sign.started and state != STOPPED and state not in ENDED
        if starts and self._silence[rank] <= START_SECONDS:
            return None
        return state != STOPPED, -self._silence[rank]

    def _described(self, rank: int) -> SilentRank:
        sign, seconds = self._signs[rank], self._silence[rank]
        if not sign.host:
            return SilentRank(f"rank {rank} has not started within {seconds:.0f} seconds", rank)
        process = None if sign.state() in (None, *ENDED) else sign.process
        return SilentRank(f"rank {rank} on {sign.host} gave no sign of life for {seconds:.0f} seconds", rank, process)

    def _read(self, rank: int) -> _Sign | None:
        """Return what the file of a rank says, None if there is no file."""
        try:
            # A network file system shows the changes of other hosts when the file is opened.
            with (self.folder / str(rank)).open(encoding="utf-8") as file:
                process, host, *started = file.read().split()
                return _Sign(os.fstat(file.fileno()).st_mtime_ns, int(process), host, bool(started))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return _Sign()


def state_of(process: int) -> str:
    """Return the state of a process of this host, as in proc(5): STOPPED, say, or one of ENDED."""
    try:
        # The name before it, in parentheses, may hold anything.
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
