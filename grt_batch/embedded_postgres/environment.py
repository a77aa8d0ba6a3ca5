"""What the embedded server and its clients hear of the environment: nothing that is meant for another PostgreSQL.

libpq takes whatever its caller leaves out from variables such as PGSERVICE, PGHOSTADDR or PGOPTIONS. They may lead to
another server, or change what this one does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

LIBPQ = "PG"
"""How the names of libpq's variables begin."""


@contextmanager
def unheard() -> Iterator[None]:
    """Hide libpq's variables from this process, and from those that it starts, for the duration of the block."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(LIBPQ)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def of_server() -> dict[str, str]:
    """Return the environment of the server and initdb.

    Also without libraries to preload or to prefer, locales, time zones, and the settings of other software.
    """
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
