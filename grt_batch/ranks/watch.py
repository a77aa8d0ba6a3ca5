"""The watch of a launch: which of its ranks gives no more signs of life, and whether all wait for each other.

Until a rank says that it has started, its patience is START_SECONDS.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from grt_batch.ranks.heartbeat import LONGEST_LOOK, WAITING, Sign, read_sign, state_of

START_SECONDS = 600.0
"""The time in which a rank must have started: only what hangs takes longer, however busy the machine is."""


STOPPED = "T"


ENDED = ("", "Z")


@dataclass(frozen=True)
class SilentRank:
    """A rank that gave no sign of life for too long: a description, the rank, and its process if that is on this host
    and has not ended. mpirun, and all ranks together, have a description only."""

    what: str
    rank: int | None = None
    process: int | None = None


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
        self._signs = dict.fromkeys(range(ranks), Sign())
        self._silence = dict.fromkeys([*self._signs, None], 0.0)
        self._waiting = 0.0

    def forgive(self, rank: int) -> None:
        """Count the silence of a rank from 0 again."""
        self._silence[rank] = 0.0

    def lost(self) -> SilentRank | None:
        """Return the rank that is silent for too long, None if there is none. Call this often: the time during which a
        batch system suspends the whole job, the launcher included, does not count."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, LONGEST_LOOK), now
        self._silence[None] = self._silence[None] + passed if state_of(self.mpirun) == STOPPED else 0.0
        silent = [(order, rank) for rank in list(self._signs) if (order := self._look_at(rank, passed)) is not None]
        if self._silence[None] > self.seconds:
            # Ranks may wait for it, as silent as it is.
            return SilentRank(f"mpirun on {socket.gethostname()} is stopped for {self._silence[None]:.0f} seconds")
        if silent:
            return self._described(min(silent)[1])
        # Nobody works who could send what they wait for.
        all_wait = bool(self._signs) and all(sign.state == WAITING for sign in self._signs.values())
        self._waiting = self._waiting + passed if all_wait else 0.0
        if self._waiting > self.seconds:
            hosts = sorted({sign.host for sign in self._signs.values()})
            where = f"between {', '.join(hosts)}" if len(hosts) > 1 else f"on {hosts[0]}"
            return SilentRank(f"all wait for a message, which was lost {where}, for {self._waiting:.0f} seconds")
        return None

    def _look_at(self, rank: int, passed: float) -> tuple[bool, float] | None:
        """Count the silence of a rank. Return its place in the order of those that are silent for too long, or None:
        a rank that is stopped comes first, since others may wait for it, as silent as it is."""
        before, found = self._signs[rank], read_sign(self.folder, rank)
        if found is None and before.touched:
            del self._signs[rank]  # it has signed off
            return None
        sign = self._signs[rank] = found or Sign()
        self._silence[rank] = 0.0 if sign.touched != before.touched else self._silence[rank] + passed
        if self._silence[rank] <= self.seconds:
            return None
        state = _state(sign)
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
        process = None if _state(sign) in (None, *ENDED) else sign.process
        return SilentRank(f"rank {rank} on {sign.host} gave no sign of life for {seconds:.0f} seconds", rank, process)


def _state(sign: Sign) -> str | None:
    """Return the state of the process of a rank, None if it is not on this host."""
    return state_of(sign.process) if sign.host == socket.gethostname() else None
