"""The files of an archive that is received: hidden until they are whole, then renamed, so that a run sees both or none.

Everything here blocks, and is called in threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from grt_batch.core.digest import file_sha256
from grt_batch.core.errors import Quarantine
from grt_batch.core.files import sync_folder
from grt_batch.service.replies import Refused
from grt_batch.uploads.cold import read_cold, remove_cold
from grt_batch.uploads.metadata import read_report
from grt_batch.uploads.scan import ARCHIVES, COLD, RECEIVING, archive_files, is_instance_id, is_whole

_SYNC_BYTES = 256 << 20
"""Bytes after which a file is synced while it is written, so that a client does not wait for all of it in the end."""


class Incoming:
    """A file that is written under a hidden name, and hashed on the way.

    It stays locked while this process writes it. What has such a name and no lock is left of a service that was killed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{RECEIVING}{secrets.token_hex(8)}"
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "w+b", buffering=0)
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._hash = hashlib.sha256()
        self.size = 0
        self._synced = 0

    @property
    def sha256(self) -> str:
        """Return the hash of what is written so far."""
        return self._hash.hexdigest()

    def write(self, data: memoryview) -> None:
        """Append bytes. Raises OSError."""
        self._hash.update(data)
        self.size += len(data)
        while data:
            data = data[self._file.write(data) :]
        if self.size - self._synced >= _SYNC_BYTES:
            os.fdatasync(self._file.fileno())
            self._synced = self.size

    def content(self) -> bytes:
        """Return all that is written; for small files. Raises OSError."""
        return os.pread(self._file.fileno(), self.size, 0)

    def sync(self) -> None:
        """Wait until the content is on the disk. Raises OSError."""
        os.fsync(self._file.fileno())

    def same_as(self, path: Path) -> bool:
        """Return whether another file has the same content."""
        return path.stat().st_size == self.size and file_sha256(path) == self.sha256

    def close(self) -> None:
        """Close the file, and remove it where it has not been renamed. What cannot be removed is swept later."""
        # Removed under its lock: a service that starts in this moment finds either a lock or nothing.
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._file.close()


def make_folder(folder: Path) -> None:
    """Make a folder where there is none, also for the time after a crash. Raises OSError."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    sync_folder(folder.parent)


def check_and_sync(name: str, meta: Incoming, data: Incoming) -> None:
    """Wait until both files of an archive are on the disk.

    Raise Refused where N.json is bad, or does not belong to N.tar.gz; and OSError.
    """
    try:
        report = read_report(meta.content(), name)
    except Quarantine as error:
        raise Refused(400, f"{error.reason}; nothing was kept") from None
    if report.sha256 not in (None, data.sha256):
        raise Refused(400, f"The sha256 of {name}.tar.gz is not the report_hash of {name}.json; send it again")
    for file in (data, meta):
        file.sync()


def publish(folder: Path, name: str, meta: Incoming, data: Incoming, *, replace: bool) -> bool:
    """Give both files of an archive their names, in the folder of an instance, and return True once the disk has them.

    Return False where the archive is there already, with the same content. Raise Refused where another content is there
    and may not be replaced; and OSError.
    """
    old = {ending: Path(entry.path) for ending, entry in archive_files(folder).get(name, {}).items()}
    if is_whole(old):
        if _is_same(data, old) and meta.same_as(old["json"]):
            return False
        if not replace:
            raise Refused(409, f"There is an archive {name} with another content; give this one another identifier")
    place = folder / ARCHIVES
    if "json" in old:
        # The old N.json would not belong to the new N.tar.gz.
        old["json"].unlink()
        sync_folder(place)
    is_another = COLD in old and not _is_same(data, {COLD: old[COLD]})
    data.path.rename(place / f"{name}.tar.gz")
    sync_folder(place)
    if is_another:
        # The marker would stand for the old content again, once the new N.tar.gz is gone.
        remove_cold(old[COLD])
    meta.path.rename(place / f"{name}.json")
    sync_folder(place)
    return True


def _is_same(data: Incoming, old: Mapping[str, Path]) -> bool:
    """Return whether N.tar.gz has this content, here or in cold storage."""
    if "tar.gz" in old:
        return data.same_as(old["tar.gz"])
    try:
        return read_cold(old[COLD]).sha256 == data.sha256
    except Quarantine:
        return False


def sweep(uploads: Path) -> int:
    """Remove what killed services have left below the uploads folder, and return how many files."""
    return sum(_remove_unlocked(path) for path in _hidden(uploads))


def _hidden(uploads: Path) -> Iterator[Path]:
    with suppress(OSError):
        for folder in uploads.iterdir():
            if is_instance_id(folder.name):
                yield from (folder / ARCHIVES).glob(f"{RECEIVING}*")


def _remove_unlocked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except OSError:
        return False
    return True
