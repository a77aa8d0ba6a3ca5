"""The upload protocol that Galaxy's client speaks: whoami and upload, below any prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.service.replies import Refused, reply
from grt_batch.service.state import Service
from grt_batch.service.upload import Upload
from grt_batch.uploads.scan import archive_files, instance_metadata, is_whole

_BATCH_BYTES = 512 << 10
"""Bytes of a body that are handed to a thread at a time. An upload has two such batches in memory at most."""


def routes(service: Service) -> list[BaseRoute]:
    """Return the routes of the protocol."""

    async def whoami(request: Request) -> Response:
        folder = await service.instance(request)
        title, names = await service.in_thread(_listed, folder)
        return reply({"galaxy": title, "uploaded_reports": names})

    async def upload(request: Request) -> Response:
        folder = await service.instance(request)
        try:
            await _take(service, folder, request)
        except Refused as error:
            service.counts[f"refused_{error.status}"] += 1
            raise
        return reply({"state": "success"})

    return [*anywhere("/api/whoami", whoami, "POST"), *anywhere("/api/v2/upload", upload, "POST")]


def anywhere(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str) -> list[BaseRoute]:
    """Return routes for every address that ends in `path`: a proxy may serve the service below a prefix."""
    return [Route(place, endpoint, methods=[method]) for place in (path, f"/{{prefix:path}}{path}")]


def _listed(folder: Path) -> tuple[str, list[str]]:
    """Return the title of an instance, and the names of its whole archives in order."""
    names = [name for name, files in archive_files(folder).items() if is_whole(files)]
    return instance_metadata(folder).title or folder.name, sorted(names, key=lambda name: (Decimal(name), name))


async def _take(service: Service, folder: Path, request: Request) -> None:
    """Store the archive in a request. Raises Refused."""
    place = await service.in_thread(service.room.keep, folder, _announced(request))
    try:
        content_type = request.headers.get("content-type", "")
        upload = await service.in_thread(Upload, folder, content_type, place, service.config)
        try:
            await _receive(service, request, upload)
            name = await service.in_thread(upload.finish)
            async with service.publishing[folder]:
                new = await service.in_thread(upload.publish, name)
        finally:
            await service.in_thread(upload.close)
    finally:
        service.room.release(place)
    service.counts["stored" if new else "repeated"] += 1
    service.counts["bytes"] += upload.bytes if new else 0
    logger.info(
        "archive %s of %s %s, %s", name, folder.name, "stored" if new else "is there already",
        counted(upload.bytes, "byte"),
    )  # fmt: skip
    if new:
        for listener in service.stored:
            await listener(folder.name, name)


def _announced(request: Request) -> int:
    """Return the bytes of the body, to which the server holds the client."""
    length = request.headers.get("content-length")
    if length is None:
        raise Refused(411, "An upload needs a Content-Length")
    return int(length)


async def _receive(service: Service, request: Request, upload: Upload) -> None:
    """Write the body of a request while more of it arrives. Raises Refused."""
    batch: list[bytes] = []
    size = 0
    writing: asyncio.Task[None] | None = None
    try:
        async for piece in request.stream():
            batch.append(piece)
            size += len(piece)
            if size >= _BATCH_BYTES:
                if writing:
                    await writing
                writing = asyncio.create_task(service.in_thread(upload.write, b"".join(batch)))
                batch, size = [], 0
        if writing:
            await writing
        await service.in_thread(upload.write, b"".join(batch))
    except ClientDisconnect:
        raise Refused(400, "The client went away before the end of its upload") from None
    finally:
        if writing:
            await asyncio.gather(writing, return_exceptions=True)
