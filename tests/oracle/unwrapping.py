"""The value of a parameter, out of the shapes in which exporters wrote it, and the leaves of that: by the standard
library alone."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from redacting import redact, redact_patterns

LONGEST_BYTES, LONGEST_NAME_BYTES = 1024, 512
LEVELS = 16
"""How many levels of objects and lists are taken apart."""
DEEPEST = 254
"""What is nested more deeply is taken for a text."""
LEAST_NAMES_BYTES, NAMES_TO_VALUE = 16384, 16
"""Names of leaves that take more than this, and so many times what the value takes, are too many."""
LEFT_OUT = re.compile(r"(__.*|chromInfo)", re.DOTALL)
"""What Galaxy adds by itself: pieces of names."""
HALVES = re.compile("[\ud800-\udfff]")
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
    value, _ = _opened(name, text)
    if value is None:
        return None, False
    plain = value if isinstance(value, str) else _json(value)
    return _short(redact(name, UNSTORABLE.sub("\ufffd", plain))), _names_datasets(value)


def leaves(name: str, text: str) -> set[tuple[str, str | None, bool]]:
    """What `text` says: names, values as published, and whether the name only names datasets. What is to be left out
    is, and what is to be redacted."""
    return {
        (redact_patterns(one), None if value is None else _short(redact(one, value)), names_data)
        for one, value, names_data in unfolded(name, text)
        if not any(map(LEFT_OUT.fullmatch, one.split("|")))
    }


def unfolded(name: str, text: str) -> set[tuple[str, str | None, bool]]:
    """The leaves of a parameter: all of them, and whole."""
    value, source = _opened(name, text)
    name = _short(name, LONGEST_NAME_BYTES)
    if _depth(value) > DEEPEST:
        return {(name, UNSTORABLE.sub("\ufffd", source), False)}
    found = set(_inside(name, value, LEVELS))
    if not isinstance(value, dict | list):
        return found
    whole = UNSTORABLE.sub("\ufffd", _json(value))
    size = sum(len(one.encode()) for one, _, _ in found)
    return {(name, whole, False)} if size > max(LEAST_NAMES_BYTES, NAMES_TO_VALUE * len(whole.encode())) else found


def _opened(name: str | None, text: str) -> tuple[Any, str]:
    """What `text` stands for, as JSON has it, and the text of the innermost JSON."""
    if text in ("null", "None"):
        return None, text
    if text == '"null"':
        return "[redacted]", text
    value: Any = text
    while True:
        if isinstance(value, str) and value[:1] in ('"', "{", "["):
            try:
                text, value = value, json.loads(value, object_pairs_hook=_object, **_NUMBERS)
            except (ValueError, RecursionError):
                return value, text
        elif isinstance(value, dict) and list(value) == [name]:
            value = None if value[name] == "null" else value[name]
        else:
            return value, text


_NUMBERS: Any = {"parse_int": Number, "parse_float": Number, "parse_constant": Number}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keys are the same if they are once they are storable."""
    return {HALVES.sub("\ufffd", key): value for key, value in pairs}


def _depth(value: Any) -> int:
    """How many objects and lists are around the innermost one."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(_depth, items), default=0)


def _inside(name: str, value: Any, levels: int) -> Iterator[tuple[str, str | None, bool]]:
    """The leaves of a part of a value, of which so many levels are to be taken apart."""
    match value:
        case str() if _is_reference_to_any(_written(value)):
            yield name, None, True
        case None | str():
            yield name, value and UNSTORABLE.sub("\ufffd", value), False
        case _ if _is_reference_to_any(value):
            yield name, None, True
        case {**items} if items and levels:
            for key, item in items.items():
                inner = _short(UNSTORABLE.sub("\ufffd", f"{name}|{key}"), LONGEST_NAME_BYTES)
                yield from _inside(inner, item, levels - 1)
        case [*items] if levels and _holds_object(items):
            yield name, str(len(items)), False
            for item in items:
                yield from _inside(name, item, levels - 1)
        case _:
            yield name, UNSTORABLE.sub("\ufffd", _json(value)), False


def _holds_object(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_object, value)))


def _is_reference_to_any(value: Any) -> bool:
    """What names datasets, or a list of such objects."""
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(item, dict) and _names_datasets(item) for item in items)


def _written(text: str) -> Any:
    """What Python's repr was written of."""
    if text[:1] not in "{[":
        return None
    try:
        return ast.literal_eval(text) if repr(ast.literal_eval(text)) == re.sub(r"\bu'", "'", text) else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


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


def _short(value: str, most: int = LONGEST_BYTES) -> str:
    """A value of more than `most` bytes ends in a hash of all of it."""
    whole = value.encode()
    if len(whole) <= most:
        return value
    end = f"…{hashlib.sha256(whole).hexdigest()[:16]}"
    return whole[: most - len(end.encode())].decode("utf-8", "ignore") + end
