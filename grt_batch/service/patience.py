"""How long the service waits for the body of a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grt_batch.core.config import Config
from grt_batch.service.replies import Refused


class Patience:
    """An application around another one, that cuts off clients that stall.

    A client that sends nothing of a body for too long, or sends it too slowly on average, is refused with 408.
    """

    def __init__(self, app: ASGIApp, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._stall = config.stall_seconds
        self._slowest = config.slowest_bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, size, more = self._clock(), 0, True

        async def patient_receive() -> Message:
            nonlocal size, more
            if not more:
                # What comes after the body is the end of the connection, and that may take its time.
                return await receive()
            try:
                async with asyncio.timeout(self._stall):
                    message = await receive()
            except TimeoutError:
                raise _too_slow(f"sent nothing for {self._stall} seconds") from None
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if more and self._slowest and self._clock() - begin > self._stall + size / self._slowest:
                raise _too_slow(f"sends less than {self._slowest} bytes a second")
            return message

        await self._app(scope, patient_receive, send)


def _too_slow(what: str) -> Refused:
    return Refused(408, f"The client {what}; send it again", {"Connection": "close"})
