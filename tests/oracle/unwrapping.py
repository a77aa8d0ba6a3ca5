"""The value of a parameter, out of the shapes in which exporters wrote it: by the standard library alone."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from redacting import redact

LONGEST_BYTES = 1024
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""No database holds NUL or half a surrogate pair."""


class Number(str):
    """A number, in the digits that were written."""

    __slots__ = ()


def unwrap(name: str | None, text: str) -> tuple[str | None, bool]:
    """The value that `text` stands for, as published, and whether by its form it names datasets and says nothing else.
    What is to be redacted of it is (see `redacting`).

    JSON in JSON is opened until there is something else, an object with the parameter's name as its only key as well.
    """
    if text in ("null", "None"):
        return None, False
    if text == '"null"':
        return "[redacted]", False
    value: Any = text
    while True:
        if isinstance(value, str) and value[:1] in ('"', "{", "["):
            try:
                value = json.loads(value, parse_int=Number, parse_float=Number, parse_constant=Number)
            except ValueError:
                break
        elif isinstance(value, dict) and list(value) == [name]:
            value = None if value[name] == "null" else value[name]
        else:
            break
    if value is None:
        return None, False
    plain = value if isinstance(value, str) else _json(value)
    return _short(redact(name, UNSTORABLE.sub("\ufffd", plain))), _names_datasets(value)


def _json(value: Any) -> str:
    """JSON with sorted keys and no spaces."""
    match value:
        case Number():
            return str(value)
        case dict():
            return "{" + ",".join(f"{_json(key)}:{_json(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_json, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _names_datasets(value: Any) -> bool:
    """A reference `{"src": …, "id": …}`, some of them, or any number of them in `{"values": […]}`."""
    match value:
        case {"values": [*inner], **rest} if not rest:
            return all(map(_is_reference, inner))
        case [_, *_]:
            return all(map(_is_reference, value))
        case _:
            return _is_reference(value)


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and "id" in value and type(value.get("src")) is str


def _short(value: str) -> str:
    """A value of more than LONGEST_BYTES ends in a hash of all of it."""
    whole = value.encode()
    if len(whole) <= LONGEST_BYTES:
        return value
    end = f"…{hashlib.sha256(whole).hexdigest()[:16]}"
    return whole[: LONGEST_BYTES - len(end.encode())].decode("utf-8", "ignore") + end
