"""The messages of mpirun about the end of its ranks, which say how a rank was lost."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from grt_batch.core.errors import SIGNALLED


def loss(returncode: int, banners: Banners) -> str:
    """Return how a rank was lost, where no rank has told the code of the run. `returncode` is mpirun's, negative when a
    signal ended it."""
    # The banner comes first: MPICH's mpirun returns the bare number of the signal.
    if banners.signalled is not None:
        return banners.signalled
    if returncode < 0:
        return f"mpirun itself was ended by {_signal_name(-returncode)}"
    if banners.improper:
        return "a rank left before the end of the run"
    if returncode == 0:
        return "mpirun ended without an error before the first rank did: another host was lost, or the first rank"
    if returncode - SIGNALLED in signal.valid_signals():
        return f"a rank was ended by {_signal_name(returncode - SIGNALLED)}"
    return f"mpirun ended with code {returncode}{', its message is above' if banners.foreign else ''}"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.strsignal(number)})"
    except ValueError:
        return f"signal {number}"


@dataclass
class Banners:
    """The messages of mpirun about the end of its ranks, which are taken out of the output and interpreted.

    Its other messages, which may be warnings, stay in the output: nothing else explains why ranks cannot start.
    """

    improper: bool = False
    foreign: bool = False
    signalled: str | None = None

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the output in `data`, and the rest, which may be the beginning of a banner."""
        out = bytearray()
        start = 0
        for match in BANNER.finditer(data):
            out += data[start : match.start()]
            if not self._take(match[0].decode(errors="replace")):
                out += match[0]
            start = match.end()
        opened = OPENED.search(data, start)
        cut = opened.start() if opened else len(data)
        return bytes(out + data[start:cut]), data[cut:]

    def close(self, rest: bytes) -> bytes:
        """Return the output in the rest once mpirun has ended. Open MPI may end within a banner: one of its
        threads writes it line by line while another one ends the process."""
        if rest.startswith(EVENT_LOOP):
            return b""
        rule, _, text = rest.partition(b"\n")
        if rule != OPEN_MPI_RULE:
            return rest
        return rest if text and not self._take(text.decode(errors="replace")) else b""

    def _take(self, banner: str) -> bool:
        """Note what `banner` says; return True if it is of no use to the reader or reports how ranks ended."""
        if banner.startswith(EVENT_LOOP.decode()):
            return True
        words = " ".join(banner.split())
        if not ENDING.search(words):
            self.foreign = True
            return False
        self.improper = self.improper or "exiting improperly" in words
        for pattern in BY_SIGNAL:
            if match := pattern.search(words):
                who = f"rank {match['rank']}" if "rank" in pattern.groupindex else "a rank"
                reason = f"{who} on {match['host']} was ended by signal {match['signal']} ({match['name']})"
                # Hydra's mpirun kills the other ranks, and reports these kills as well.
                if self.signalled is None or match["signal"] != str(int(signal.SIGKILL)):
                    self.signalled = reason
        return True


OPEN_MPI_RULE = b"-" * 74


# libevent in Open MPI's mpirun: a rank closed its end of a pipe while the loop was about to look at it. It says
# nothing of the run.
EVENT_LOOP = b"[warn] Epoll "


# Rules of 74 dashes are Open MPI's, the others are Hydra's: MPICH, then Intel MPI.
BANNER = re.compile(
    rb"(?<!-)-{74}\n.*?(?<!-)-{74}\n"
    rb"|(?:^\n)?(?<!=)={83}\n(?:=   [^\n]*\n)+={83}\nYOUR APPLICATION[^\n]*\n[^\n]*\n[^\n]*FAQ[^\n]*\n"
    rb"|(?:^\n)?(?<!=)={83}\n(?:=   [^\n]*\n)+=   KILLED BY SIGNAL[^\n]*\n={83}\n"
    rb"|^Abort\(\d+\) on node [^\n]*\n"
    rb"|^\[warn\] Epoll [^\n]*\n",
    re.DOTALL | re.MULTILINE,
)


# A banner whose end has not been read yet.
OPENED = re.compile(
    rb"(?:^\n)?(?<![-=])(?:-{74}\n|={83}\n|-+\Z|=+\Z)|^\n\Z|^Abort\(|^A[^\n]{0,5}\Z"
    rb"|^\[warn\] Epoll |^\[[^\n]{0,12}\Z",
    re.MULTILINE,
)


ENDING = re.compile(
    r"MPI_Abort|MPI_ABORT was invoked|exited with non-zero status|a non-zero exit code"
    r"|noticed that process rank|has exited due to process rank|BAD TERMINATION OF ONE OF YOUR APPLICATION"
)


BY_SIGNAL = (
    re.compile(
        r"process rank (?P<rank>\d+) with PID \d+ on node (?P<host>\S+)"
        r" exited on signal (?P<signal>\d+) \((?P<name>[^)]*)\)"
    ),
    re.compile(r"RUNNING AT (?P<host>\S+).*EXIT STRING: (?P<name>.*?) \(signal (?P<signal>\d+)\)"),
    re.compile(r"RUNNING AT (?P<host>\S+).*KILLED BY SIGNAL: (?P<signal>\d+) \((?P<name>[^)]*)\)"),
)
