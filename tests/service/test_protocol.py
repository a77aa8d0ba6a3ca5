"""Connections: not too many, none for ever. What needs no process of its own is in test_uploads.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from grt_batch.service.protocol import Protocol

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with more than buffers hold where the address says so."""
    size = 20_000_000 if scope["path"] == "/large" else 2
    await Response(bytes(size))(scope, receive, send)


class Impatient(Protocol):
    """A connection of which there are two at most."""

    stall_seconds = 0.2  # type: ignore[assignment]
    most_connections = 2
    lost: asyncio.Event

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


def serving(client: Callable[[Callable[[], Awaitable[Streams]]], Awaitable[None]]) -> None:
    async def run() -> None:
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=10)
        config.load()
        Impatient.lost = asyncio.Event()
        state, loop = ServerState(), asyncio.get_running_loop()
        server = await loop.create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await client(lambda: asyncio.open_connection("127.0.0.1", port))

    asyncio.run(run())


async def ask(streams: Streams, text: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
    streams[1].write(text)
    return await streams[0].readuntil(b"\r\n\r\n")


async def left(streams: Streams) -> bytes:
    """What is left to read, until the connection ends."""
    try:
        return await streams[0].read()
    except ConnectionResetError:
        return b"reset"
    finally:
        streams[1].close()


def test_a_connection_too_many_is_told_so() -> None:
    async def client(connect: Callable[[], Awaitable[Streams]]) -> None:
        first, second = await connect(), await connect()
        assert b" 200 " in await ask(first)
        assert b" 200 " in await ask(second)
        head, _, body = (await left(await connect())).partition(b"\r\n\r\n")
        assert b" 503 " in head
        assert json.loads(body)["state"] == "error"
        await left(first)
        third = await connect()
        assert b" 200 " in await ask(third)
        await left(second)
        await left(third)

    serving(client)


def test_requests_that_do_not_begin_are_cut_off() -> None:
    async def client(connect: Callable[[], Awaitable[Streams]]) -> None:
        assert b" 408 " in await left(await connect())
        streams = await connect()
        assert b" 200 " in await ask(streams)
        streams[1].write(b"GET / HT")
        # The first answer's body, and nothing more.
        assert await left(streams) == bytes(2)

    serving(client)


def test_clients_that_do_not_read_are_cut_off() -> None:
    async def client(connect: Callable[[], Awaitable[Streams]]) -> None:
        streams = await connect()
        streams[1].transport.pause_reading()  # type: ignore[attr-defined]
        streams[1].write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await Impatient.lost.wait()
        streams[1].transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await left(streams)) < 20_000_000

    serving(client)


def test_a_body_that_nobody_wants_is_taken_for_a_while() -> None:
    async def client(connect: Callable[[], Awaitable[Streams]]) -> None:
        streams = await connect()
        assert b" 200 " in await ask(streams, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        streams[1].write(bytes(5_000_000))
        await streams[1].drain()
        assert await left(streams) in (bytes(2), b"reset")

    serving(client)
