"""Whether the service can take archives, and its metrics."""

from __future__ import annotations

import os

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from grt_batch.service.keys import ADMIN
from grt_batch.service.metrics import MEDIA_TYPE, Newest, Requests, rendered
from grt_batch.service.on_upload import Starter
from grt_batch.service.queries import get, who
from grt_batch.service.replies import Refused, reply
from grt_batch.service.state import Service


def routes(service: Service, requests: Requests, starter: Starter | None) -> list[BaseRoute]:
    """Return the routes for those who watch over the service."""
    newest = Newest()
    uploads = service.config.uploads

    async def healthz(_: Request) -> Response:
        if not await service.in_thread(os.access, uploads, os.R_OK | os.W_OK | os.X_OK):
            raise Refused(503, "The folder of the uploads cannot be written")
        return reply({"state": "ok"}, headers={"Cache-Control": "no-store"})

    async def metrics(request: Request) -> Response:
        # Which instances there are is not for everybody.
        admin = await who(service, request) == ADMIN
        seconds = await service.in_thread(newest.seconds, uploads) if admin else {}
        ended = starter.ended if starter else None
        uploads_now = dict(service.counts)
        text = await service.in_thread(rendered, service.config, requests, uploads_now, ended, seconds)
        return Response(text, 200, {"Cache-Control": "no-store"}, MEDIA_TYPE)

    return [*get("/healthz", healthz), *get("/metrics", metrics)]
