"""The one place that knows MPI: sending, receiving and waiting.

Sends never block: two ranks that send large messages to each other would wait for ever. A waiting rank probes a few
times and then sleeps for growing times, since a blocking receive uses a whole core in most MPIs.

Most MPIs end all ranks when one is lost. Under Open MPI's `--with-ft ulfm` the others live on: every use of the
transport then raises RankLostError, until each rank has regrouped. Messages on their way are lost.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from grt_batch.core.errors import GrtError, NotShared, RankLost, Singletons, WrongMpi
from grt_batch.core.logs import logger
from grt_batch.core.timing import Clock, Stage
from grt_batch.ranks.heartbeat import Heartbeat, Turns
from grt_batch.ranks.launch_folder import clear_dead_launches, forget_files, note_files
from grt_batch.ranks.messages import Message, Tag, pack, unpack
from grt_batch.ranks.scheduling import COORDINATOR
from grt_batch.ranks.word import FOLDER_VARIABLE, note_code

_PROBES = 50


_SHORTEST_SLEEP, _LONGEST_SLEEP, _LONGEST_FAREWELL = 20e-6, 1e-3, 1.0


_LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
    ("MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)
"""The variables that say how many ranks there are, and which one this is. Those of Slurm are last: srun sets them, with
or without an MPI, also for what starts ranks by an mpirun of its own."""


_LOCAL_RANKS = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID")


_TOLERANT = "OMPI_MCA_mpi_ft_enable"
"""The variable by which ranks know Open MPI's `--with-ft ulfm`."""


_CODE, _OVER = 0xFF, 0x100
"""Flags that ranks agree on, by `and`: the complement of the exit code that ends them all; whether the run is over."""


class RankLostError(Exception):
    """A rank was lost, and the others must regroup."""


class Transport:
    """The connection of one rank to the others, and its clock."""

    def __init__(self, comm: Any, heartbeat: Heartbeat | None = None) -> None:
        self._comm = comm
        self._heartbeat = heartbeat
        self._turns = heartbeat.turns if heartbeat else Turns()
        self.clock = Clock()
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self._sending: list[tuple[Any, bytes]] = []

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        """Send a packed message, or only a tag."""
        raw = pack() if raw is None else raw
        with self.clock.stage(Stage.SEND, len(raw)), self._turns.waiting():
            self._reap()
            self._sending.append((self._comm.Isend([raw, len(raw), _byte()], dest=to, tag=int(tag)), raw))

    def receive(self) -> Message:
        """Wait for the next message from any rank."""
        message = self.poll()
        if message is None:
            with self.clock.stage(Stage.WAITING), self._turns.waiting():
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
        """Return the next message, None if none has arrived."""
        from mpi4py import MPI

        status = MPI.Status()
        matched = self._comm.Improbe(MPI.ANY_SOURCE, MPI.ANY_TAG, status)
        if matched is None:
            self._reap()
            return None
        size = status.Get_count(MPI.BYTE)
        with self.clock.stage(Stage.RECEIVE, size), self._turns.waiting():
            raw = bytearray(size)
            matched.Recv([raw, size, MPI.BYTE])
            return unpack(status.Get_tag(), status.Get_source(), raw)

    def flush(self) -> None:
        """Wait until all messages have left."""
        with self._turns.waiting():
            while self._sending:
                self._reap()
                time.sleep(_SHORTEST_SLEEP)

    def finish(self, code: int = 0) -> None:
        """Meet all ranks at the end of the run, before this one exits with `code`; send nothing afterwards. An mpirun
        may end all ranks as soon as one exits with a code, so all meet here, and only rank 0 has one."""
        from mpi4py import MPI

        self.flush()
        with self._turns.waiting():
            self._comm.Barrier()
            MPI.Finalize()
        if self._heartbeat:
            forget_files(self._heartbeat.folder)

    def regroup(self) -> Sequence[int]:
        """Go on without the lost ranks, and return their numbers. All other ranks must do so, too."""
        return ()

    def abort(self, code: int) -> None:
        """End all ranks at once with this exit code."""
        note_code(code)
        sys.stdout.flush()
        sys.stderr.flush()
        self._comm.Abort(code)

    def _reap(self) -> None:
        self._sending = [(request, raw) for request, raw in self._sending if not request.Test()]


