"""Raw archives over HTTP: a list of them, and a tar of those that match, to whoever may have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from grt_batch.core.errors import BadFilter, NothingToRead
from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.service.filter import Filter
from grt_batch.service.keys import ADMIN
from grt_batch.service.queries import get, once, who
from grt_batch.service.questions import OF_PAGES, Page
from grt_batch.service.replies import Refused, reply
from grt_batch.service.state import Service
from grt_batch.service.tar_stream import Changed, TarStream

if TYPE_CHECKING:
    from grt_batch.service.selection import Held, Selection

PAGE_ROWS = 1000
"""The most archives on a page of the list."""


COLD_HEADER = "X-Archives-In-Cold-Storage"
"""The header with the number of archives that match, and are left out of the tar since they are in cold storage."""


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}


def routes(service: Service) -> list[BaseRoute]:
    """Return the routes of the archives."""

    @cache
    def selection() -> Selection:
        # It imports what reads the store: a service that only takes archives does without.
        from grt_batch.service.selection import Selection

        return Selection(service.config)

    async def archive_list(request: Request) -> Response:
        caller, given = await who(service, request), once(request)
        page = Page.parse(given, PAGE_ROWS)
        wanted = _wanted({name: text for name, text in given.items() if name not in OF_PAGES})
        rows = await service.in_thread(_rows, selection, caller, wanted, page)
        more = len(rows) > page.size
        document = {"archives": rows[: page.size], "next_page": page.number + 1 if more else None}
        return reply(document, headers=_PRIVATE)

    async def download(request: Request) -> Response:
        caller, wanted = await who(service, request), _wanted(once(request))
        stream, name, cold = await service.in_thread(_stream, selection, caller, wanted)
        if _has(request, "if-none-match", stream.etag):
            return Response(status_code=304, headers={"ETag": stream.etag, **_PRIVATE})
        begin, end, status = _range(request, stream)
        headers = {
            "Content-Length": str(end - begin),
            "Content-Disposition": f'attachment; filename="{name}"',
            "Accept-Ranges": "bytes",
            "ETag": stream.etag,
            **({COLD_HEADER: str(cold)} if cold else {}),
            **({"Content-Range": f"bytes {begin}-{end - 1}/{stream.size}"} if status == 206 else {}),
            **_PRIVATE,
        }
        if request.method == "HEAD":
            return Response(None, status, headers, "application/x-tar")
        return StreamingResponse(_sent(stream, begin, end), status, headers, "application/x-tar")

    return [*get("/api/archives", archive_list), *get("/api/archives/download", download)]


def _wanted(given: Mapping[str, str]) -> Filter:
    try:
        return Filter.parse(given)
    except BadFilter as error:
        raise Refused(400, str(error)) from None


def _allowed(selection: Callable[[], Selection], caller: str | None, wanted: Filter) -> Iterator[Held]:
    """Yield the archives that a caller may have: an instance its own, an administrator all, everybody the public ones.

    What a caller may not have does not exist for him.
    """
    try:
        yield from selection().held(wanted, lambda instance_id: caller in (ADMIN, instance_id))
    except NothingToRead as error:
        logger.error("%s", error)
        raise Refused(503, "The archives cannot be read now: try again later") from None


def _rows(
    selection: Callable[[], Selection], caller: str | None, wanted: Filter, page: Page
) -> list[dict[str, object]]:
    """Return the rows of a page, and one more if there is another."""
    rows = islice(_allowed(selection, caller, wanted), page.begin, page.begin + page.size + 1)
    return [found.as_json() for found in rows]


def _stream(selection: Callable[[], Selection], caller: str | None, wanted: Filter) -> tuple[TarStream, str, int]:
    """Return the tar of the archives that match, its name, and how many are in cold storage. Raises Refused."""
    allowed = list(_allowed(selection, caller, wanted))
    found, cold = [one for one in allowed if one.files], sum(one.cold for one in allowed)
    if not found and cold:
        are = f"{counted(cold, 'archive')} {'is' if cold == 1 else 'are'}"
        raise Refused(409, f"{are} in cold storage; ask the administrators of the service to bring back what you need")
    if not found:
        raise Refused(404, "There is no such archive, or it is not yours")
    try:
        stream = TarStream(file for one in found for file in one.files)
    except OSError as error:
        logger.error("an archive cannot be read: %s", error)
        raise Refused(503, "An archive cannot be read now: try again later") from None
    return stream, f"{found[0].instance_id}.{found[0].name}.tar" if len(found) == 1 else "archives.tar", cold


def _range(request: Request, stream: TarStream) -> tuple[int, int, int]:
    """Return the first byte that is asked for, the one after the last, and the status. Raises Refused.

    Several ranges, and what is no range, count as none (RFC 9110, 14.2), and so does one of an earlier tar.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if not match or not (match[1] or match[2]) or not _has(request, "if-range", stream.etag, missing=True):
        return 0, stream.size, 200
    if match[1]:
        begin, end = int(match[1]), min(int(match[2] or stream.size) + 1, stream.size)
        if match[2] and int(match[2]) < begin:
            return 0, stream.size, 200
    else:
        begin, end = max(stream.size - int(match[2]), 0), stream.size
    if begin >= end:
        headers = {"Content-Range": f"bytes */{stream.size}"}
        raise Refused(416, f"The tar has {stream.size} bytes: ask for some of these", headers)
    return begin, end, 206


def _has(request: Request, header: str, tag: str, *, missing: bool = False) -> bool:
    """Return whether a header names this tag; `missing` without such a header."""
    value = request.headers.get(header)
    return missing if value is None else tag in [text.strip().removeprefix("W/") for text in value.split(",")]


def _sent(stream: TarStream, begin: int, end: int) -> Iterator[bytes]:
    """Yield the bytes. A file that changed breaks the answer off, so that nobody takes it for whole."""
    try:
        yield from stream.read(begin, end)
    except (Changed, OSError) as error:
        logger.warning("a download was broken off: %s", error)
        raise
