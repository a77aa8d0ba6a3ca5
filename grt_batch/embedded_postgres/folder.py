"""The folder of the embedded server, and the user who owns it.

Only the server's user and root have access to `<work>/postgres`, so the server trusts every connection to its socket.

    lock            held by every process of the server; whoever gets it knows that no server runs
    postgres.log    output of initdb and of the server
    .s.PGSQL.5432   the socket; if its path is too long, `socket` is a link to a folder that has it
    18/data         the data, by the server's major version

PostgreSQL refuses to run as root. For root it runs as the owner of `<work>/postgres`, which is created for the user
`postgres`, else `nobody`. If that user has no access there, the folder is a link into `/var/lib/grt_batch`.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from grt_batch.core.errors import NoEmbeddedServer

PORT = 5432


SOCKET = f".s.PGSQL.{PORT}"


MAX_SOCKET_BYTES = 103
"""The longest path of a socket: sun_path of sys/un.h without the final null; 107 on Linux, 103 on macOS."""


SYSTEM_FOLDER = Path("/var/lib/grt_batch")


SYSTEM_USERS = ("postgres", "nobody")


class ServerFolder:
    """The folder `<work>/postgres`, which may not exist yet."""

    def __init__(self, work: Path) -> None:
        """Take the absolute path `work`; nothing is created before `make`."""
        self.work = work
        self.path = work / "postgres"
        self._log = self.path / "postgres.log"
        self._link = self.path / "socket"

    def make(self) -> None:
        """Create the folder, for the server's user only, unless it exists. Raise OSError and NoEmbeddedServer."""
        self.work.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and not self.path.exists() and not open_to_all(self.work):
            self.path.unlink(missing_ok=True)
            target = tempfile.mkdtemp(prefix=f"{self.work.name}-", dir=system_folder())
            with suppress(FileExistsError):  # another process was faster
                self.path.symlink_to(target)
        self.path.mkdir(exist_ok=True)
        self.path.chmod(0o700)
        if self.user()[0] == 0:
            os.chown(self.path, *_system_user())

    def user(self) -> tuple[int, int]:
        """Return the user and group that the server runs as."""
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        owner = self.path.stat()
        return owner.st_uid, owner.st_gid

    def lock(self) -> BinaryIO | None:
        """Take the lock, which the caller closes; return None while a server runs or is being started.

        Raise NoEmbeddedServer if the file system has no locks.
        """
        lock = self._open("lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            if isinstance(error, BlockingIOError):
                return None
            raise NoEmbeddedServer(what=f"{self.path} cannot be locked: {error}") from error
        return lock

    def open_log(self) -> BinaryIO:
        """Open the log of initdb and the server for appending. Raise NoEmbeddedServer."""
        return self._open(self._log.name)

    def complaint(self, said: int) -> str:
        """Return what the log says about a failure, from byte `said` on."""
        lines = self._log.read_bytes()[said:].decode(errors="replace").strip().splitlines()
        fatal = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
        return " / ".join([*(fatal or lines)[-2:], f"see {self._log}"])

    def noted(self) -> int | None:
        """Return the process id in the newest postmaster.pid, which a clean shutdown removes."""
        notes = sorted(self.path.glob("*/data/postmaster.pid"), key=lambda note: note.stat().st_mtime)
        number = notes[-1].read_text(encoding="utf-8", errors="replace").partition("\n")[0] if notes else ""
        return int(number) if number.isdigit() else None

    def socket_folder(self) -> Path:
        """Return the current folder of the socket."""
        return (self._link if self._link.is_symlink() else self.path).resolve()

    def make_socket_folder(self) -> Path:
        """Return the folder for the socket: `<work>/postgres`, or a new temporary one if libpq cannot use that path."""
        folder = self.path.resolve()
        if len(os.fsencode(folder / SOCKET)) <= MAX_SOCKET_BYTES and "," not in str(folder):
            return folder
        short = Path(tempfile.mkdtemp(prefix="grt_batch-"))
        os.chown(short, *self.user())
        self._link.symlink_to(short)
        return short

    def remove_socket_folder(self) -> None:
        """Remove the temporary folder and the socket that a killed server left in it."""
        if self._link.is_symlink():
            with suppress(OSError):
                for rest in self._link.glob(f"{SOCKET}*"):
                    rest.unlink()
                self._link.readlink().rmdir()
            self._link.unlink()

    def _open(self, name: str) -> BinaryIO:
        """Open a file of the server's user for appending. Root follows no link in the folder of another user."""

        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_NOFOLLOW, 0o600)

        try:
            file: BinaryIO = open(self.path / name, "ab", opener=opener)  # noqa: SIM115
        except OSError as error:
            raise NoEmbeddedServer(what=str(error)) from error
        if os.geteuid() == 0:
            os.fchown(file.fileno(), *self.user())
        return file


def _system_user() -> tuple[int, int]:
    """Return the user and group that the server of root runs as."""
    for name in SYSTEM_USERS:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise NoEmbeddedServer(what=f"root cannot run it, and there is no user {' or '.join(SYSTEM_USERS)}")


def open_to_all(path: Path) -> bool:
    """Return whether any user may enter the folder, or run the program, at `path`."""
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def system_folder() -> Path:
    """Create the folder for files that cannot be below the work folder, open to all, and return it."""
    SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
    SYSTEM_FOLDER.chmod(0o755)
    return SYSTEM_FOLDER