class FaultTolerantTransport(Transport):
    """The connection of one rank, where others may be lost. Ranks keep the numbers that the launcher gave them."""

    def __init__(self, comm: Any, heartbeat: Heartbeat | None = None) -> None:
        super().__init__(comm, heartbeat)
        self._world = comm.Get_group()
        self._ranks = list(range(self.size))
        self._met = False
        # MPI may still read the messages that were on their way when a rank was lost.
        self._abandoned: list[tuple[Any, bytes]] = []

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        """Send a packed message, or only a tag. Raises RankLostError."""
        with self._losses():
            super().send(self._ranks.index(to), tag, raw)

    def poll(self) -> Message | None:
        """Return the next message, None if none has arrived. Raises RankLostError."""
        with self._losses():
            message = super().poll()
        return message and replace(message, source=self._ranks[message.source])

    def flush(self) -> None:
        """Wait until all messages have left. Raises RankLostError."""
        with self._losses():
            super().flush()

    def finish(self, code: int = 0) -> None:
        """Exit with `code` once all ranks do. Raises RankLostError if not all know of the end."""
        self.flush()
        self._met = True
        if not self._agree(_OVER | _CODE) & _OVER:
            raise RankLostError
        self._leave(code)

    def regroup(self) -> Sequence[int]:
        """Go on without the lost ranks, and return their numbers. All other ranks must do so, too."""
        from mpi4py import MPI

        if not self._met:
            self._agree(_CODE)
        self._met = False
        self._abandoned += self._sending
        self._sending = []
        before, self._comm = self._ranks, self._shrunk()
        self.size = self._comm.Get_size()
        self._ranks = list(MPI.Group.Translate_ranks(self._comm.Get_group(), None, self._world))
        lost = sorted(set(before).difference(self._ranks))
        self._sign_off(lost)
        if COORDINATOR in lost:
            if self.rank == self._ranks[0]:
                logger.error("rank %d (coordinator) was lost: the others cannot go on without it", COORDINATOR)
                note_code(RankLost.exit_code)
            self._leave(RankLost.exit_code)
        return lost

    def abort(self, code: int) -> None:
        """End each rank at its next message with this exit code. MPI's own Abort may leave them waiting."""
        note_code(code)
        self._comm.Revoke()
        self._agree(_CODE & ~code)

    @contextmanager
    def _losses(self) -> Iterator[None]:
        """Raise RankLostError when MPI reports a lost rank, and make MPI report it to all others."""
        from mpi4py import MPI

        try:
            yield
        except MPI.Exception as error:
            if not _is_loss(error):
                raise
            self._comm.Revoke()
            failed = self._comm.Get_failed()
            self._sign_off(failed.Translate_ranks(None, self._world))
            raise RankLostError from None

    def _agree(self, flags: int) -> int:
        """Wait for all living ranks, and return the flags that all of them have. Exit if these include an exit code."""
        from mpi4py import MPI

        common = array("i", [flags])
        try:
            with self._turns.waiting():
                request = self._comm.Iagree(common)
                while not request.Test():
                    time.sleep(_LONGEST_SLEEP)
        except MPI.Exception as error:
            # A rank was lost before it came; the others have agreed.
            if not _is_loss(error):
                raise
        if code := _CODE & ~common[0]:
            self._leave(code)
        return common[0]

    def _shrunk(self) -> Any:
        from mpi4py import MPI

        while True:
            try:
                with self._turns.waiting():
                    return self._comm.Shrink()
            except MPI.Exception as error:
                if not _is_loss(error):
                    raise

    def _leave(self, code: int) -> None:
        """End this process without MPI's Finalize, which may wait for a lost rank for ever."""
        from mpi4py import MPI

        # Others may learn only from this rank what was agreed on; once they have come here, they know.
        common, deadline = array("i", [0]), time.monotonic() + _LONGEST_FAREWELL
        with suppress(MPI.Exception):
            request = self._comm.Iagree(common)
            while not request.Test() and time.monotonic() < deadline:
                time.sleep(_LONGEST_SLEEP)
        self._sign_off([self.rank])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _sign_off(self, ranks: Sequence[int]) -> None:
        if self._heartbeat:
            for rank in ranks:
                self._heartbeat.sign_off(rank)


