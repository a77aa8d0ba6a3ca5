"""The folder of the embedded server, and the user who owns it.

Only the server's user and root have access to `<work>/postgres`, so the server trusts every connection to its socket.

    lock            held by every process of the server; whoever gets it knows that no server runs. It names the host
    postgres.log    output of initdb and of the server
    .s.PGSQL.5432   the socket; where the file system takes none, `socket` is a link to a folder that has it
    18/data         the data, by the server's major version

PostgreSQL refuses to run as root. For root it runs as the owner of `<work>/postgres`, which is created for the user
`postgres`, else `nobody`. That user need not have access to the work folder.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from grt_batch.core.errors import EmbeddedElsewhere, NoEmbeddedServer
from grt_batch.embedded_postgres.hosts import here, locked_by_host, other_host
from grt_batch.embedded_postgres.note import NOTE, Note, read_note
from grt_batch.embedded_postgres.place import SOCKET, forget, places, short

SYSTEM_USERS = ("postgres", "nobody")


HERE = Path("/proc/self/cwd")
"""The data folder as the server is told: the folder that it was started in. So its path may have any length, and
nobody asks whether the server's user may enter the folders above. Where there is no such file, the path itself."""


SMALL = 64 << 20
"""Bytes: below so much free space, a server that says nothing has most likely nowhere to say it."""


