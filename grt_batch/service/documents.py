"""The documents that go over HTTP, as JSON Schemas with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grt_batch.service.filter import STATES

_LARGEST = 2**63 - 1


KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "pattern": r"^[^\x00]*$"},
    "tool": {"type": "string", "pattern": r"^[^\x00]*$"},
    "version": {"type": "string", "pattern": r"^[^\x00]*$"},
    "list": {"type": "string", "pattern": r"^[^\x00]*[^\x00,\s][^\x00]*$"},
    "count": {"type": "integer", "minimum": 0, "maximum": _LARGEST},
    "number": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "month": {"type": "string", "pattern": "^([0-9]{3}[1-9]-(0[1-9]|1[0-2]))?$"},
}
"""The values of each kind of parameter."""


EXAMPLES = {
    "tool": "bwa_mem2",
    "tools": "bwa_mem2,Cut1",
    "instance": "*",
    "version": "*",
    "startmonth": "2024-01",
    "endmonth": "2024-06",
    "from": "2024-01-01",
    "to": "2024-12-31",
    "state": "published",
    "archive": "1501836597.08",
}


REFUSALS = {
    400: "The request cannot be understood; the message says what to change.",
    403: "Only administrators may ask this.",
    404: "There is no such thing.",
    405: "Another method is needed.",
    408: "The client sent nothing for too long, or too slowly.",
    409: "There is an archive of this name with another content, or what is asked for is in cold storage.",
    411: "An upload needs a Content-Length.",
    412: "Another run has published since, and If-Match asked for the answer of an earlier one.",
    413: "Too large.",
    416: "The tar is shorter than that.",
    429: "Too much within an hour, or too many wrong keys.",
    503: "Something that the answer needs is not there now.",
    504: "The answer took too long: ask for less.",
    507: "There is no room.",
}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT: dict[str, Any] = {"type": "string"}


EXAMPLE_WHOAMI = {"galaxy": "Galaxy of the institute", "uploaded_reports": ["1501836597.08"]}


EXAMPLE_ARCHIVES = {
    "archives": [
        {
            "instance": "3",
            "archive": "1501836597.08",
            "generated": "2017-08-04T08:49:57Z",
            "bytes": 1048576,
            "state": "published",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "cold": False,
        }
    ],
    "next_page": None,
}


ERROR = _object(state={"const": "error"}, message=_TEXT)


STATE = _object(state=_TEXT)


WHOAMI = _object(galaxy=_TEXT, uploaded_reports=_list(_TEXT))


_DESCRIBED = _object(
    name=_TEXT,
    description=_TEXT,
    kind=_TEXT,
    values=_TEXT,
    default={"type": ["string", "null"]},
    required={"type": "boolean"},
)


QUERIES = _object(queries=_list(_object(name=_TEXT, question=_TEXT, parameters=_list(_DESCRIBED))))


_ROW = _object(
    instance=_TEXT,
    archive=_TEXT,
    generated={"type": "string", "format": "date-time"},
    bytes={"type": "integer"},
    state={"enum": list(STATES)},
    sha256={"type": ["string", "null"]},
    cold={"type": "boolean"},
)


ARCHIVES = _object(archives=_list(_ROW), next_page={"type": ["integer", "null"]})


MAP = _object(type={"const": "FeatureCollection"}, features=_list({"type": "object"}))


UPLOADED = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _object(
                    identifier={"type": "string", "pattern": "^[0-9]+([.][0-9]+)?$", "maxLength": 64},
                    meta={"type": "string", "format": "binary"},
                    data={"type": "string", "format": "binary"},
                )
            }
        },
    }
}
