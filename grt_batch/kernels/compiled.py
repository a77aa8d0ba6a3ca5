"""Decorators of the kernels, and the folder that keeps the compiled kernels.

numba compiles a function at its first call and keeps the machine code on disk until the file of that function changes.
A kernel also holds code of functions in other files, so the folder is named after everything that the machine code
depends on: the sources, numba and the processor.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numba
from numba.core import caching
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.extending import intrinsic

from grt_batch.core.digest import digest, source_digest
from grt_batch.core.files import atomic_write
from grt_batch.core.logs import logger

_Function = TypeVar("_Function", bound=Callable[..., Any])


_config: Any = numba.config


# Without numba's runtime a kernel cannot make arrays, and does not count references to its arguments: in functions
# that run once a field, counting took a third of the time.
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False}


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call, and keep it on disk for the next process."""
    dispatcher: Any = numba.njit(**_OPTIONS)(function)
    if not _config.DISABLE_JIT:
        dispatcher._cache = _Cache(function)
    return dispatcher  # type: ignore[no-any-return]


def inlined(function: _Function) -> _Function:
    """Compile a function into its callers: a call takes longer than what a small function does."""
    dispatcher: Any = numba.njit(inline="always", **_OPTIONS)(function)
    return dispatcher  # type: ignore[no-any-return]


def instruction(function: Callable[..., Any]) -> Any:
    """Declare a function that writes the machine instructions for its call."""
    return intrinsic(function)


@cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels, which may not exist yet.

    It is in NUMBA_CACHE_DIR, where that is set; else beside the sources, where the user may write or somebody has
    compiled these kernels already; else in the user's cache.
    """
    processor = hashlib.sha256(repr(cpu_target.target_context.codegen().magic_tuple()).encode()).hexdigest()[:8]
    name = Path(f"grt_batch-{sources_digest()}", processor)
    beside = _beside()
    chosen: str = _config.CACHE_DIR
    if chosen:
        return Path(chosen) / name
    if os.access(beside if beside.exists() else beside.parent, os.W_OK) or os.access(beside / name, os.R_OK | os.X_OK):
        return beside / name
    with suppress(RuntimeError):  # a user without a home
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / name
    return beside / name


def _beside() -> Path:
    """Return the folder beside the sources, where Python keeps its bytecode."""
    return Path(__file__).with_name("__pycache__")


@cache
def sources_digest() -> str:
    """Return a digest of numba's version and of all files that the kernels are made of."""
    return digest(numba.__version__, source_digest(__package__, "grt_batch.schema.members"))[:16]


def remove_outdated() -> None:
    """Remove kernels that were compiled from former versions of these files."""
    for folder in _beside().glob("grt_batch-*"):
        if folder.name != f"grt_batch-{sources_digest()}":
            shutil.rmtree(folder, ignore_errors=True)


class _Locator(caching.InTreeCacheLocator):
    """Keeps functions in `cache_folder`, whether or not it can be written."""

    def get_cache_path(self) -> str:
        return str(cache_folder())

    @classmethod
    def from_function(cls, function: Any, file: str) -> _Locator:
        return cls(function, file)


class _Storage(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012


class _Files:
    """One file for each signature of a function.

    numba's own index of numbered files can mix up two signatures that two processes compile at the same time.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def _file(self, key: object) -> Path:
        return cache_folder() / f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"

    def load(self, key: object) -> Any:
        try:
            return pickle.loads(self._file(key).read_bytes())
        except FileNotFoundError:
            return None

    def save(self, key: object, data: object) -> None:
        file = self._file(key)
        content: bytes = dumps(data)  # type: ignore[no-untyped-call]
        atomic_write(file, [content], file.with_suffix(f".{uuid4().hex}"))


class _Cache(caching.FunctionCache):
    """A cache that a kernel can do without."""

    _impl_class = _Storage

    def __init__(self, function: Any) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file: Any = _Files(self._impl.filename_base)

    def load_overload(self, signature: Any, context: Any) -> Any:
        with suppress(OSError):
            return super().load_overload(signature, context)  # type: ignore[no-untyped-call]
        return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            _warn_once(str(error.strerror))


@cache
def _warn_once(problem: str) -> None:
    logger.warning("compiled kernels cannot be kept in %s, so every process compiles them: %s", cache_folder(), problem)
