"""The one place that knows MPI: sending, receiving and waiting.

Sends never block: two ranks that send large messages to each other would wait for ever. A waiting rank probes a few
times and then sleeps ever longer, since a blocked receive of most MPIs burns a core.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from grt_batch.clock import Clock, Stage
from grt_batch.errors import WrongMpi
from grt_batch.ranks.heartbeat import FOLDER_VARIABLE, beat
from grt_batch.ranks.messages import Message, Tag, pack, unpack

_PROBES = 50
_SHORTEST_SLEEP, _LONGEST_SLEEP = 20e-6, 1e-3
_LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
)


class Wire:
    """The messages of one rank, and its clock."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self.clock = Clock()
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self._sending: list[tuple[Any, bytes]] = []

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        """Send a packed message, or one that is only its tag."""
        raw = pack({}) if raw is None else raw
        with self.clock.stage(Stage.SEND, len(raw)):
            self._reap()
            self._sending.append((self._comm.Isend([raw, len(raw), _byte()], dest=to, tag=int(tag)), raw))

    def receive(self) -> Message:
        """The next message, from whoever; sleeps until there is one."""
        message = self.poll()
        if message is None:
            with self.clock.stage(Stage.WAITING):
                message = self._await()
        return message

    def _await(self) -> Message:
        probes, sleep = 0, _SHORTEST_SLEEP
        while True:
            message = self.poll()
            if message is not None:
                return message
            probes += 1
            if probes > _PROBES:
                time.sleep(sleep)
                sleep = min(2 * sleep, _LONGEST_SLEEP)

    def poll(self) -> Message | None:
        """The next message, None where none has come yet."""
        from mpi4py import MPI

        status = MPI.Status()
        matched = self._comm.Improbe(MPI.ANY_SOURCE, MPI.ANY_TAG, status)
        if matched is None:
            self._reap()
            return None
        size = status.Get_count(MPI.BYTE)
        with self.clock.stage(Stage.RECEIVE, size):
            raw = bytearray(size)
            matched.Recv([raw, size, MPI.BYTE])
            return unpack(status.Get_tag(), status.Get_source(), raw)

    def flush(self) -> None:
        """Wait until all that was sent has left."""
        while self._sending:
            self._reap()
            time.sleep(_SHORTEST_SLEEP)

    def finish(self) -> None:
        """Take part in the end of all ranks; no message after it. An mpirun may end the ranks as soon as one of them
        has left with an exit code: so all meet here, and only the first leaves with the code of the run."""
        from mpi4py import MPI

        self.flush()
        self._comm.Barrier()
        MPI.Finalize()

    def abort(self, code: int) -> None:
        """End all ranks at once, with this exit code."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._comm.Abort(code)

    def _reap(self) -> None:
        self._sending = [(request, raw) for request, raw in self._sending if not request.Test()]


def _byte() -> Any:
    from mpi4py import MPI

    return MPI.BYTE


def world() -> Wire | None:
    """The ranks that this process was started with; None for a process of its own, which then never loads MPI.

    Raises WrongMpi where the launcher and the library are of different MPIs.
    """
    started = next((int(os.environ[size]) for size, _ in _LAUNCHERS if os.environ.get(size, "").isdigit()), 1)
    if started == 1 and "mpi4py.run" not in sys.modules and "mpi4py.MPI" not in sys.modules:
        return None
    if folder := os.environ.get(FOLDER_VARIABLE):
        beat(Path(folder), _launched_as())
    from mpi4py import MPI

    size = MPI.COMM_WORLD.Get_size()
    if started > 1 and size == 1:
        if not is_first():
            sys.exit(WrongMpi.exit_code)
        raise WrongMpi(started=started, library=MPI.Get_library_version().split("\n")[0].split(",")[0])
    return Wire(MPI.COMM_WORLD) if size > 1 else None


def is_first() -> bool:
    """Whether the launcher calls this process its first rank; true for a process of its own."""
    return _launched_as() == 0


def _launched_as() -> int:
    """The rank that the launcher gave to this process; 0 for a process of its own."""
    return next((int(os.environ[rank]) for _, rank in _LAUNCHERS if os.environ.get(rank, "").isdigit()), 0)
