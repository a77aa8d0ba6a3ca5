"""The description of all addresses in the words of OpenAPI 3.1, made from the queries and the code that answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from grt_batch import __version__
from grt_batch.queries.definitions import Parameter, Query
from grt_batch.service.archives import PAGE_ROWS
from grt_batch.service.documents import (
    ARCHIVES,
    ERROR,
    EXAMPLE_ARCHIVES,
    EXAMPLE_WHOAMI,
    EXAMPLES,
    KINDS,
    MAP,
    QUERIES,
    REFUSALS,
    STATE,
    UPLOADED,
    WHOAMI,
)
from grt_batch.service.filter import FILTER, STATES
from grt_batch.service.queries import get
from grt_batch.service.questions import FORMATS, LAST_PAGE
from grt_batch.service.state import Service

_REF = {"$ref": "#/components/schemas/Error"}


_SAME = {"description": "The answer that If-None-Match names is still right."}


_KEY_NEEDED: dict[str, Any] = {"security": [{"key": []}]}


_HANDED_OUT = (400, 403, 404, 409, 416, 429, 503)


_QUESTION, _KEYED = (400, 403, 404, 412, 429, 503, 504), (400, 403, 404, 416, 429, 503)


_UPLOAD = (400, 403, 408, 409, 411, 413, 429, 503, 507)


def routes(service: Service, queries: Mapping[str, Query]) -> list[BaseRoute]:
    """Return the route of the description."""
    content = orjson.dumps(description(queries.values(), service.config.query_page_rows))
    headers = {"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"}

    async def openapi(_: Request) -> Response:
        return Response(content, 200, headers, "application/json")

    return get("/api/openapi.json", openapi)


def description(queries: Iterable[Query], page_rows: int) -> dict[str, Any]:
    """Return the document."""
    same = {"304": _SAME}
    part = {**same, "206": {"description": "The part that Range names.", "content": _media("application/x-tar")}}
    places = {"application/geo+json": {"schema": MAP}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Galactic Radio Telescope",
            "version": __version__,
            "description": "Takes archives of Galaxy jobs, answers questions about them, and hands archives out.",
        },
        # The document lies below /api, and so does everything else: the prefix of a proxy need not be known.
        "servers": [{"url": ".."}],
        "paths": {
            **_PROTOCOL,
            "/api/queries": {"get": _operation("Which questions are there?", _json(QUERIES), (412,), also=same)},
            **{f"/api/queries/{query.name}": {"get": _query(query, page_rows)} for query in queries},
            "/api/instances.geojson": {
                "get": _operation("Where are the public instances?", places, (412, 503, 504), also=same)
            },
            "/api/archives": {
                "get": _operation(
                    "Which raw archives are there?",
                    _json(ARCHIVES, EXAMPLE_ARCHIVES),
                    _KEYED,
                    [*_filter(), *_pages(PAGE_ROWS)],
                )
            },
            "/api/archives/download": {
                "get": _operation("Raw archives as a tar.", _media("application/x-tar"), _HANDED_OUT, _filter(), part)
            },
            "/api/openapi.json": {"get": _operation("This document.", _json({"type": "object"}), ())},
            "/healthz": {"get": _operation("Can archives be taken?", _json(STATE, {"state": "ok"}), (503,))},
            "/metrics": {"get": _operation("Metrics for Prometheus.", _media("text/plain"), (400, 429))},
        },
        "components": {
            "schemas": {"Error": ERROR},
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "<instance_id>:<key>, with * as the instance for administrators",
                }
            },
        },
        "security": [{}, {"key": []}],
    }


def _operation(
    summary: str,
    good: Mapping[str, Any],
    refusals: Iterable[int],
    parameters: Iterable[Mapping[str, Any]] = (),
    also: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an operation: what it is for, its parameters, and the answers that it may have."""
    refused = {
        str(code): {"description": REFUSALS[code], "content": {"application/json": {"schema": _REF}}}
        for code in sorted({*refusals, 405})
    }
    return {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": {"description": "The answer.", "content": dict(good)}, **(also or {}), **refused},
    }


def _query(query: Query, page_rows: int) -> dict[str, Any]:
    form = _parameter("format", {"enum": list(FORMATS)}, "format of the answer", "json")
    own = [_of_query(parameter) for parameter in query.parameters]
    rows = {"type": "array", "items": {"type": "object"}}
    content: dict[str, Any] = {media.partition(";")[0]: {"schema": {"type": "string"}} for media in FORMATS.values()}
    content["application/json"] = {"schema": rows}
    return _operation(query.question, content, _QUESTION, [*own, form, *_pages(page_rows)], {"304": _SAME})


def _of_query(parameter: Parameter) -> dict[str, Any]:
    schema = dict(KINDS.get(parameter.kind) or {"enum": parameter.kind.split("|")})
    default: Any = parameter.default
    if schema.get("type") in ("integer", "number") and default is not None:
        default = int(default)
    found = _parameter(parameter.name, schema, f"{parameter.doc} ({parameter.wanted})", default)
    return {**found, "required": default is None}


def _parameter(name: str, schema: Mapping[str, Any], doc: str, default: Any = None) -> dict[str, Any]:
    shown = dict(schema) if default is None else {**schema, "default": default}
    example = EXAMPLES.get(name, default)
    found = {"name": name, "in": "query", "required": False, "description": doc, "schema": shown}
    return found if example is None else {**found, "example": example}


def _pages(rows: int) -> list[dict[str, Any]]:
    return [
        _parameter("page", {"type": "integer", "minimum": 1, "maximum": LAST_PAGE}, "page of a long answer", 1),
        _parameter("page_size", {"type": "integer", "minimum": 1, "maximum": rows}, "rows of a page", rows),
    ]


def _filter() -> list[dict[str, Any]]:
    schemas: dict[str, dict[str, Any]] = {
        "from": {"type": "string", "format": "date"},
        "to": {"type": "string", "format": "date"},
        "state": {"enum": list(STATES)},
    }
    return [_parameter(name, schemas.get(name, {"type": "string"}), doc) for name, doc in FILTER.items()]


def _json(schema: Mapping[str, Any], example: Any = None) -> dict[str, Any]:
    found = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {"application/json": found}


def _media(kind: str) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string"}}}


_PROTOCOL = {
    "/api/whoami": {
        "post": {
            **_operation("Which archives of mine are here?", _json(WHOAMI, EXAMPLE_WHOAMI), (400, 403, 429, 503)),
            **_KEY_NEEDED,
        }
    },
    "/api/v2/upload": {
        "post": {
            **_operation("Send an archive.", _json(STATE, {"state": "success"}), _UPLOAD),
            **UPLOADED,
            **_KEY_NEEDED,
        }
    },
}
