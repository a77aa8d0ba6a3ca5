"""The process of the service: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from grt_batch.core.errors import CannotListen
from grt_batch.core.logs import logger


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
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise CannotListen(host=host, port=port, what=error.strerror or error) from None


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Answer requests until a signal ends the process."""
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, ws="none")
    host, port = listening.getsockname()[:2]
    logger.info("listens on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    asyncio.run(_Server(config).serve(sockets=[listening]))
