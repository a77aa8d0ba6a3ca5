"""The work folder of a run: its lock, and the rights of files and folders."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, Locked, NoLocks
from grt_batch.core.files import share_lock, try_lock

KERNELS_VARIABLE = "GRT_BATCH_KERNELS"
"""The folder for compiled kernels where neither the installation nor a home can be written; ranks inherit it."""


_BESIDE = "beside.lock"
"""The file that is locked together by all who work beside the run."""


def keep_kernels_in(work: Path) -> None:
    """Let this process and its ranks keep compiled kernels in a work folder, where they can keep them nowhere else."""
    os.environ.setdefault(KERNELS_VARIABLE, str(work.absolute() / "kernels"))


def set_umask(config: Config) -> None:
    """Give the configured rights to all files and folders that this process makes from now on."""
    os.umask(0o777 & ~int(config.folder_mode, 8))


def make_work(work: Path) -> None:
    """Make the work folder if there is none. Raises CannotWrite."""
    try:
        before = work.exists()
        work.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and not before:
            # The embedded server of root runs as another user, which must be able to pass through.
            work.chmod(work.stat().st_mode | 0o001)
    except OSError as error:
        raise CannotWrite(folder=work, what=error.strerror or error) from None


@contextmanager
def lock(work: Path) -> Iterator[None]:
    """Hold the lock of a work folder. The kernel releases it when the process ends, for whatever reason.

    Raises Locked if another run holds it, NoLocks if the file system cannot tell, and CannotWrite.
    """
    with _opened(work, "lock") as file:
        if not _tried(work, file):
            file.seek(0)
            raise Locked(holder=file.read().strip() or "unknown", work=work)
        holder = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        # The lock holds on a full disk, too, without this line.
        with suppress(OSError):
            file.truncate(0)
            os.write(file.fileno(), holder.encode())
        yield


@contextmanager
def beside(work: Path) -> Iterator[None]:
    """Work beside the run of a work folder, and beside others that do: add to its store and to its report sets, and
    remove nothing. Wait while somebody clears away there.

    Raises NoLocks if the file system cannot tell, and CannotWrite.
    """
    with _opened(work, _BESIDE) as file:
        try:
            share_lock(file)
        except OSError as error:
            raise NoLocks(folder=work, what=error.strerror or error) from None
        yield


@contextmanager
def alone(work: Path) -> Iterator[bool]:
    """Yield whether nobody works beside the run now; then nobody begins to until the end of the block. What a killed
    process left, and what nobody needs, is cleared away only then. The caller holds the lock of the work folder.

    Raises NoLocks and CannotWrite.
    """
    with _opened(work, _BESIDE) as file:
        yield _tried(work, file)


def _opened(work: Path, name: str) -> IO[str]:
    make_work(work)
    try:
        return (work / name).open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise CannotWrite(folder=work, what=error.strerror or error) from None


def _tried(work: Path, file: IO[str]) -> bool:
    try:
        return try_lock(file)
    except OSError as error:
        raise NoLocks(folder=work, what=error.strerror or error) from None
