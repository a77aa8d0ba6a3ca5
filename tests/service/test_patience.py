"""A body that does not come is not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive, Scope, Send

from grt_batch.core.config import Config
from grt_batch.service.patience import Patience
from grt_batch.service.replies import Refused


def received(
    pieces: Iterable[tuple[float, Message | None]], config: Config, scope: str = "http"
) -> tuple[list[Message], str]:
    """What an application receives of messages that come at these times; None is one that does not come."""
    now, got = 0.0, []
    waiting = iter(pieces)

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        while True:
            got.append(await receive())

    async def receive() -> Message:
        nonlocal now
        now, message = next(waiting, (now, None))
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        return message

    async def send(_: Message) -> None: ...

    async def run() -> str:
        patience = Patience(app, config, lambda: now)
        patience._stall = min(0.1, config.stall_seconds)
        try:
            async with asyncio.timeout(0.5):
                await patience({"type": scope, "path": "/"}, receive, send)
        except Refused as error:
            assert error.status == 408
            assert error.headers == {"Connection": "close"}
            return error.message
        except TimeoutError:
            return "waits"
        raise AssertionError

    return got, asyncio.run(run())


def piece(size: int, more: bool = True) -> Message:
    return {"type": "http.request", "body": bytes(size), "more_body": more}


CONFIG = Config(stall_seconds=1, slowest_bytes_per_second=100)


def test_a_client_that_sends_nothing_more() -> None:
    got, end = received([(0, piece(10)), (0.05, piece(10))], CONFIG)
    assert (len(got), end) == (2, "The client sent nothing for 0.1 seconds; send it again")


def test_a_client_that_is_too_slow() -> None:
    got, end = received([(0.05, piece(1)), (1.1, piece(100)), (2.5, piece(1))], CONFIG)
    assert (len(got), end) == (2, "The client sends less than 100 bytes a second; send it again")


@pytest.mark.parametrize("scope", ["http", "lifespan"])
def test_what_comes_after_the_body_may_take_its_time(scope: str) -> None:
    slow = Config(stall_seconds=1, slowest_bytes_per_second=0)
    got, end = received([(0, piece(10)), (10_000, piece(10, more=False))], slow, scope)
    assert (len(got), end) == (2, "waits")
