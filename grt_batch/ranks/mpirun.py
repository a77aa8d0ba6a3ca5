"""The mpirun that starts the ranks: which one, its command line, and the meaning of its exit code and its banners."""

from __future__ import annotations

import enum
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grt_batch.core.errors import SIGNALLED, NoMpirun, RankLost

PROGRAM = ("-m", "grt_batch.cli", "run")


MPIRUN_VARIABLE = "GRT_BATCH_MPIRUN"


_PASSED_ON = ("GRT_BATCH_", "PG")
"""Prefixes of the variables that rank 0 needs on any host: those of this program and of PostgreSQL's clients."""


LAST_OWN_CODE = 7


class Flavour(enum.Enum):
    """A family of MPIs with the same mpirun. The value has the number of its libmpi.so."""

    OPEN_MPI = "Open MPI", 40
    MPICH = "MPICH", 12
    INTEL_MPI = "Intel MPI", 12

    @property
    def soname(self) -> str:
        """The file name of the library that its ranks load."""
        return f"libmpi.so.{self.value[1]}"


# Tried in this order: Intel's mpirun calls itself Hydra, too.
FLAVOURS = (
    (re.compile(r"Intel\(R\) MPI"), Flavour.INTEL_MPI),
    (re.compile(r"Open MPI|OpenRTE|open-mpi\.org"), Flavour.OPEN_MPI),
    (re.compile(r"HYDRA|MPICH|MVAPICH", re.IGNORECASE), Flavour.MPICH),
)


@dataclass(frozen=True)
class Mpirun:
    """An mpirun, its family, and its libmpi (None: the one that mpi4py finds)."""

    path: Path
    flavour: Flavour
    library: Path | None = None


def find_mpirun(environment: Mapping[str, str]) -> Mpirun:
    """Return the mpirun named in the environment, or that of the library named there, or beside Python, or on PATH.

    Raises NoMpirun if there is none, or only one of an unknown MPI.
    """
    path = _mpirun_path(environment)
    try:
        answer = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**environment, "PATH": _search_path(path, environment)},
            check=False,
        )
    except OSError as error:
        raise NoMpirun(what=f"{path} does not start ({error.strerror})") from None
    said = answer.stdout + answer.stderr
    flavour = next((flavour for pattern, flavour in FLAVOURS if pattern.search(said)), None)
    if flavour is None:
        raise NoMpirun(what=f"{path} is neither Open MPI's nor MPICH's nor Intel's")
    library = _library(path, flavour)
    hydra = path.with_name("mpiexec.hydra")
    if flavour is Flavour.INTEL_MPI and hydra.is_file():
        # Intel's mpirun is a shell script around this one. A signal kills it, and is not passed on.
        path = hydra
    return Mpirun(path, flavour, library)


def _mpirun_path(environment: Mapping[str, str]) -> Path:
    search = environment.get("PATH", os.defpath)
    if wanted := environment.get(MPIRUN_VARIABLE):
        if found := shutil.which(wanted, path=search):
            return Path(found)
        raise NoMpirun(what=f"{MPIRUN_VARIABLE}={wanted} is no program")
    prefixes = [Path(sys.prefix)]
    if library := environment.get("MPI4PY_LIBMPI"):
        prefixes.insert(0, Path(library).parent.parent)
    folders = [str(prefix / "bin") for prefix in prefixes]
    if found := shutil.which("mpirun", path=os.pathsep.join([*folders, search])):
        return Path(found)
    raise NoMpirun(what=f"none beside {sys.executable} and none on PATH")


def _search_path(mpirun: Path, environment: Mapping[str, str]) -> str:
    """Return PATH with the folder of `mpirun` at its end, since mpirun may need its neighbours."""
    return os.pathsep.join((environment.get("PATH", os.defpath), str(mpirun.parent)))


def _library(mpirun: Path, flavour: Flavour) -> Path | None:
    """Return the libmpi installed with `mpirun`: with another one every rank would take itself for the only one."""
    prefixes = dict.fromkeys((mpirun.parent.parent, mpirun.resolve().parent.parent))
    folders = [prefix / lib for prefix in prefixes for lib in ("lib", "lib64", "lib/release")]
    return next((folder / flavour.soname for folder in folders if (folder / flavour.soname).is_file()), None)


