"""The upload protocol that Galaxy's client speaks: whoami and upload, below any prefix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from grt_batch.service.replies import refusal, reply
from grt_batch.service.state import Service


def routes(service: Service) -> list[BaseRoute]:
    """Return the routes of the protocol."""

    async def whoami(request: Request) -> Response:
        await service.caller(request)
        return reply({"galaxy": "", "uploaded_reports": []})

    async def upload(request: Request) -> Response:
        await service.caller(request)
        return refusal(501, "Not yet")

    return [*anywhere("/api/whoami", whoami, "POST"), *anywhere("/api/v2/upload", upload, "POST")]


def anywhere(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str) -> list[BaseRoute]:
    """Return routes for every address that ends in `path`: a proxy may serve the service below a prefix."""
    return [Route(place, endpoint, methods=[method]) for place in (path, f"/{{prefix:path}}{path}")]