def _is_loss(error: Any) -> bool:
    """Return whether MPI raised this because a rank was lost."""
    from mpi4py import MPI

    return error.Get_error_class() in (MPI.ERR_PROC_FAILED, MPI.ERR_PROC_FAILED_PENDING, MPI.ERR_REVOKED)


def _byte() -> Any:
    from mpi4py import MPI

    return MPI.BYTE


def world() -> Transport | None:
    """Return the connection to the ranks that were started with this process. A process that was started by itself gets
    None, and never loads MPI.

    Ends all ranks if the folder of the launch is not visible here. Raises WrongMpi or Singletons if this process is an
    MPI of its own, though it has been started with others.
    """
    size, _ = _launcher()
    started = int(os.environ.get(size, "1"))
    if started == 1 and "mpi4py.run" not in sys.modules and "mpi4py.MPI" not in sys.modules:
        return None
    folder = Path(os.environ[FOLDER_VARIABLE]) if FOLDER_VARIABLE in os.environ else None
    heartbeat = None
    if folder:
        clear_dead_launches(folder.parent, but=folder)
        heartbeat = Heartbeat(folder, _launched_as())
        if not heartbeat.start():
            _end_without(folder)
    from mpi4py import MPI

    if folder and heartbeat:
        note_files(folder, os.getpid())
        heartbeat.note_started()
    comm = MPI.COMM_WORLD
    if comm.Get_size() > 1:
        return (FaultTolerantTransport if os.environ.get(_TOLERANT) == "1" else Transport)(comm, heartbeat)
    if started == 1:
        return None
    if size.startswith("SLURM_"):
        raise _said_once(Singletons(started=started))
    raise _said_once(WrongMpi(started=started, library=MPI.Get_library_version().split("\n")[0].split(",")[0]))


def _end_without(folder: Path) -> NoReturn:
    """Say that the folder of the launch is not visible on this host, and end all ranks."""
    from mpi4py import MPI

    # Some MPIs do not notice that a rank ends before it has met the others.
    if _is_first_here():
        error = NotShared(host=socket.gethostname(), folder=folder.parent.parent)
        sys.stderr.write(f"grt-batch: {error}\n")
        sys.stderr.flush()
        MPI.COMM_WORLD.Abort(error.exit_code)
    MPI.COMM_WORLD.Barrier()
    sys.exit(NotShared.exit_code)


def _said_once(error: GrtError) -> GrtError:
    """Return an error that all ranks of this host meet, for the first of them; the others leave, and mpirun must not
    end the first one for that."""
    if not _is_first_here():
        sys.exit(0)
    return error


def _is_first_here() -> bool:
    """Return whether this process is the first rank of its host."""
    return next((os.environ[rank] for rank in _LOCAL_RANKS if rank in os.environ), "0") == "0"


def _launched_as() -> int:
    """Return the rank that the launcher gave to this process; 0 for a process that was started by itself."""
    _, rank = _launcher()
    return int(os.environ.get(rank, "0"))


def _launcher() -> tuple[str, str]:
    """Return the variables of the launcher that has started this process, ("", "") if none has."""
    return next((names for names in _LAUNCHERS if all(os.environ.get(name, "").isdigit() for name in names)), ("", ""))
