"""The process of the service: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotListen
from grt_batch.core.logs import logger
from grt_batch.service.protocol import MOST_HEADER_BYTES, Protocol

_BACKLOG = 1024


_END_SECONDS = 30
"""Seconds that requests have to end after a signal."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End by SIGTERM or SIGINT once the requests under way are answered, and return."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises CannotListen."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except socket.gaierror as error:
        raise CannotListen(host=host, port=port, what=error.strerror or error) from None
    except OSError as error:
        # In its own words, Python repeats the address.
        raise CannotListen(host=host, port=port, what=os.strerror(error.errno or 0)) from None
    except UnicodeError as error:
        raise CannotListen(host=host, port=port, what=error) from None
    # Connections inherit it. Without it the body of an answer waits 40 ms for the client to confirm the headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve_on(app: ASGIApp, listening: socket.socket, settings: Config) -> None:
    """Answer requests until a signal ends the process."""
    for name in ("uvicorn", "python_multipart"):
        # What they have to say is in this program's own words already.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    limits = {"stall_seconds": settings.stall_seconds, "most_connections": settings.max_connections}
    protocol = type("Protocol", (Protocol,), limits)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings.trusted_proxies),
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        timeout_graceful_shutdown=_END_SECONDS,
        backlog=_BACKLOG,
    )
    host, port = listening.getsockname()[:2]
    logger.info("listens on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    asyncio.run(_Server(config).serve(sockets=[listening]))
