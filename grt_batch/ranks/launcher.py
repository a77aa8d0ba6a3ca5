"""Start the program again under mpirun, pass on its output and the signals to it, and leave no rank behind."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from grt_batch.core.errors import LostAfterPublishing, RankLost, Stopped
from grt_batch.ranks.banners import Banners, loss
from grt_batch.ranks.heartbeat import INTERVAL_SECONDS, note_patience
from grt_batch.ranks.launch_folder import launch_folder, note_files, note_mpirun
from grt_batch.ranks.mpirun import PROGRAM, command, find_mpirun, is_tolerant
from grt_batch.ranks.watch import Watch
from grt_batch.ranks.word import FOLDER_VARIABLE, Word, read_word

# The name of the launch, by which its ranks are told from those of other launches.
LAUNCH_VARIABLE = "GRT_BATCH_LAUNCH"


INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


GRACE_SECONDS = 5.0


PR_SET_PDEATHSIG = 1  # linux/prctl.h


def launch(
    ranks: int,
    arguments: Sequence[str],
    work: Path,
    heartbeat_seconds: int = 0,
    program: Sequence[str] = PROGRAM,
    *,
    hosts: str = "",
    fault_tolerant: bool = False,
) -> int:
    """Run `program` with `arguments` on `ranks` ranks, and return the exit code of the run.

    All ranks see the folder `work`. They start on `hosts`, as mpirun takes them. A rank without a sign of life for
    `heartbeat_seconds` is lost (0: no limit). With `fault_tolerant` the others go on without a lost rank, if the MPI
    can do that.

    The code is what the ranks tell; 6 where they tell none, with one line on stderr that says how a rank was lost.
    Raises Stopped where a signal ended the run, NoMpirun and CannotWrite.
    """
    mpirun = find_mpirun(os.environ)
    tolerant = fault_tolerant and heartbeat_seconds > 0 and is_tolerant(mpirun, os.environ)
    if fault_tolerant and not tolerant:
        what = f"{mpirun.path} is no Open MPI 5 with ULFM" if heartbeat_seconds else "heartbeat_seconds is 0"
        sys.stderr.write(f"grt-batch: fault_tolerant has no effect, a lost rank ends the run: {what}\n")
    name = uuid.uuid4().hex
    with launch_folder(work, name) as folder:
        note_patience(folder, heartbeat_seconds)
        line, environment = command(
            mpirun,
            ranks,
            arguments,
            program=program,
            hosts=hosts,
            environment={**os.environ, LAUNCH_VARIABLE: name, FOLDER_VARIABLE: str(folder)},
            root=os.geteuid() == 0,
            cores=len(os.sched_getaffinity(0)),
            tolerant=tolerant,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        banners = Banners()
        with _wakened_by_signals() as wakened:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                process_group=0,  # Ctrl-C reaches the launcher only, which ends the ranks in order
                preexec_fn=_end_with_parent(os.getpid()),  # noqa: PLW1509 (two system calls, no lock)
            )
            note_mpirun(folder, process.pid)
            watch = None
            if heartbeat_seconds:
                watch = Watch(folder, ranks, process.pid, heartbeat_seconds, tolerant=tolerant)
            returncode, interrupted, lost = _attend(process, folder, banners, wakened, watch)
        word = read_word(folder)
    if lost and word.code is not None:
        sys.stderr.write(f"grt-batch: {lost}; the run was over before\n")
    return _code(word, interrupted, lost or loss(returncode, banners))


def _code(word: Word, interrupted: int | None, how: str) -> int:
    """Return the exit code of a run by the word of its ranks. `how` says how a rank was lost, if one was.

    Raises Stopped where the launcher was `interrupted` before the run came to an end.
    """
    # Ranks fail when others are stopped before them.
    if interrupted is not None and word.code in (None, RankLost.exit_code):
        raise Stopped(interrupted, published=word.committed)
    if word.committed and word.code in (None, RankLost.exit_code):
        sys.stderr.write(f"{LostAfterPublishing(what=how)}\n")
    elif word.code is None:
        sys.stderr.write(f"{RankLost(what=how)}\n")
    return RankLost.exit_code if word.code is None else word.code


class Relay:
    """Copies one output stream of mpirun without the banners."""

    def __init__(self, source: IO[bytes], target: IO[bytes], banners: Banners) -> None:
        """Copy from `source` to `target`; the banners of mpirun go to `banners`."""
        self.source = source
        self.target = target
        self.banners = banners
        self.rest = b""

    def pass_on(self) -> bool:
        """Copy what can be read now; return False if there is nothing, now or ever."""
        try:
            data = os.read(self.source.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        # Open MPI ends some banners with a NUL.
        out, self.rest = self.banners.split(self.rest + data.replace(b"\0", b""))
        self._write(out)
        return bool(data)

    def finish(self) -> None:
        """Copy the rest."""
        while self.pass_on():
            pass
        self._write(self.banners.close(self.rest))

    def _write(self, data: bytes) -> None:
        # The reader may be gone. The run goes on, and its pipe must not fill up.
        with suppress(OSError):
            self.target.write(data)
            self.target.flush()


@contextmanager
def _wakened_by_signals() -> Iterator[int]:
    """Write the numbers of the signals that end a run, and of SIGCHLD, to a pipe, and ignore them otherwise.

    A pipe instead of a thread: the kernel would send the parent-death signal once for each thread of the launcher, and
    at the second SIGTERM Open MPI's mpirun leaves its ranks behind.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before_fd = signal.set_wakeup_fd(writing)
    before = {number: signal.signal(number, lambda *_: None) for number in (*INTERRUPTS, signal.SIGCHLD)}
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.close(reading)
        os.close(writing)


