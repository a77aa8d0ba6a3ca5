"""The private PostgreSQL server below the work folder: how it is started, found by its lock, and stopped.

`folder` describes its folder, `process` its settings.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from grt_batch.core.errors import (
    EmbeddedElsewhere,
    Locked,
    NoEmbeddedServer,
    NothingInEmbedded,
)
from grt_batch.embedded_postgres.environment import unheard
from grt_batch.embedded_postgres.folder import ServerFolder
from grt_batch.embedded_postgres.note import STAYS, Note
from grt_batch.embedded_postgres.place import PORT
from grt_batch.embedded_postgres.process import NAME, start_server
from grt_batch.embedded_postgres.programs import binaries

BUSY_SECONDS = 30.0
"""Enough for the server of a killed process to finish its writes and end."""


START_SECONDS = 300.0
"""Long, as after a crash the server replays up to max_wal_size of its log before it answers."""


STOP_SECONDS = 60.0


CONNECT_SECONDS = 5
"""A server that was stopped like a job in a shell takes connections, but says nothing."""


@contextmanager
def serve(work: Path, *, borrow: bool = False) -> Iterator[str]:
    """Run the server of the folder `work` for the duration of the block, and give its URL. In the block, libpq's
    variables are not in the environment.

    A server started by `db start` is used and left running. Otherwise one is started, and stopped at the end; on Linux
    also when this process is killed, or the thread that entered the block ends. `borrow` is for a few queries, but not
    for a run: it also accepts the server of another process, which ends with that process, and makes no database.

    Raise NoEmbeddedServer, EmbeddedElsewhere, Locked while another process runs its own server, and NothingInEmbedded
    if there is no database to borrow.
    """
    server = EmbeddedServer(work)
    started = server.start(borrow=borrow)
    try:
        with unheard():
            yield server.url
    finally:
        if started:
            server.stop()


def start_persistent(work: Path) -> str:
    """Start a server that outlives this process, unless one runs; return its URL. Raise as `serve` does."""
    server = EmbeddedServer(work)
    server.start(stays=True)
    return server.url


def stop(work: Path) -> bool:
    """Stop the server that `start_persistent` left in `work`; return False if none runs. Raise as `serve` does."""
    server = EmbeddedServer(work)
    if not server.running():
        return False
    lock = server.settle(silent=True)
    if lock is not None:
        lock.close()
        return False
    server.stop()
    return True


class EmbeddedServer:
    """The server of one work folder, which another process may have started."""

    def __init__(self, work: Path) -> None:
        """Create or start nothing; `start` does that."""
        self.work = work.resolve()
        self._folder = ServerFolder(self.work)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database of the running server; the next start may change it."""
        return self._url(NAME)

    def running(self) -> bool:
        """Return whether there is a server, even one that is starting or stopping. Raise EmbeddedElsewhere."""
        if not self._folder.exists():
            return False
        lock = self._folder.lock()
        if lock is not None:
            lock.close()
        return lock is None

    def other_host(self) -> str | None:
        """Return the host where the server runs or has crashed, None if it is this one."""
        return self._folder.other_host()

    def settle(self, *, borrow: bool = False, silent: bool = False) -> BinaryIO | None:
        """Return the lock if there is no server; None if there is one that stays, or may be borrowed.

        Wait for a server that starts or stops; with `silent` it need not accept connections. Raise
        Locked if it belongs to another process after BUSY_SECONDS, EmbeddedElsewhere if to another host, and
        NoEmbeddedServer if it refuses all connections.
        """
        owner, refused = None, ""
        for _ in _tries(BUSY_SECONDS):
            lock = self._folder.lock()
            if lock is not None:
                return lock
            host = self.other_host()
            if host is not None:
                raise EmbeddedElsewhere(work=self.work, what=f"its server runs on {host}")
            note = self._folder.note()
            owner = note.owner() if note is not None and note.ready else None
            if owner == STAYS or (borrow and owner is not None):
                refused = "" if silent else self._refused(NAME)
                if not refused or (owner == STAYS and self._folder.deaf()):
                    return None
        if refused:
            raise NoEmbeddedServer(what=f"it accepts no connection: {refused}")
        raise Locked(holder=owner or "its server is starting or stopping", work=self.work)

    def start(self, *, stays: bool = False, borrow: bool = False) -> bool:
        """Start the server, as a child unless it `stays`; return False if one can be used. Raise as `serve` does."""
        try:
            if borrow and not self._folder.exists():
                raise NothingInEmbedded(work=self.work)
            self._folder.make()
            if borrow and not self._folder.majors():
                raise NothingInEmbedded(work=self.work)
            lock = self.settle(borrow=borrow)
            if lock is None:
                if self._folder.deaf():  # the system has removed its socket
                    self.stop()
                    self.start(stays=True)
                return False
            with lock, self._folder.open_log() as log:
                said = log.tell()
                programs = binaries(self._folder.majors())
                self._child = start_server(self._folder, programs, lock, log, stays=stays)
        except OSError as error:
            raise NoEmbeddedServer(what=str(error)) from error
        try:
            self._wait(said)
            self._make_database()
        except BaseException:
            self.stop()
            raise
        return True

    def stop(self) -> None:
        """Stop the server and wait for its end: open transactions are rolled back, committed data stay."""
        note = self._folder.note()
        if self._child is None and note is not None and self._unreachable(note):
            what = f"its server, process {note.process}, is not in this container"
            raise EmbeddedElsewhere(work=self.work, what=what)
        for request in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and its immediate shutdown
            for _ in _tries(STOP_SECONDS):
                if self._ended(note, request):
                    self._child = None
                    lock = self._folder.lock()
                    if lock is not None:
                        with lock:
                            self._folder.remove_socket_folder()
                    return
        raise NoEmbeddedServer(what=f"the server of {self.work} does not stop")

    def _unreachable(self, note: Note) -> bool:
        """Return whether a server answers that is no process that can be seen here."""
        return not note.alive() and self.running() and not self._refused(NAME)

    def _ended(self, note: Note | None, request: signal.Signals) -> bool:
        """Ask the server to end, and return whether it has. The lock does not tell: another server may have it."""
        if self._child is not None:
            self._child.send_signal(request)
            return self._child.returncode is not None
        if not self.running():
            return True
        try:
            if note is not None and note.alive():
                os.kill(note.process, request)
        except ProcessLookupError:
            return True
        return False

    def _url(self, database: str) -> str:
        host = str(self._folder.reach())
        return f"postgresql://{NAME}@/{database}?host={quote(host, safe='')}&port={PORT}"

    def _refused(self, database: str) -> str:
        """Return why the server accepts no connection, '' if it accepts one."""
        import psycopg2

        try:
            with unheard():
                psycopg2.connect(self._url(database), connect_timeout=CONNECT_SECONDS).close()
        except psycopg2.OperationalError as error:
            return " ".join(str(error).split()) or "it did not say why"
        return ""

    def _wait(self, said: int) -> None:
        """Wait until the new server is ready. Raise NoEmbeddedServer as soon as it has ended."""
        for _ in _tries(START_SECONDS):
            note = self._folder.note()
            if note is not None and note.ready:
                return
            if not self.running():
                raise NoEmbeddedServer(what=self._folder.complaint(said))
        late = f"it was not ready after {START_SECONDS:g} seconds"
        raise NoEmbeddedServer(what=f"{late}: {self._folder.complaint(said)}")

    def _make_database(self) -> None:
        """Create the database if it is missing."""
        import psycopg2

        try:
            with (
                unheard(),
                closing(psycopg2.connect(self._url("postgres"), connect_timeout=CONNECT_SECONDS)) as connection,
                connection.cursor() as cursor,
            ):
                connection.autocommit = True
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (NAME,))
                if cursor.rowcount == 0:
                    cursor.execute(f"CREATE DATABASE {NAME}")
        except psycopg2.Error as error:
            what = " ".join(str(error).split())
            raise NoEmbeddedServer(what=f"its database could not be opened or created: {what}") from error


def _tries(seconds: float) -> Iterator[None]:
    """Yield at once and after pauses that grow from 5 to 100 ms, until `seconds` have passed."""
    end = time.monotonic() + seconds
    pause = 0.005
    yield
    while time.monotonic() < end:
        time.sleep(pause)
        pause = min(1.5 * pause, 0.1)
        yield
