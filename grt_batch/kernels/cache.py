"""The folder that keeps the machine code of the kernels.

A kernel also holds code of functions in other files, so the folder is named after everything that machine code depends
on: the sources, numba, Python and the processor.
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
from uuid import uuid4

import llvmlite
import llvmlite.binding as llvm

from grt_batch.core.digest import digest, file_sha256, source_digest
from grt_batch.core.files import atomic_write
from grt_batch.core.logs import logger
from grt_batch.kernels.machine_code import MachineCode

SUFFIX = ".kernel"


@cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels, which may not exist yet.

    It is in NUMBA_CACHE_DIR, where that is set; else beside the sources, where the user may write or somebody has
    compiled these kernels already; else in the user's cache.
    """
    name = Path(f"grt_batch-{sources_digest()}", _processor())
    beside = _beside()
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen) / name
    if os.access(beside if beside.exists() else beside.parent, os.W_OK) or os.access(beside / name, os.R_OK | os.X_OK):
        return beside / name
    with suppress(RuntimeError):  # a user without a home
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / name
    return beside / name


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
    try:
        return MachineCode.unpack(_file(name, types).read_bytes())
    except (OSError, ValueError):
        return None


def keep(name: str, types: Sequence[object], code: MachineCode) -> None:
    """Keep the machine code of a kernel; a kernel can do without."""
    file = _file(name, types)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, code.pack(), file.with_suffix(f".{uuid4().hex}"))
    except OSError as error:
        _warn_once(str(error.strerror))


def _file(name: str, types: Sequence[object]) -> Path:
    """Each combination of types has a file of its own: two processes may compile two of them at the same time."""
    return cache_folder() / f"{name}-{hashlib.sha256(repr(tuple(types)).encode()).hexdigest()[:16]}{SUFFIX}"


@cache
def _warn_once(problem: str) -> None:
    logger.warning("compiled kernels cannot be kept in %s, so every process compiles them: %s", cache_folder(), problem)
