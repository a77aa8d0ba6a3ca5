"""Makes leaves of the values of parameters: the settings inside of them, each with a name of its own.

- Of an object, each key k is a leaf called name|k, at any depth.
- Of a list that holds an object at any depth, a repeat, the objects' keys are leaves called name|k, whichever number
  they have, and the name itself has the number of items as its value. Every other item of such a list is a value of the
  name beside that.
- Any other list is one value, JSON without spaces; so are `{}` and `[]`.
- A reference to datasets, `{"src": …, "id": …}`, `{"values": […]}` of such, a list of either, or the text that Python
  writes for one of these, is no value: the leaf only names data.
- What is below more than LEVELS levels stays JSON. So does a value whose leaves' names take more than MOST_NAMES_BYTES
  and NAMES_TO_VALUE times the bytes of the value: each name repeats the names around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from grt_batch.decode.param_values import dump, opened, shortened, text_of
from grt_batch.kernels.constants import KEY_BYTES, LEVELS, MOST_NAMES_BYTES

NAMES_TO_VALUE = 16


DATA = "data"
"""Marks a value that names datasets."""


LeafText = tuple[str, str | None, str | None]
"""A name and a value, or a name, None and DATA if the leaf only names data."""


_TEXT = r"u?'[^'\\\x00-\x1f]*'"


_PAIR = rf"{_TEXT}: (?:{_TEXT}|0|-?[1-9][0-9]*|None|True|False)"


_OBJECT = re.compile(rf"\{{{_PAIR}(?:, {_PAIR})*\}}")


_OBJECTS = rf"\[{_OBJECT.pattern}(?:, {_OBJECT.pattern})*\]"


_ANY = rf"(?:{_OBJECT.pattern}|\{{u?'values': (?:\[\]|{_OBJECTS})\}})"


_WRITTEN = re.compile(rf"{_ANY}|\[{_ANY}(?:, {_ANY})*\]")
"""Objects as Python writes them, where a reference may stand."""


_SOURCE = re.compile("'src': u?'")


_WRITTEN_BEGINS = ("{'", "{u'", "[{'", "[{u'")


def leaves(name: str, raw: bytes) -> list[LeafText]:
    """Return the leaves of the parameter `name`, in the order in which the kernel finds them: that of their ends.

    `raw` is the field of the line, valid UTF-8. Names are `shortened` to KEY_BYTES, each with those around it already
    shortened; values are not.
    """
    value, source = opened(name, raw)
    if not isinstance(value, dict | list):
        return [leaf(name, text_of(value, source))]
    try:
        whole = dump(value)
    except TypeError:
        # It is nested so deeply that it is taken for a text.
        return [(name, text_of(source, source), None)]
    found = [one if one[2] else leaf(one[0], one[1]) for one in dict.fromkeys(_inside(name, value, 0))]
    size = sum(len(one.encode()) for one, _, _ in set(found))
    return [(name, whole, None)] if size > max(MOST_NAMES_BYTES, NAMES_TO_VALUE * len(whole.encode())) else found


def leaf(name: str, text: str | None) -> LeafText:
    """Return the leaf of a text; that of null has the empty one, as in the tables."""
    text = text or ""
    return (name, None, DATA) if text.startswith(_WRITTEN_BEGINS) and _is_written(text) else (name, text, None)


def _is_written(text: str) -> bool:
    """Return whether a text is a reference as Python writes it."""
    if not _WRITTEN.fullmatch(text):
        return False
    return all("'id': " in found and _SOURCE.search(found) for found in _OBJECT.findall(text))


def _inside(name: str, value: Any, depth: int) -> Iterator[LeafText]:
    """Yield the leaves of a part of a value, below `depth` objects and lists; references that Python wrote as texts."""
    if _is_reference(value):
        yield name, None, DATA
    elif not isinstance(value, dict | list):
        yield name, text_of(value, "") or "", None
    elif depth == LEVELS or not value or (isinstance(value, list) and not _holds_object(value)):
        yield name, dump(value), None
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = shortened(f"{name}|{key}".replace("\0", "\ufffd"), KEY_BYTES)
            yield from _inside(inner, item, depth + 1)
    else:
        for item in value:
            yield from _inside(name, item, depth + 1)
        yield name, str(len(value)), None


def _is_reference(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and _is_reference(item) for item in value)
    if not isinstance(value, dict):
        return False
    if value.keys() == {"values"}:
        return isinstance(value["values"], list) and all(map(_is_single, value["values"]))
    return _is_single(value)


def _is_single(value: Any) -> bool:
    return isinstance(value, dict) and "id" in value and isinstance(value.get("src"), str)


def _holds_object(items: list[Any]) -> bool:
    waiting = [items]
    while waiting:
        for item in waiting.pop():
            if isinstance(item, dict):
                return True
            if isinstance(item, list):
                waiting.append(item)
    return False
