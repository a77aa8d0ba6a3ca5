"""The mpirun that starts the ranks: which one, and its command line."""

from __future__ import annotations

import enum
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grt_batch.core.errors import NoMpirun
from grt_batch.ranks.variables import is_passed_on, without_other_jobs

PROGRAM = ("-m", "grt_batch.cli", "run")


MPIRUN_VARIABLE = "GRT_BATCH_MPIRUN"


class Flavour(enum.Enum):
    """A family of MPIs with the same mpirun. The value has the names of its library; Debian has one of its own for
    MPICH's."""

    OPEN_MPI = "Open MPI", "libmpi.so.40"
    MPICH = "MPICH", "libmpi.so.12", "libmpich.so.12"
    INTEL_MPI = "Intel MPI", "libmpi.so.12"


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
            env={**without_other_jobs(environment, path), "PATH": _search_path(path, environment)},
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
    # Debian has a folder for each kind of processor.
    places = ("lib", "lib64", "lib/release", f"lib/{sysconfig.get_config_var('MULTIARCH')}")
    files = (prefix / lib / name for prefix in prefixes for lib in places for name in flavour.value[1:])
    return next((file for file in files if file.is_file()), None)


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
            env={**without_other_jobs(environment, mpirun.path), "PATH": _search_path(mpirun.path, environment)},
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
    hosts: str = "",
    environment: Mapping[str, str] = os.environ,
    root: bool = False,
    cores: int = 1,
    tolerant: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Return the command line for `ranks` ranks and its whole environment, where the user's settings win.

    `hosts`: where to start them, as mpirun takes them, NAME:RANKS,…; otherwise mpirun decides: on the hosts of the
    batch job, or here. `root`: the caller is the superuser. `cores`: the number of cores of a host. `tolerant`: the
    other ranks go on when a rank is lost.
    """
    # A rank uses one core: libraries that start a thread for each core would compete for them.
    added = dict.fromkeys(("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    if mpirun.library is not None:
        added["MPI4PY_LIBMPI"] = str(mpirun.library)
    options: list[str] = []
    hosts = hosts.replace(" ", "")
    crowded = ranks > cores * (1 + hosts.count(","))
    match mpirun.flavour:
        case Flavour.OPEN_MPI:
            # Without "none" the stdin of the first rank is a pipe that never ends.
            options += ["--oversubscribe", "--bind-to", "none", "--stdin", "none"]
            if tolerant:
                options += ["--with-ft", "ulfm"]
            if hosts:
                options += ["--host", hosts]
            # This transport is for one-sided messages only, and makes the start several times longer.
            added["OMPI_MCA_btl"] = "^ofi"
            if root:
                added |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
            if crowded:
                added["OMPI_MCA_mpi_yield_when_idle"] = "1"
        case Flavour.MPICH:
            options += ["-hosts", hosts] if hosts else []
            if crowded:
                # Without it a rank that waits in a barrier takes the core of one that computes.
                added["MPIR_CVAR_ENABLE_HEAVY_YIELD"] = "1"
        case Flavour.INTEL_MPI:
            options += ["-hosts", hosts] if hosts else []
            added["I_MPI_PIN"] = "off"
            if crowded:
                added["I_MPI_THREAD_YIELD"] = "2"
    # Open MPI does not start without HOME, which a batch job or a service need not have.
    inherited = without_other_jobs(environment, mpirun.path)
    complete = {"HOME": _home()} | added | inherited | {"PATH": _search_path(mpirun.path, environment)}
    if mpirun.flavour is Flavour.OPEN_MPI:
        # Hydra passes the whole environment to other hosts, Open MPI only its own variables and those named.
        passed_on = {name for name in complete if name in added or is_passed_on(name)}
        for name in sorted(name for name in passed_on if not name.startswith("OMPI_")):
            options += ["-x", name]
    python = [sys.executable, "-m", "mpi4py", *program]
    return [str(mpirun.path), "-n", str(ranks), *options, *python, *arguments], complete


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:  # a user whom the host does not know, as in some containers
        return "/"
