"""Calls an application in this process, as a server does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from galaxy_client import Reply
from starlette.types import ASGIApp, Message


def ask(
    app: ASGIApp,
    path: str,
    method: str = "GET",
    body: bytes = b"",
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return the answer to a request. An error that the application raises behind its answer is passed over."""
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"content-length": str(len(body)), **(headers or {})}.items()
        ],
        "client": ("10.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
        "state": {},
    }

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    with suppress(Exception):
        asyncio.run(_run(app, scope, receive, send))
    assert sent, "no answer"
    found = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


async def _run(app: ASGIApp, *arguments: object) -> None:
    await app(*arguments)  # type: ignore[arg-type]
