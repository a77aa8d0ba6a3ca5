"""The folders that keep the machine code of the kernels.

A kernel also holds code of functions in other files, so a folder is named after everything that machine code depends
on: the sources, numba, Python and the processor.

One folder serves all users of an installation: it lies beside the sources, whoever may read these may read it, and
nobody else may write to it. Where that cannot be written, each user has kernels of his own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from grt_batch.core.digest import digest, file_sha256, source_digest
from grt_batch.core.logs import logger
from grt_batch.core.work_folder import KERNELS_VARIABLE
from grt_batch.kernels.machine_code import MachineCode
from grt_batch.kernels.place import SUFFIX, Place


@cache
def places() -> tuple[Place, ...]:
    """Return the places of the kernels, the first one first. A kernel is read from the first that has it, and kept in
    the first that can be written.

    They are NUMBA_CACHE_DIR, where that is set; beside the sources; the user's cache; the folder that `keep_kernels_in`
    names; and a folder of the user below that for temporary files.
    """
    name = Path(f"grt_batch-{sources_digest()}", _processor())
    sources = Path(__file__).parent
    found = []
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        found.append(Place(Path(chosen) / name))
    found.append(Place(_beside() / name, sources=sources))
    with suppress(RuntimeError):  # a user without a home
        found.append(Place(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / name))
    if fallback := os.environ.get(KERNELS_VARIABLE):
        found.append(Place(Path(fallback) / name, is_fallback=True))
    with suppress(OSError):  # no folder for temporary files
        own = f"{name.parent}-{os.geteuid()}"
        found.append(Place(Path(os.environ.get("TMPDIR") or "/tmp", own, name.name), is_fallback=True))
    return tuple(found)


def place_in_use() -> Place | None:
    """Return the place that has kernels, and is the first to be asked; None where there is none."""
    return next((place for place in places() if place.files()), None)


def _processor() -> str:
    """Return a digest of the processor for which numba compiles, by name and features."""
    processor = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = llvm.get_host_cpu_features().flatten()
    return digest(llvm.get_process_triple(), processor, features)[:8]


def _beside() -> Path:
    """Return the folder beside the sources, where Python keeps its bytecode."""
    return Path(__file__).with_name("__pycache__")


@cache
def sources_digest() -> str:
    """Return a digest of the compiler's version and of all files that the kernels are made of."""
    return digest(
        *(sys.implementation.cache_tag, object.__basicsize__, llvmlite.__version__, _numba()),
        source_digest(__package__, "grt_batch.schema.members"),
    )[:16]


def _numba() -> str:
    """Return a digest of the file with numba's version, which is not imported."""
    found = find_spec("numba")
    return file_sha256(Path(found.origin).with_name("_version.py")) if found and found.origin else ""


def remove_outdated() -> None:
    """Remove kernels that were compiled from former versions of these files."""
    for folder in _beside().glob("grt_batch-*"):
        if folder.name != f"grt_batch-{sources_digest()}":
            shutil.rmtree(folder, ignore_errors=True)


def kept(name: str, types: Sequence[object]) -> MachineCode | None:
    """Return the machine code of a kernel for these types, None where there is none, or where it is damaged."""
    file = _file(name, types)
    for place in places():
        with suppress(OSError, ValueError):
            return MachineCode.unpack(place.read(file))
    return None


def keep(name: str, types: Sequence[object], code: MachineCode) -> None:
    """Keep the machine code of a kernel; a kernel can do without."""
    problem: OSError | None = None
    for place in places():
        try:
            place.write(_file(name, types), list(code.pack()))
        except OSError as error:
            problem = problem or error
        else:
            return
    _warn_once(str(problem and (problem.strerror or problem)))


def share_all() -> None:
    """Put the kernels of this user into the first place that can be written, and let all users of an installation read
    what is there."""
    for at, place in enumerate(places()):
        for other in places()[at + 1 :]:
            for file in other.files() - place.files():
                with suppress(OSError):
                    place.write(file, [other.read(file)])
        if place.files():
            place.share()
            return


def _file(name: str, types: Sequence[object]) -> str:
    """Each combination of types has a file of its own: two processes may compile two of them at the same time."""
    return f"{name}-{hashlib.sha256(repr(tuple(types)).encode()).hexdigest()[:16]}{SUFFIX}"


@cache
def _warn_once(problem: str) -> None:
    logger.warning("compiled kernels cannot be kept anywhere, so every process compiles them: %s", problem)