def _attend(
    process: subprocess.Popen[bytes], folder: Path, banners: Banners, wakened: int, watch: Watch | None
) -> tuple[int, int | None, str | None]:
    """Relay the output of mpirun and the signals to it, until it ends. Return its return code, the first signal, and a
    description of what the `watch` found to be lost.

    Every signal becomes SIGTERM for mpirun: MPICH's would pass SIGINT on, for a traceback from each rank, and does not
    know SIGHUP. A second signal, or the end of GRACE_SECONDS, kills.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    first: int | None = None
    lost: str | None = None
    deadline: float | None = None
    killed: set[int] = set()
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        streams = ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        relays = [Relay(source, target.buffer, banners) for source, target in streams]
        for relay in relays:
            os.set_blocking(relay.source.fileno(), False)
            selector.register(relay.source, selectors.EVENT_READ, relay)
        selector.register(wakened, selectors.EVENT_READ)
        while process.poll() is None:
            if deadline is not None and time.monotonic() >= deadline:
                deadline = None
                if first is None and lost is None:
                    lost = "mpirun does not end"
                _kill(process, folder)
                continue
            if watch and deadline is None and lost is None and read_word(folder).code is not None:
                # The run is over. MPI may wait for ever for a rank that it cannot reach.
                deadline = time.monotonic() + watch.seconds
            silent = watch.lost() if watch and first is None and lost is None else None
            if watch and silent and watch.tolerant and silent.rank and silent.process and silent.rank not in killed:
                # The others go on without it once it is dead.
                sys.stderr.write(f"grt-batch: {silent.what}, and is killed\n")
                _kill_ranks(folder, silent.process)
                killed.add(silent.rank)
                watch.forgive(silent.rank)
            elif silent:
                # A stopped rank ends by SIGKILL only. Then mpirun ends the ranks on other hosts, and itself.
                lost = silent.what
                _kill_ranks(folder)
                deadline = time.monotonic() + GRACE_SECONDS
            wait = INTERVAL_SECONDS if watch else None
            for number in _relay(selector, wait if deadline is None else max(0.0, deadline - time.monotonic())):
                if first is None:
                    first = number
                    deadline = time.monotonic() + GRACE_SECONDS
                    _signal_group(process, signal.SIGTERM)
                else:
                    _kill(process, folder)
        for relay in relays:
            relay.finish()
    if process.returncode != 0:
        _kill(process, folder)
    return process.returncode, first, lost


def _relay(selector: selectors.BaseSelector, seconds: float | None) -> list[int]:
    """Relay the output that arrives within `seconds`, and return the signals that arrived meanwhile."""
    signals: list[int] = []
    for key, _ in selector.select(seconds):
        if not isinstance(key.data, Relay):
            signals += [number for number in os.read(key.fd, 64) if number != signal.SIGCHLD]
        elif not key.data.pass_on():
            selector.unregister(key.fileobj)
    return signals


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _kill(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill mpirun and the ranks on this host: Open MPI's ranks would outlive a killed mpirun."""
    _signal_group(process, signal.SIGKILL)
    _kill_ranks(folder)


def _kill_ranks(folder: Path, process: int | None = None) -> None:
    """Kill the ranks of the launch with this folder on this host, or only the rank with this process."""
    mark = f"{LAUNCH_VARIABLE}={folder.name}".encode()
    for entry in Path("/proc").glob("[0-9]*" if process is None else str(process)):
        # Only Python itself: a server that a rank has started ends by itself, in order.
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[1:3] == [b"-m", b"mpi4py"] and mark in (entry / "environ").read_bytes().split(b"\0"):
                note_files(folder, int(entry.name))
                os.kill(int(entry.name), signal.SIGKILL)


def _end_with_parent(parent: int) -> Callable[[], None]:
    """Return a function for the child: it gets SIGTERM when `parent` dies, for whatever reason."""
    prctl = ctypes.CDLL(None).prctl  # loaded before the fork, after which little is safe

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(RankLost.exit_code)

    return in_child
