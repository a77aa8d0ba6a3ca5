"""The one value of a parameter, out of the shapes in which the exporters of the years wrote it.

Galaxy's `scripts/grt/export.py` writes what the database holds, JSON for the most part, as JSON once more; where it
looks for something to redact it puts an object `{name: value}` around, and encodes that too. Whether a text within was
text or the JSON of something cannot be told: one that reads as a JSON string, object or list is taken for it.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from json import JSONDecoder
from typing import Any

import orjson

REDACTED = "[redacted]"
"""The value that stands for what an exporter kept to itself."""


VALUE_BYTES = 1024
"""No value that is kept is longer, in UTF-8: a database has no index over long texts."""


_DIGEST_DIGITS = 16


_NULLS = (b"null", b"None")


_REDACTED = b'"null"'


_CACHED_VALUES, _CACHED_BYTES = 1 << 16, 512


# Four are known. The limit keeps the result the same wherever it is computed: a parser's own depends on the stack.
_MOST_LAYERS = 16


# Of JSON only strings, objects and lists are read: the text of any other value is that value.
OPENINGS = ('"', "{", "[")


_ESCAPED = re.compile(
    r"(?P<whole>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


# Numbers keep the digits that were written: neither 1.50 nor 2^64 nor 1e-05 survives a float.
_DECODER = JSONDecoder(parse_float=orjson.Fragment, parse_int=orjson.Fragment, parse_constant=orjson.Fragment)


def unwrap(name: str, raw: bytes) -> tuple[str | None, bool]:
    """The one value of the parameter `name`, and whether it names datasets and says nothing else.

    `raw` is the field of the line, valid UTF-8. Scalars become their plain text, objects and lists JSON with sorted
    keys and no spaces. null is None, as are the exporter's `null` and `None`; what was redacted is REDACTED. What a
    database cannot hold, NUL and half a surrogate pair, becomes U+FFFD. The value is whole (see `shortened`).
    """
    return _cached(name, raw) if len(raw) <= _CACHED_BYTES else _unwrap(name, raw)


def _unwrap(name: str, raw: bytes) -> tuple[str | None, bool]:
    if raw in _NULLS:
        return None, False
    if raw == _REDACTED:
        return REDACTED, False
    text = raw.decode()
    if not text.startswith(OPENINGS):
        return _without_nul(text), False
    value: Any = text
    for _ in range(_MOST_LAYERS):
        if isinstance(value, str) and value.startswith(OPENINGS):
            try:
                text, value = value, parse(value)
            except (ValueError, RecursionError):
                break
        elif isinstance(value, dict) and len(value) == 1 and name in value:
            # A text here is JSON in one shape and the value in another: in both a null stands for null.
            value = None if value[name] == "null" else value[name]
        else:
            break
    found = _text(value, text)
    return None if found is None else _without_nul(found), _names_datasets(value)


_cached = lru_cache(_CACHED_VALUES)(_unwrap)


def parse(text: str) -> Any:
    """What a JSON text says that is a string, an object or a list; numbers as fragments, which `dump` writes as they
    were.

    Raises ValueError where it is not JSON, and RecursionError where it is nested too deep.
    """
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPED.sub(lambda match: match["whole"] or "\\ufffd", text)
    if text[0] == '"':
        return orjson.loads(text)
    value, end = _DECODER.raw_decode(text)
    if end < len(text):
        raise ValueError(text)
    return value


def _text(value: Any, source: str) -> str | None:
    """A value as text, or the `source` that it was read from where it is nested too deep to be written."""
    if value is None or isinstance(value, str):
        return value
    try:
        return dump(value)
    except TypeError:
        return source


def dump(value: Any) -> str:
    """JSON with sorted keys and no spaces. Raises TypeError for what is nested too deep."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _names_datasets(value: Any) -> bool:
    """Whether a value is a reference to a dataset or collection, `{"src": …, "id": …}`, a list of some, or `{"values":
    […]}` with any number of them."""
    if isinstance(value, dict):
        if value.keys() == {"values"}:
            return isinstance(value["values"], list) and all(map(_is_reference, value["values"]))
        return _is_reference(value)
    return isinstance(value, list) and bool(value) and all(map(_is_reference, value))


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and "id" in value and isinstance(value.get("src"), str)


def _without_nul(value: str) -> str:
    return value.replace("\0", "\ufffd")


def shortened(value: str, most: int = VALUE_BYTES) -> str:
    """A text of `most` bytes at most. A longer one ends in `…` and the first 16 hex digits of the SHA-256 of all of it,
    so that different texts stay different."""
    whole = value.encode()
    if len(whole) <= most:
        return value
    end = f"…{hashlib.sha256(whole).hexdigest()[:_DIGEST_DIGITS]}"
    return whole[: most - len(end.encode())].decode("utf-8", "ignore") + end
