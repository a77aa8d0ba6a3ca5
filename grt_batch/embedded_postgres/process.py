"""The processes of the embedded server: started as its user, with its settings, and ended with their parent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

from grt_batch.core.errors import NoEmbeddedServer
from grt_batch.embedded_postgres.environment import of_server
from grt_batch.embedded_postgres.folder import HERE, ServerFolder
from grt_batch.embedded_postgres.note import OWNER, STAYS
from grt_batch.embedded_postgres.place import PORT
from grt_batch.embedded_postgres.programs import for_user_of_server, major

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
    "--set=dynamic_shared_memory_type=mmap",
    "--set=huge_pages=off",
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
    # Files in the data folder: /dev/shm is small in containers, and emptied when the user logs out.
    "dynamic_shared_memory_type=mmap",
    # A container may see huge pages that it is not granted, and is killed for their use.
    "huge_pages=off",
    "timezone=UTC",
    "log_timezone=UTC",
)


# Becomes the server, in an interpreter of its own: in a process with threads, Python code is not safe between fork
# and exec. The order matters: a change of user clears the parent-death signal, and may hide the libraries. The
# interpreter may need variables that the server must not hear.
BECOME = f"""
import ctypes, json, os, sys
environment, folder, parent, uid, gid, *command = sys.argv[1:]
libc = ctypes.CDLL(None)
if os.geteuid() != int(uid):
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
os.makedirs(folder, 0o700, exist_ok=True)
os.chdir(folder)
os.chmod(".", 0o700)  # the server refuses other modes, which a copy of the work folder may have
if parent == "0":
    if os.fork():
        os._exit(0)
elif sys.platform == "linux":
    libc.prctl(1, {int(signal.SIGINT)})  # PR_SET_PDEATHSIG
    if os.getppid() != int(parent):
        sys.exit("the parent died")
os.execve(command[0], command, json.loads(environment))
"""


def start_server(
    folder: ServerFolder, programs: Path, lock: BinaryIO, log: BinaryIO, *, stays: bool
) -> subprocess.Popen[bytes] | None:
    """Initialize the data unless they exist, and start the server: a child process, or None for one that `stays`.

    The server may not answer yet. Raise NoEmbeddedServer if its programs do not run, and OSError.
    """
    version = str(major(programs))
    programs = for_user_of_server(programs)
    folder.note_host(lock)
    folder.forget_crashed()
    data, unfinished = (folder.path / version / name for name in ("data", "unfinished"))
    if not data.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        said = log.tell()
        if _start(folder, lock, log, unfinished, programs / "initdb", *INITDB).wait():
            raise NoEmbeddedServer(what=folder.complaint(said))
        unfinished.rename(data)
    settings = [
        *SETTINGS,
        f"unix_socket_directories={folder.make_socket_folder()}",
        f"{OWNER}={STAYS if stays else f'process {os.getpid()}'}",
        f"grt_batch.work={folder.work}",  # for those who look at the processes
    ]
    options = [f"--{setting}" for setting in settings]
    server = _start(folder, lock, log, data, programs / "postgres", *options, stays=stays)
    if not stays:
        return server
    server.wait()
    return None


def _start(
    folder: ServerFolder,
    lock: BinaryIO,
    log: BinaryIO,
    data: Path,
    program: Path,
    *arguments: str,
    stays: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program as the server's user in its data folder, which is made. It ends with this process unless it
    `stays`."""
    guard = [json.dumps(of_server()), data.relative_to(folder.path), 0 if stays else os.getpid(), *folder.user()]
    where = HERE if HERE.exists() else data
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BECOME, *map(str, guard), program, f"-D{where}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[lock.fileno()],
        cwd=folder.path,
        umask=0o077,
        start_new_session=True,
    )
