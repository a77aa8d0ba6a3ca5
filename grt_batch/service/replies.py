"""What the service answers: always JSON, and a refusal always in the words of the upload protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from grt_batch.core.logs import logger


class Refused(Exception):
    """A request that is refused: the status, and one sentence that says what to do."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def reply(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a document as an answer."""
    return Response(orjson.dumps(document), status, headers, "application/json")


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the protocol's error."""
    return reply({"state": "error", "message": message}, status, headers)


async def refused(_: Request, error: Exception) -> Response:
    """Answer a Refused."""
    assert isinstance(error, Refused)
    return refusal(error.status, error.message, error.headers)


async def http_error(_: Request, error: Exception) -> Response:
    """Answer an error of the framework: no such address, or another method."""
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, error.headers)


async def unforeseen(request: Request, error: Exception) -> Response:
    """Answer an error of the program."""
    logger.error("%s %r failed: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return refusal(500, "The service failed; its log says why")
