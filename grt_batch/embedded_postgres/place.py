"""Where clients find the socket: a path short enough for it.

The kernel allows 108 bytes for the path of a socket. The server binds a path relative to its data, which always fits.
A client that cannot use the absolute path goes through a link in a temporary folder. The link belongs to the client:
if the system removes it, the next client makes it again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from grt_batch.core.errors import NoEmbeddedServer

PORT = 5432


SOCKET = f".s.PGSQL.{PORT}"


MAX_SOCKET_BYTES = 103
"""The longest path of a socket: sun_path of sys/un.h without the final null; 107 on Linux, 103 on macOS."""


PLACES = ("/tmp", "/var/tmp", "/dev/shm")
"""Folders for the link that are short everywhere; TMPDIR, which may not be, comes last."""


def fits(folder: Path) -> bool:
    """Return whether libpq can use a socket in `folder`. It takes a comma for the end of a name, and psycopg2 hands
    names over in UTF-8, whatever the encoding of file names is."""
    path = os.fsencode(folder / SOCKET)
    same = path == str(folder / SOCKET).encode(errors="replace")
    return len(path) <= MAX_SOCKET_BYTES and "," not in str(folder) and same


def places() -> Iterator[Path]:
    """Yield the temporary folders that are short enough."""
    own = []
    with suppress(OSError):  # there is none, or it is full
        own.append(tempfile.gettempdir())
    for place in dict.fromkeys([*PLACES, *own]):
        if fits(Path(place) / f"grt_batch-{'0' * 24}"):
            yield Path(place)


def short(folder: Path) -> Path:
    """Return `folder`, or the link to it that stands for it in a path. Raise NoEmbeddedServer if there can be none."""
    if fits(folder):
        return folder
    for place in places():
        link = place / _name(folder)
        if not _ours(link, folder):
            with suppress(OSError):  # it is another user's, or another process was faster
                link.unlink(missing_ok=True)
                link.symlink_to(folder)
        if _ours(link, folder):
            return link
    length = len(os.fsencode(folder / SOCKET))
    what = f"the path of its socket in {folder} has {length} bytes of {MAX_SOCKET_BYTES} that are possible"
    raise NoEmbeddedServer(what=f"{what}, and none of {', '.join(PLACES)} and TMPDIR takes a link to it")


def forget(folder: Path) -> None:
    """Remove the links that `short` made."""
    for place in () if fits(folder) else places():
        link = place / _name(folder)
        with suppress(OSError):
            if _ours(link, folder):
                link.unlink()


def _name(folder: Path) -> str:
    return f"grt_batch-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"


def _ours(link: Path, folder: Path) -> bool:
    """Return whether the link leads to the folder and is this user's; nobody else can change it then."""
    with suppress(OSError):
        return link.lstat().st_uid == os.geteuid() and link.readlink() == folder
    return False
