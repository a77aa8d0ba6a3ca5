"""The HTTP of a connection, with a limit to the time that a request takes to begin, and errors in JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from grt_batch.core.logs import logger

MOST_HEADER_BYTES = 32 << 10
"""The most bytes of a request line with its headers."""


class Protocol(H11Protocol):
    """One connection, whose client may take `stall_seconds` for the next request to begin, with all its headers.

    As long the service takes the rest of a body that it has refused, since clients read when they have sent everything,
    and waits for a client that does not read.
    """

    stall_seconds = 60
    most_connections = 256

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._beginning = _Timer(self.loop, self.stall_seconds, self._give_up)
        self._reading = _Timer(self.loop, self.stall_seconds, self._abort)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(503, "The service has too many connections; send it again later")
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection."""
        self._beginning.stop()
        self._reading.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has headers that are too long."""
        self._refuse(400, "This is no HTTP request, or its headers are too long")

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._reading.start()

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._reading.stop()

    def _abort(self) -> None:
        self.transport.abort()

    def _watch(self) -> None:
        """Limit the time until a request begins."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._beginning.stop()
        elif not self.transport.is_closing():
            self._beginning.start()

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self._refuse(408, "The request took too long to begin")
        self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer by hand and close the connection, whatever state it is in."""
        peer = self.client[0] if self.client else "?"
        logger.warning("%s: refused with %d: %s", peer, status, message)
        body = orjson.dumps({"state": "error", "message": message})
        head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        self.transport.close()


class _Timer:
    """Does something after a time, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, action: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._action = action
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer where it does not run."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._ring)

    def stop(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._action()
