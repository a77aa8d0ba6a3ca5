"""The processes of the embedded server: started as its user, with its settings, and ended with their parent."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from grt_batch.core.errors import NoEmbeddedServer
from grt_batch.embedded_postgres.folder import PORT, ServerFolder, open_to_all, system_folder

NAME = "grt"
"""The name of the database and of its superuser."""


INITDB = (
    f"--username={NAME}",
    "--auth=trust",
    "--encoding=UTF8",
    # Text is ordered by code point, as in the TSV reports.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


# fsync and synchronous_commit keep their default, on: committed data survives a crash.
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
"""The OWNER of a server that runs until `db stop`; otherwise it is the process that the server runs for."""


# Becomes the server, in an interpreter of its own: in a process with threads, Python code is not safe between fork
# and exec. The order matters: a change of user clears the parent-death signal, and may hide the libraries.
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


def start_server(
    folder: ServerFolder, programs: Path, lock: BinaryIO, log: BinaryIO, *, stays: bool
) -> subprocess.Popen[bytes] | None:
    """Initialize the data unless they exist, and start the server: a child process, or None for one that `stays`.

    The server may not answer yet. Raise NoEmbeddedServer if its programs do not run, and OSError.
    """
    if os.geteuid() == 0 and not open_to_all(programs / "postgres"):
        programs = _copy_for_all(programs)
    folder.remove_socket_folder()
    data = folder.path.resolve() / str(_major(programs)) / "data"
    if not data.exists():
        unfinished = data.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        said = log.tell()
        if _start(folder, lock, log, programs / "initdb", *INITDB, f"--pgdata={unfinished}").wait():
            raise NoEmbeddedServer(what=folder.complaint(said))
        unfinished.rename(data)
    settings = [
        *SETTINGS,
        f"unix_socket_directories={folder.make_socket_folder()}",
        f"{OWNER}={STAYS if stays else f'process {os.getpid()}'}",
    ]
    options = [f"--{setting}" for setting in settings]
    server = _start(folder, lock, log, programs / "postgres", "-D", str(data), *options, stays=stays)
    if not stays:
        return server
    server.wait()
    return None


def _start(
    folder: ServerFolder, lock: BinaryIO, log: BinaryIO, program: Path, *arguments: str, stays: bool = False
) -> subprocess.Popen[bytes]:
    """Start a program as the server's user. It ends with this process unless it `stays`."""
    guard = [0 if stays else os.getpid(), *folder.user()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    # The holder of the lock knows that the last server is gone. PostgreSQL would take any process with the same id for
    # that server, except for the one named here, as pg_ctl does for its shell.
    environment["PG_GRANDPARENT_PID"] = str(folder.noted() or 0)
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


def _major(programs: Path) -> int:
    """Return the major version of the server in the folder `programs`."""
    answer = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\) (\d+)", answer.stdout)
    if version is None:
        raise NoEmbeddedServer(what=f"{programs / 'postgres'} does not run: {answer.stderr.strip()}")
    return int(version[1])


def _copy_for_all(programs: Path) -> Path:
    """Return a copy of `programs` that all users may run, one for each version of the wheel."""
    tree = programs.parent
    package = tree.parent
    shared = system_folder()
    copy = shared / f"server-{importlib.metadata.version(package.name)}"
    if not copy.exists():
        with tempfile.TemporaryDirectory(prefix="server-", dir=shared) as folder:
            new = Path(folder) / "new"
            shutil.copytree(tree, new / package.name / tree.name, ignore=shutil.ignore_patterns("include", "*.a"))
            libraries = package.with_name(f"{package.name}.libs")  # found by the programs relative to themselves
            if libraries.exists():
                shutil.copytree(libraries, new / libraries.name)
            for path in (new, *new.rglob("*")):
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            try:
                new.rename(copy)
            except OSError:
                if not copy.exists():  # no other process was faster
                    raise
    return copy / package.name / tree.name / programs.name
