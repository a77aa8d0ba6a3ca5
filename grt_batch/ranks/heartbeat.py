"""Signs of life: each rank touches a file of its own in the folder of the launch, and looks at that of rank 0.

Files instead of messages: a rank that computes for long sends nothing, and its threads may not call every MPI.

A rank that starts is not stuck. Python's imports and MPI's Init, which stops the rank's threads until all ranks have
come, take as long as the machine is busy.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from grt_batch.core.errors import RankLost

INTERVAL_SECONDS = 0.5


LONGEST_LOOK = 2.0
"""The most that counts between two looks, in seconds: a batch system may suspend the whole job."""


_PATIENCE = "patience"


_LISTENS = 10
"""A rank listens to rank 0 at every so many beats."""


# Of the same length: a state is written over another one.
STARTING, WORKING, WAITING = "starting", "working ", "waiting "


class Turns:
    """How often a rank began and ended to wait for others, and whether it waits."""

    def __init__(self) -> None:
        self._depth = 0
        self._number = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block as one in which the rank waits."""
        self._depth += 1
        self._number += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._number += 1

    def now(self) -> tuple[bool, int]:
        """Return whether the rank waits, and a number that differs from the one before unless it waits since then."""
        return self._depth > 0, self._number


@dataclass(frozen=True)
class Sign:
    """What the file of a rank says: when it was touched, in ns, the rank's process and host, and its state. Without a
    file it is all empty."""

    touched: int = 0
    process: int = 0
    host: str = ""
    state: str = STARTING

    @property
    def started(self) -> bool:
        """Return whether the rank touches its file in time, from now on."""
        return self.state != STARTING


def read_sign(folder: Path, rank: int) -> Sign | None:
    """Return what the file of a rank says, None if there is no file."""
    try:
        # A network file system shows the changes of other hosts when the file is opened.
        with (folder / str(rank)).open(encoding="utf-8") as file:
            process, host, state = file.read().split(" ", 2)
            return Sign(os.fstat(file.fileno()).st_mtime_ns, int(process), host, state)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return Sign()


def note_patience(folder: Path, seconds: float) -> None:
    """Tell the ranks of a launch how long rank 0 may be silent before they end themselves."""
    (folder / _PATIENCE).write_text(str(seconds), encoding="utf-8")


class Heartbeat:
    """The signs of life of this rank, from `start` on as long as the process runs. A rank ends itself

    - when its file is gone: its launch is over, or the others have given it up;
    - when rank 0 has been silent for too long. No mpirun may be left to end it.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        """Have the signs of rank `rank` in the folder of its launch."""
        self.turns = Turns()
        self.folder = folder
        self._rank = rank
        self._file = folder / str(rank)
        self._state = STARTING
        self._is_off = False
        self._writing = threading.Lock()
        self._heard = Sign()
        self._silence = 0.0

    def start(self) -> threading.Thread | None:
        """Begin, and return the thread; None where the folder is not visible."""
        try:
            self._file.write_text(f"{os.getpid()} {socket.gethostname()} {STARTING}", encoding="utf-8")
        except OSError:
            return None
        thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)
        thread.start()
        return thread

    def note_started(self) -> None:
        """Let the launcher know that this rank has started: from now on it touches its file in time."""
        with suppress(OSError):
            self._change(WORKING)

    def sign_off(self, rank: int) -> None:
        """Expect no more signs of life of a rank: it is this one, which ends, or the others know that it was lost."""
        self._is_off = self._is_off or rank == self._rank
        with suppress(OSError):
            (self.folder / str(rank)).unlink()

    def _go_on(self) -> None:
        patience, before, looked, beats = self._patience(), self.turns.now(), time.monotonic(), 0
        while not self._is_off:
            now = self.turns.now()
            try:
                if self._state != STARTING:
                    self._change(WAITING if now[0] and now == before else WORKING)
                os.utime(self._file)
            except FileNotFoundError:
                break
            except OSError:
                pass  # an outage of the file server, which ends
            before = now
            beats += 1
            if patience and beats % _LISTENS == 0:
                passed, looked = time.monotonic() - looked, time.monotonic()
                if self._listen(min(passed, _LISTENS * LONGEST_LOOK)) > patience:
                    break
            time.sleep(INTERVAL_SECONDS)
        if not self._is_off:
            os._exit(RankLost.exit_code)

    def _patience(self) -> float:
        try:
            return float((self.folder / _PATIENCE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0.0

    def _listen(self, passed: float) -> float:
        """Return for how many seconds rank 0 is silent, `passed` seconds after the last time."""
        found = read_sign(self.folder, 0)
        # It has not begun, it starts, it has signed off, or its file cannot be read now.
        is_silent = found is not None and found.started and found.touched == self._heard.touched
        self._heard = found or Sign()
        self._silence = self._silence + passed if is_silent else 0.0
        return self._silence

    def _change(self, state: str) -> None:
        """Write the state over the one before, where it differs. Raises OSError."""
        with self._writing:
            if state != self._state:
                with self._file.open("r+", encoding="utf-8") as file:
                    file.seek(0, os.SEEK_END)
                    file.seek(file.tell() - len(state))
                    file.write(state)
                self._state = state


def state_of(process: int) -> str:
    """Return the state of a process of this host, as in proc(5): STOPPED, say, or one of ENDED."""
    try:
        # The name before it, in parentheses, may hold anything.
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""