class ServerFolder:
    """The folder `<work>/postgres`, which may not exist yet."""

    def __init__(self, work: Path) -> None:
        """Take the absolute path `work`; nothing is created before `make`."""
        self.work = work
        self.path = work / "postgres"
        self._log = self.path / "postgres.log"
        self._link = self.path / "socket"

    def exists(self) -> bool:
        """Return whether there is the folder. Raise EmbeddedElsewhere if it is a link to a folder of another host."""
        there = self.path.exists()
        if not there and self.path.is_symlink():  # made by an earlier version
            what = f"its data are in {self.path.readlink()}, which this host, {socket.gethostname()}, does not have"
            raise EmbeddedElsewhere(work=self.work, what=what)
        return there

    def make(self) -> None:
        """Create the folder, for the server's user only, unless it exists. Raise OSError, NoEmbeddedServer, and as
        `exists` does."""
        self.exists()
        self.work.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(exist_ok=True)
        owner = self.path.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise NoEmbeddedServer(what=f"{self.path} belongs to the user {_user_name(owner)}, who alone may use it")
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

        Raise NoEmbeddedServer if the file system has no locks, and EmbeddedElsewhere if each host has its own, and
        there may be a server on another one.
        """
        lock = self._open("lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            if isinstance(error, BlockingIOError):
                return None
            raise NoEmbeddedServer(what=f"{self.path} cannot be locked: {error}") from error
        host = self.other_host()
        if host is not None and locked_by_host(self.path):
            lock.close()
            what = f"its server runs or has crashed on {host}, and the locks of this file system do not tell which"
            raise EmbeddedElsewhere(work=self.work, what=what)
        return lock

    def note_host(self, lock: BinaryIO) -> None:
        """Write into the lock on which host its holder runs."""
        with suppress(OSError):  # the lock holds on a full disk, too
            lock.truncate(0)
            os.write(lock.fileno(), here().encode())

    def other_host(self) -> str | None:
        """Return the host where the last server runs or has crashed, None if it is this one."""
        with suppress(OSError):
            if self.note() is not None:
                return other_host((self.path / "lock").read_text(encoding="utf-8", errors="replace"))
        return None

    def open_log(self) -> BinaryIO:
        """Open the log of initdb and the server for appending. Raise NoEmbeddedServer."""
        return self._open(self._log.name)

    def complaint(self, said: int) -> str:
        """Return what the log says about a failure, from byte `said` on."""
        lines = self._log.read_bytes()[said:].decode(errors="replace").strip().splitlines()
        fatal = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
        free = shutil.disk_usage(self.path).free
        full = [f"only {free >> 20} MB are free in {self.path}"] if free < SMALL else []
        told = " / ".join([*(fatal or lines)[-2:], *full, f"see {self._log}"])
        return told.replace(str(HERE), "the data folder")

    def majors(self) -> list[int]:
        """Return the versions of PostgreSQL that have data here, the newest first."""
        found = [data.parent.name for data in self.path.glob("*/data")]
        return sorted(map(int, filter(str.isdigit, found)), reverse=True)

    def note(self) -> Note | None:
        """Return the newest note of a server."""
        found = []
        for major in self.majors():
            data = self.path / str(major) / "data"
            with suppress(OSError):  # there is none, or the server has just removed it
                found.append(((data / NOTE).stat().st_mtime, data))
        return read_note(max(found)[1]) if found else None

    def forget_crashed(self) -> None:
        """Remove what a crashed server left, which hinders the next one.

        The holder of the lock knows that the server is gone. PostgreSQL would take any process of the same number for
        it. If the lock was removed, and the server is there, its note stays and PostgreSQL heeds it.
        """
        note = self.note()
        if note is not None and note.alive():
            return
        rest = [self.path / SOCKET, self.path / f"{SOCKET}.lock"]
        for file in (*rest, *self.path.glob(f"*/data/{NOTE}")):
            file.unlink(missing_ok=True)
        self.remove_socket_folder()

    def deaf(self) -> bool:
        """Return whether a server runs that nobody can reach, because its socket was removed."""
        note = self.note()
        return note is not None and note.ready and not (self._socket_folder() / SOCKET).exists() and note.alive()

    def reach(self) -> Path:
        """Return the folder of the socket as clients write it."""
        return short(self._socket_folder())

    def make_socket_folder(self) -> str:
        """Return the folder for the socket as the server writes it: relative to its data, or a temporary one."""
        if self._takes_sockets():
            return "../.."
        for place in places():
            with suppress(OSError):
                temporary = Path(tempfile.mkdtemp(prefix="grt_batch-", dir=place))
                os.chown(temporary, *self.user())
                self._link.symlink_to(temporary)
                return str(temporary)
        raise NoEmbeddedServer(what=f"the file system of {self.path} takes no sockets, and there is no other place")

    def remove_socket_folder(self) -> None:
        """Remove the temporary folder and the socket that a killed server left in it."""
        forget(self.path.resolve())
        if self._link.is_symlink():
            with suppress(OSError):
                for rest in self._link.glob(f"{SOCKET}*"):
                    rest.unlink()
                self._link.readlink().rmdir()
            self._link.unlink()

    def _socket_folder(self) -> Path:
        return (self._link if self._link.is_symlink() else self.path).resolve()

    def _takes_sockets(self) -> bool:
        """Return whether there can be a socket in this file system; in some of virtual machines there can be none."""
        probe = self.path / "probe"
        if sys.platform == "linux":
            try:
                probe.unlink(missing_ok=True)
                os.mknod(probe, stat.S_IFSOCK | 0o600)
                probe.unlink()
            except OSError:
                return False
        return True

    def _open(self, name: str) -> BinaryIO:
        """Open a file of the server's user for appending. Root follows no link in the folder of another user.

        Where the standard streams are closed, it has none of their numbers, which the server uses for its log.
        """

        def opener(path: str, flags: int) -> int:
            number = os.open(path, flags | os.O_NOFOLLOW, 0o600)
            try:
                return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
            finally:
                os.close(number)

        try:
            file: BinaryIO = open(self.path / name, "ab", opener=opener)  # noqa: SIM115
        except OSError as error:
            raise NoEmbeddedServer(what=str(error)) from error
        if os.geteuid() == 0:
            os.fchown(file.fileno(), *self.user())
        return file


def _user_name(user: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return str(user)


def _system_user() -> tuple[int, int]:
    """Return the user and group that the server of root runs as."""
    for name in SYSTEM_USERS:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise NoEmbeddedServer(what=f"root cannot run it, and there is no user {' or '.join(SYSTEM_USERS)}")
