"""Extracts the one value of a parameter from the shapes in which exporters have written it.

Galaxy's `scripts/grt/export.py` encodes the database's text, mostly JSON, as JSON again; where it checks for something
to redact, it wraps an object `{name: value}` around it and encodes that too. Whether an inner text was text or JSON
cannot be known: one that parses as a JSON string, object or list is taken for JSON.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from json import JSONDecoder
from typing import Any

import orjson

REDACTED = "[redacted]"
"""The value in place of one that an exporter withheld."""


VALUE_BYTES = 1024
"""The greatest length of a stored value, in UTF-8: a database cannot index long texts."""


_DIGEST_DIGITS = 16


_NULLS = (b"null", b"None")


_REDACTED = b'"null"'


_CACHED_VALUES, _CACHED_BYTES = 1 << 16, 512


# Four are known. The limit makes the result independent of the machine: a parser's own limit depends on the stack.
_MOST_LAYERS = 16


# Only strings, objects and lists are parsed as JSON: any other JSON value is its own text.
OPENINGS = ('"', "{", "[")


_ESCAPED = re.compile(
    r"(?P<whole>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


# Numbers keep their digits: neither 1.50 nor 2^64 nor 1e-05 survives a float.
_DECODER = JSONDecoder(parse_float=orjson.Fragment, parse_int=orjson.Fragment, parse_constant=orjson.Fragment)


def unwrap(name: str, raw: bytes) -> tuple[str | None, bool]:
    """Return the value of the parameter `name`, and whether it only names datasets.

    `raw` is the field of the line, valid UTF-8. Scalars become plain text, objects and lists JSON with sorted keys and
    no spaces. null and the exporter's `null` and `None` become None, withheld values REDACTED. NUL and halves of
    surrogate pairs, which a database cannot hold, become U+FFFD. The value is not shortened (see `shortened`).
    """
    return _cached(name, raw) if len(raw) <= _CACHED_BYTES else _unwrap(name, raw)


def _unwrap(name: str, raw: bytes) -> tuple[str | None, bool]:
    value, source = opened(name, raw)
    return text_of(value, source), _names_datasets(value)


_cached = lru_cache(_CACHED_VALUES)(_unwrap)


def opened(name: str, raw: bytes) -> tuple[Any, str]:
    """Return the value of the parameter `name` as JSON has it, and the text that it was parsed from."""
    if raw in _NULLS:
        return None, ""
    if raw == _REDACTED:
        return REDACTED, ""
    text = raw.decode()
    value: Any = text
    for _ in range(_MOST_LAYERS):
        if isinstance(value, str) and value.startswith(OPENINGS):
            try:
                text, value = value, parse(value)
            except (ValueError, RecursionError):
                break
        elif isinstance(value, dict) and len(value) == 1 and name in value:
            # The text is JSON in one shape and the value in another: in both, null means null.
            value = None if value[name] == "null" else value[name]
        else:
            break
    return value, text


def parse(text: str) -> Any:
    """Parse a JSON string, object or list. Numbers become fragments, which `dump` writes unchanged.

    Raises ValueError if it is not JSON, and RecursionError if it is nested too deeply.
    """
    if "\\ud" in text or "\\uD" in text:
        text = _ESCAPED.sub(lambda match: match["whole"] or "\\ufffd", text)
    if text[0] == '"':
        return orjson.loads(text)
    value, end = _DECODER.raw_decode(text)
    if end < len(text):
        raise ValueError(text)
    return value


def text_of(value: Any, source: str) -> str | None:
    """Return a value as text, or its `source` if it is nested too deeply to be written. No text holds NUL."""
    if value is None:
        return None
    try:
        return (value if isinstance(value, str) else dump(value)).replace("\0", "\ufffd")
    except TypeError:
        return source.replace("\0", "\ufffd")


def dump(value: Any) -> str:
    """Return JSON with sorted keys and no spaces. Raises TypeError for a value that is nested too deeply."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _names_datasets(value: Any) -> bool:
    """Return whether a value is a reference to a dataset or collection, `{"src": …, "id": …}`, a list of references, or
    `{"values": […]}` with any number of them.
    """
    if isinstance(value, dict):
        if value.keys() == {"values"}:
            return isinstance(value["values"], list) and all(map(_is_reference, value["values"]))
        return _is_reference(value)
    return isinstance(value, list) and bool(value) and all(map(_is_reference, value))


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and "id" in value and isinstance(value.get("src"), str)


def shortened(value: str, most: int = VALUE_BYTES) -> str:
    """Return a text of at most `most` bytes. A longer one ends in `…` and 16 hex digits of its SHA-256, which keeps
    different texts different.
    """
    whole = value.encode()
    if len(whole) <= most:
        return value
    end = f"…{hashlib.sha256(whole).hexdigest()[:_DIGEST_DIGITS]}"
    return whole[: most - len(end.encode())].decode("utf-8", "ignore") + end
