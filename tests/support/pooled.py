"""Runs a PgBouncer before a server."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pgbouncer(server: str, mode: str, *settings: str) -> Iterator[str]:
    """The DSN of a PgBouncer in a pool mode, with one connection for each database of the server."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed")
    found = psycopg2.extensions.parse_dsn(server)
    folder = Path(tempfile.mkdtemp(prefix="grt_batch-pooler-"))
    lines = [
        "[databases]",
        f"* = host={found['host']} port={found['port']} user={found['user']}",
        "[pgbouncer]",
        f"unix_socket_dir = {folder}",
        "listen_port = 6432",
        "auth_type = any",
        f"pool_mode = {mode}",
        "default_pool_size = 1",
        f"pidfile = {folder}/pid",
        *settings,
    ]
    file = folder / "pgbouncer.ini"
    file.write_text("\n".join(lines))
    # It refuses to run as root, and the socket of the server is closed to all but the server's user.
    owner = pwd.getpwuid(Path(found["host"]).stat().st_uid).pw_name
    user = ["-u", owner] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, owner)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *user, str(file)], stdout=log, stderr=log)
        try:
            url = psycopg2.extensions.make_dsn(server, host=str(folder), port=6432)
            _wait(url, process)
            yield url
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until it answers."""
    while process.poll() is None:
        try:
            with closing(psycopg2.connect(url)):
                return
        except psycopg2.OperationalError:
            time.sleep(0.02)
    raise AssertionError("pgbouncer has ended")
