"""Questions over HTTP: the ready queries, and the map of the public instances."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from grt_batch.core.digest import digest
from grt_batch.core.errors import BadParameter
from grt_batch.queries.definitions import Parameter, Query
from grt_batch.service.connections import Connections
from grt_batch.service.keys import ADMIN
from grt_batch.service.questions import FORMATS, OF_ANSWERS, Page, Question, latest_run
from grt_batch.service.replies import Refused
from grt_batch.service.state import Service
from grt_batch.service.uploads import anywhere

_MAP = """
SELECT instance_id, url, title, description, jobs, last_generated, longitude, latitude
FROM {}.instance WHERE longitude IS NOT NULL AND latitude IS NOT NULL ORDER BY instance_id
"""


def routes(service: Service, queries: Mapping[str, Query], connections: Connections) -> list[BaseRoute]:
    """Return the routes of the questions."""

    async def query_list(request: Request) -> Response:
        content = orjson.dumps({"queries": [described(query) for query in queries.values()]})
        tag = f'"{digest(content)[:32]}"'
        if _fails(request, tag):
            return _not_sent(request, tag)
        return _answer(service, content, "application/json", tag, admin=False)

    async def query(request: Request) -> Response:
        admin = await who(service, request) == ADMIN
        question = _question(service, queries, request)

        def ask(link: Any, schema: str) -> tuple[str, tuple[bytes, bool] | None]:
            tag = question.tag(latest_run(link, schema), schema)
            return tag, None if _fails(request, tag) else question.answer(link, schema)

        tag, found = await connections.ask(ask, admin=admin)
        if found is None:
            return _not_sent(request, tag)
        content, more = found
        headers = {"Link": _next(request, question.page)} if more else {}
        return _answer(service, content, FORMATS[question.form], tag, admin=admin, headers=headers)

    async def instance_map(request: Request) -> Response:

        def ask(link: Any, schema: str) -> tuple[str, bytes | None]:
            tag = f'"{latest_run(link, schema)}.map"'
            if _fails(request, tag):
                return tag, None
            with link.cursor() as cursor:
                cursor.execute(_MAP.format(schema))
                return tag, orjson.dumps({"type": "FeatureCollection", "features": list(map(_feature, cursor))})

        tag, content = await connections.ask(ask)
        if content is None:
            return _not_sent(request, tag)
        return _answer(service, content, "application/geo+json", tag, admin=False)

    return [
        *get("/api/queries", query_list),
        *get("/api/queries/{name}", query),
        *get("/api/instances.geojson", instance_map),
    ]


def get(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> list[BaseRoute]:
    """Return routes for what is read, below any prefix."""
    return anywhere(path, endpoint, "GET")


async def who(service: Service, request: Request) -> str | None:
    """Return the instance that asks, None for somebody without a key. Raises Refused for a wrong key."""
    return await service.caller(request) if "authorization" in request.headers else None


def once(request: Request) -> dict[str, str]:
    """Return the parameters of a URL. Raises Refused for one that comes twice."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise Refused(400, f"{name!r:.100} is given twice")
        given[name] = value
    return given


def described(query: Query) -> dict[str, Any]:
    """Return a query as the list shows it."""
    return {
        "name": query.name,
        "question": query.question,
        "parameters": [_parameter(parameter) for parameter in query.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "description": parameter.doc,
        "kind": parameter.kind,
        "values": parameter.wanted,
        "default": parameter.default,
        "required": parameter.default is None,
    }


def _question(service: Service, queries: Mapping[str, Query], request: Request) -> Question:
    name = request.path_params["name"]
    found = queries.get(name.replace("_", "-"))
    if found is None:
        raise Refused(404, f"There is no query {name!r:.100}: see /api/queries")
    given = once(request)
    form = given.get("format", "json")
    if form not in FORMATS:
        raise Refused(400, f"format is {' or '.join(FORMATS)}, not {form!r:.100}")
    page = Page.parse(given, service.config.query_page_rows)
    try:
        values = found.values({key: value for key, value in given.items() if key not in OF_ANSWERS})
    except BadParameter as error:
        raise Refused(400, str(error)) from None
    return Question(found, values, form, page)


def _fails(request: Request, tag: str) -> bool:
    """Return whether the caller has this answer already, or wants one of an earlier run alone."""
    return _names(request, "if-none-match", tag) or (
        "if-match" in request.headers and not _names(request, "if-match", tag)
    )


def _names(request: Request, header: str, tag: str) -> bool:
    tags = [text.strip().removeprefix("W/") for text in request.headers.get(header, "").split(",")]
    return tag in tags or "*" in tags


def _not_sent(request: Request, tag: str) -> Response:
    """Return the answer without content for what the caller has. Raises Refused for an answer that is no more."""
    if _names(request, "if-none-match", tag):
        return Response(status_code=304, headers={"ETag": tag, "Vary": "Authorization"})
    raise Refused(412, "Another run has published since: begin again with the first page")


def _answer(
    service: Service, content: bytes, media: str, tag: str, *, admin: bool, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that may be kept for a while; what an administrator sees is for nobody else."""
    seconds = service.config.query_cache_seconds
    shared = {"Cache-Control": f"private, max-age={seconds}"}
    if not admin:
        shared = {"Cache-Control": f"public, max-age={seconds}", "Access-Control-Allow-Origin": "*"}
    return Response(content, 200, {"ETag": tag, "Vary": "Authorization", **shared, **(headers or {})}, media)


def _next(request: Request, page: Page) -> str:
    """Return the header that names the next page. A relative address holds below any prefix."""
    given = {**dict(request.query_params), "page": str(page.number + 1)}
    return f'<?{urlencode(given)}>; rel="next"'


def _feature(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return an instance as GeoJSON (RFC 7946) has it: the longitude comes first."""
    instance_id, url, title, description, jobs, last, longitude, latitude = row
    properties = {
        "instance_id": instance_id,
        "url": url,
        "title": title,
        "description": description,
        "jobs": jobs,
        "last_generated": None if last is None else f"{last.isoformat(timespec='seconds')}Z",
    }
    point = {"type": "Point", "coordinates": [longitude, latitude]}
    return {"type": "Feature", "id": instance_id, "geometry": point, "properties": properties}
