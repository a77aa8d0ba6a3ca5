"""Opens JSON in JSON: the layers around the value of a parameter."""

from __future__ import annotations

from typing import Any

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.json_text import BACKSLASH, BRACE, BRACKET, COLON, END_BRACE, ODD, QUOTE, behind_space, string
from grt_batch.kernels.words import equal

_DOUBTFUL = -2


# Fewer than the full parser opens, which counts in another way.
_MOST_LAYERS = 6


@compiled
def opened(data: Any, at: Any, end: Any, scratch: Any, name: Any, name_end: Any) -> Any:
    """Open JSON in JSON, and objects with the parameter's name as their only key, until there is an object or a list.

    Returns the row of `scratch` that holds it, its start (ODD for any other value), the end of the text, and how many
    objects are to be closed behind it.
    """
    layer, closing = 0, 0
    if at < end and data[at] == QUOTE:
        at, size = string(data, at + 1, end, scratch[0], 0, False)
        if at != end:
            return 0, ODD, 0, 0
    else:
        size = end - at
        for i in range(size):
            scratch[0, i] = data[at + i]
    at, end = 0, size
    for _ in range(_MOST_LAYERS):
        text = scratch[layer]
        if at == end:
            return layer, ODD, end, closing
        if text[at] == BRACE:
            inner = _behind_name(text, at, end, name, name_end)
            if inner < 0:
                return layer, (at if inner == ODD else ODD), end, closing
            at = inner
            closing += 1
            if text[at] != QUOTE:
                continue
        elif text[at] == BRACKET:
            return layer, at, end, closing
        if text[at] != QUOTE:
            return layer, ODD, end, closing
        at, size = string(text, at + 1, end, scratch[1 - layer], 0, False)
        if at < 0 or not closed(text, at, end, closing):
            return layer, ODD, end, closing
        layer, at, end, closing = 1 - layer, 0, size, 0
        if size == 0 or (scratch[layer, 0] != BRACE and scratch[layer, 0] != BRACKET and scratch[layer, 0] != QUOTE):
            return layer, ODD, end, closing
    return layer, ODD, end, closing


@compiled
def _behind_name(text: Any, at: Any, end: Any, name: Any, name_end: Any) -> Any:
    """Return where the value begins in `{"name": value`, ODD for another object, and _DOUBTFUL if that is not clear."""
    at = behind_space(text, at + 1, end)
    if at == end or text[at] != QUOTE:
        return ODD
    begin = at + 1
    at = begin
    while at < end and text[at] != QUOTE:
        if text[at] == BACKSLASH:
            return _DOUBTFUL
        at += 1
    if at - begin != name_end or not equal(text, begin, name, 0, name_end):
        return ODD
    at = behind_space(text, at + 1, end)
    if at == end or text[at] != COLON:
        return ODD
    at = behind_space(text, at + 1, end)
    return at if at < end else ODD


@compiled
def closed(text: Any, at: Any, end: Any, closing: Any) -> bool:
    """Return whether so many braces follow, and nothing else."""
    for _ in range(closing):
        at = behind_space(text, at, end)
        if at == end or text[at] != END_BRACE:
            return False
        at += 1
    return bool(at == end)
