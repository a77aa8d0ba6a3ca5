"""What the values of parameters say, for the other ways: neither SQL nor expressions of polars can take JSON of any
form apart, so a Python function does it for each different value.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import orjson

MOST_VALUES = 100
_LONGEST = 1024
_LEVELS = 16


def unfolded(name: str | None, text: str | None) -> list[tuple[str, str | None, bool]]:
    """Return the leaves of a value: names, values, and whether they only name datasets; without what Galaxy adds."""
    return [
        (leaf, value and _short(value), names_data)
        for leaf, value, names_data in _inside(name or "", _opened(name, text), _LEVELS)
        if not any(piece.startswith("__") or piece == "chromInfo" for piece in leaf.split("|"))
    ]


def _opened(name: str | None, text: str | None) -> Any:
    """Return what is inside all the JSON around a value."""
    if text is None or text == "null":
        return None
    value: Any = "[redacted]" if text == '"null"' else text
    while True:
        if isinstance(value, str) and value.startswith(('"', "{", "[")) and value != "[redacted]":
            try:
                value = orjson.loads(value)
            except ValueError:
                return value
        elif isinstance(value, dict) and value.keys() == {name}:
            value = None if value[name] == "null" else value[name]
        else:
            return value


def _inside(name: str, value: Any, levels: int) -> Iterator[tuple[str, str | None, bool]]:
    if value is None or isinstance(value, str):
        names_data = _names_data(_written(value))
        yield name, None if names_data else value, names_data
    elif _names_data(value):
        yield name, None, True
    elif isinstance(value, dict) and value and levels:
        for key, item in value.items():
            yield from _inside(f"{name}|{key}", item, levels - 1)
    elif isinstance(value, list) and levels and _holds_object(value):
        yield name, str(len(value)), False
        for item in value:
            yield from _inside(name, item, levels - 1)
    else:
        # Numbers as Galaxy writes them, which Python does too.
        yield name, json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True), False


def _holds_object(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_object, value)))


def _names_data(value: Any) -> bool:
    """Whether a value is a reference to datasets, or a list of such."""
    match value:
        case [_, *_]:
            return all(isinstance(item, dict) and _names_data(item) for item in value)
        case {"values": [*inner], **rest} if not rest:
            return all(_names_data(item) for item in inner)
        case {"id": _, "src": str()}:
            return True
    return False


def _written(text: str | None) -> Any:
    """Return what Python's repr was written of."""
    if not text or text[0] not in "{[":
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _short(value: str) -> str:
    if len(value) <= _LONGEST:
        return value
    return f"{value[: _LONGEST - 19]}…{hashlib.sha256(value.encode()).hexdigest()[:16]}"
