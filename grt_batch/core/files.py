"""Files that survive a crash: synced to the disk, and replaced as a whole. What a file system cannot do is done
without, where that is safe."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from grt_batch.core.logs import logger

_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of a call that the file system does not have."""


_NO_LINK = _UNSUPPORTED | {errno.EPERM, errno.EXDEV, errno.EMLINK}
"""Errors of a hard link that cannot be made: to this file, to another folder, or at all."""


_COPIED_BYTES = 1 << 20


def write_synced(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file and sync its content to the disk; its name is not synced. Raises OSError."""
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        _sync(file)


def atomic_write(path: Path, parts: Iterable[bytes], temporary: Path, *, aside: Path | None = None) -> None:
    """Write a file so that readers find its old content or its new one, even after a crash.

    `temporary` is a path on the same file system; it is left behind where writing fails. With `aside` the old file is
    kept under that name. The new name is not synced: see `sync_folder`. Raises OSError.
    """
    write_synced(temporary, parts)
    if aside:
        path.replace(aside)
    temporary.replace(path)


def rewrite(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file as `atomic_write` does, with this mode if it is given, and leave nothing else behind.

    Several processes may do that at the same time; the last one counts. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_synced(temporary, [content])
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Sync the content of a file to the disk. Raises OSError."""
    with path.open("rb") as file:
        _sync(file)


def _sync(file: IO[bytes]) -> None:
    """Sync the content of a file, where its file system can do that at all."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, as far as its file system can.

    On a journaling file system this also syncs every earlier rename.
    """
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def link_or_copy(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where the file system has no such link. Raises OSError."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        _say_without_links(str(error.strerror))
        with source.open("rb") as content:
            write_synced(target, iter(lambda: content.read(_COPIED_BYTES), b""))


@cache
def _say_without_links(what: str) -> None:
    logger.info("reports that did not change are copied, since their file system has no hard links: %s", what)


def append_range(target: IO[bytes], source: IO[bytes], begin: int, end: int) -> None:
    """Append bytes of a file to another one, without a way through the memory of this process where the file systems
    can do that. Both are at no place in particular afterwards. Raises OSError, also where the source is shorter."""
    target.flush()
    at = begin
    while at < end:
        try:
            copied = os.sendfile(target.fileno(), source.fileno(), at, end - at)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            copied = os.write(target.fileno(), os.pread(source.fileno(), min(end - at, _COPIED_BYTES), at))
        if not copied:
            raise OSError(f"another program changed {source.name}")
        at += copied


def try_lock(file: IO[Any]) -> bool:
    """Lock a file, which is open for writing, until this process closes it. Return False where another one holds it.

    Where the file system lacks the locks of BSD it may have those of POSIX, which serve as well: the file is opened
    once only. Raises OSError where it has neither.
    """
    return _locked(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def share_lock(file: IO[Any]) -> None:
    """Lock a file as `try_lock` does, but together with others that share it. Wait for who has it alone. Raises
    OSError."""
    _locked(file, fcntl.LOCK_SH)


def _locked(file: IO[Any], how: int) -> bool:
    try:
        return _got(fcntl.flock, file, how)
    except OSError:
        return _got(fcntl.lockf, file, how)


def _got(call: Any, file: IO[Any], how: int) -> bool:
    try:
        call(file, how)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True