def is_tolerant(mpirun: Mpirun, environment: Mapping[str, str]) -> bool:
    """Return whether its ranks can go on when others are lost: Open MPI 5.0 or newer, built with ULFM."""
    if mpirun.flavour is not Flavour.OPEN_MPI:
        return False
    try:
        answer = subprocess.run(
            [mpirun.path.with_name("ompi_info"), "--parsable"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**environment, "PATH": _search_path(mpirun.path, environment)},
            check=False,
        )
    except OSError:
        return False
    return "options:ft_mpi_support:yes" in answer.stdout


def command(
    mpirun: Mpirun,
    ranks: int,
    arguments: Sequence[str],
    *,
    program: Sequence[str] = PROGRAM,
    environment: Mapping[str, str] = os.environ,
    root: bool = False,
    cores: int = 1,
    tolerant: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Return the command line for `ranks` ranks and its whole environment, where the user's settings win.

    `root`: the caller is the superuser. `cores`: the number of cores of this host. `tolerant`: the other ranks go on
    when a rank is lost.
    """
    # A rank uses one core: libraries that start a thread for each core would compete for them.
    added = dict.fromkeys(("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    if mpirun.library is not None:
        added["MPI4PY_LIBMPI"] = str(mpirun.library)
    options: list[str] = []
    crowded = ranks > cores
    match mpirun.flavour:
        case Flavour.OPEN_MPI:
            # Without "none" the stdin of the first rank is a pipe that never ends.
            options += ["--oversubscribe", "--bind-to", "none", "--stdin", "none"]
            if tolerant:
                options += ["--with-ft", "ulfm"]
            # This transport is for one-sided messages only, and makes the start several times longer.
            added["OMPI_MCA_btl"] = "^ofi"
            if root:
                added |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
            if crowded:
                added["OMPI_MCA_mpi_yield_when_idle"] = "1"
        case Flavour.MPICH:
            if crowded:
                # Without it a rank that waits in a barrier takes the core of one that computes.
                added["MPIR_CVAR_ENABLE_HEAVY_YIELD"] = "1"
        case Flavour.INTEL_MPI:
            added["I_MPI_PIN"] = "off"
            if crowded:
                added["I_MPI_THREAD_YIELD"] = "2"
    # Open MPI does not start without HOME, which a batch job or a service need not have.
    complete = {"HOME": _home()} | added | dict(environment) | {"PATH": _search_path(mpirun.path, environment)}
    if mpirun.flavour is Flavour.OPEN_MPI:
        # Hydra passes the whole environment to other hosts, Open MPI only its own variables and those named.
        passed_on = {name for name in complete if name in added or name.startswith(_PASSED_ON)}
        for name in sorted(name for name in passed_on if not name.startswith("OMPI_")):
            options += ["-x", name]
    python = [sys.executable, "-m", "mpi4py", *program]
    return [str(mpirun.path), "-n", str(ranks), *options, *python, *arguments], complete


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:  # a user whom the host does not know, as in some containers
        return "/"


def exit_code(returncode: int, banners: Banners, interrupted: int | None) -> tuple[int, str | None]:
    """Return the run's exit code, and how a rank was lost unless it has been reported.

    `returncode` is mpirun's, negative when a signal ended it; `interrupted` is the signal that the launcher got.
    """
    if interrupted is not None and returncode != 0:
        return 128 + interrupted, None
    # The banner comes first: MPICH's mpirun returns the bare number of the signal, like a code of the run.
    if banners.signalled is not None:
        return RankLost.exit_code, banners.signalled
    if returncode == 0:
        return 0, None
    if returncode < 0:
        return RankLost.exit_code, f"mpirun itself was ended by {_signal_name(-returncode)}"
    if banners.improper:
        return RankLost.exit_code, "a rank left before the end of the run"
    if 0 < returncode <= LAST_OWN_CODE:
        if banners.foreign and not banners.ended:
            return (
                RankLost.exit_code,
                f"mpirun could not start the ranks (code {returncode}, its message is above)",
            )
        return returncode, None
    if returncode == RankLost.exit_code:
        return returncode, None  # the rank that called Abort has said why
    if returncode - SIGNALLED in signal.valid_signals():
        return RankLost.exit_code, f"a rank was ended by {_signal_name(returncode - SIGNALLED)}"
    return RankLost.exit_code, f"mpirun ended with code {returncode}"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.strsignal(number)})"
    except ValueError:
        return f"signal {number}"


@dataclass
class Banners:
    """The messages of mpirun about the end of its ranks, which are taken out of the output and interpreted.

    Its other messages stay in the output: nothing else explains why ranks cannot start.
    """

    ended: bool = False
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
        self.ended = True
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
