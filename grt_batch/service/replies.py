"""What the service answers: always JSON, and a refusal always in the words of the upload protocol."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, cast

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from grt_batch.core.errors import printable
from grt_batch.core.logs import logger

_METHOD_NOT_ALLOWED = 405


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


def told(request: Request) -> str:
    """Return the method, the path and the sender of a request for the log."""
    sender = [request.client.host[:60]] if request.client else []
    if hasattr(request.state, "caller"):
        sender.insert(0, request.state.caller)
    return printable(f"{request.method} {request.scope['path']:.200} from {' at '.join(sender)}")


async def refused(request: Request, error: Exception) -> Response:
    """Answer a Refused."""
    refused = cast(Refused, error)
    logger.warning("%s: refused with %d: %s", told(request), refused.status, refused.message)
    return refusal(refused.status, refused.message, refused.headers)


async def http_error(request: Request, error: Exception) -> Response:
    """Answer an error of the framework: no such address, or another method."""
    found = cast(HTTPException, error)
    message = found.detail
    if found.status_code == _METHOD_NOT_ALLOWED:
        message = f"{request.method} is not allowed here; use {(found.headers or {}).get('Allow', 'another method')}"
    return refusal(found.status_code, message, found.headers)


async def unforeseen(request: Request, error: Exception) -> Response:
    """Answer an error of the program."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} at {place.filename}:{place.lineno}: {error}"
    logger.error("%s failed: %s", told(request), printable(what))
    return refusal(500, "The service failed; its log says why")
