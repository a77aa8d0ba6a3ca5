r"""Parses the usual shapes of parameter values without a JSON parser.

A value is a bare text, `12`; JSON, `{"p": "text"}`; or JSON in JSON, with or without the parameter's name around it:
`"{\"p\": \"text\"}"`, `"\"text\""`, `"{\"p\": \"\\\"text\\\"\"}"`, `"{\"p\": 12}"`. References to datasets may replace
the text: `{\"values\": [{\"id\": 12, \"src\": \"hda\"}]}`. The inner text is the value, if it is printable ASCII
without quotes and backslashes. `grt_batch.decode.param_values.unwrap` parses all other values, and agrees about these
shapes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.constants import ODD, REFERENCES, TEXT

_NEWLINE, _QUOTE, _BACKSLASH, _COMMA, _SPACE, _ZERO, _NINE, _A, _Z = 10, 34, 92, 44, 32, 48, 57, 97, 122


_BRACE, _END_BRACE, _BRACKET, _END_BRACKET = 123, 125, 91, 93


_VALUES, _NONE = np.frombuffer(b"values", np.uint8), np.frombuffer(b"None", np.uint8)


_MOST_NAME_BYTES = 255


_NULL = np.frombuffer(b"null", np.uint8)


_OPENING, _CLOSING = np.frombuffer(b'"', np.uint8), np.frombuffer(b'": ', np.uint8)


_FIRST = np.frombuffer(b'{"values": [', np.uint8)


_ID = np.frombuffer(b'{"id": ', np.uint8)


_SOURCE = np.frombuffer(b', "src": "', np.uint8)


_MOST_DIGITS = 18


@compiled
def shapes(data: Any, texts: Any, found: Any) -> None:
    """Classify values. `texts`, int64[n, 4], holds the start and end of each name and of its value in `data`.

    `found`, int64[n, 3], receives the kind of each value, and the start and end of its text or references.
    """
    for i in range(texts.shape[0]):
        name, name_end, start, end = texts[i]
        kind = ODD
        if is_usual(data, name, name_end):
            kind, start, end = _shape(data, name, name_end, start, end)
        found[i, 0], found[i, 1], found[i, 2] = kind, start, end


@compiled
def pieces(data: Any, found: Any, out: Any) -> int:
    """Write what `shapes` found to `out`, uint8[n], each followed by a newline. Return the number of bytes.

    Texts are copied, references lose their spaces and backslashes, and odd values are empty.
    """
    size = 0
    for i in range(found.shape[0]):
        if found[i, 0] == TEXT:
            for at in range(found[i, 1], found[i, 2]):
                out[size] = data[at]
                size += 1
        elif found[i, 0] == REFERENCES:
            for at in range(found[i, 1], found[i, 2]):
                if data[at] != _SPACE and data[at] != _BACKSLASH:
                    out[size] = data[at]
                    size += 1
        out[size] = _NEWLINE
        size += 1
    return size


@compiled
def _shape(data: Any, name: Any, name_end: Any, start: Any, end: Any) -> Any:
    """Return the kind of one value, and the start and end of its text or references, as `shapes` does."""
    first = data[start] if start < end else _SPACE
    if first != _QUOTE and first != _BRACE and first != _BRACKET:
        null = _same(data, start, end, _NULL) or _same(data, start, end, _NONE)
        return (ODD if null else TEXT), start, end
    # `layers` counts the backslashes before a quote of the JSON at hand; a quote of the JSON in it has 2 n + 1.
    layers = 0
    if first == _QUOTE:
        if end - start < 3 or data[end - 1] != _QUOTE:
            return ODD, start, end
        start, end, layers = start + 1, end - 1, 1
    begin = _behind_name(data, name, name_end, start, end, layers)
    named = begin > 0
    if named:
        start, end = begin, end - 1
    if _starts(data, start, end, layers):
        last = end - layers - 2
        if data[start + layers + 1] != _BRACE or data[last] != _END_BRACE:
            start, end, layers = start + layers + 1, last + 1, 2 * layers + 1
            if _starts(data, start, end, layers):
                start, end = start + layers + 1, end - layers - 1
            return (TEXT if _is_plain(data, start, end) else ODD), start, end
        start, end, layers = start + layers + 1, last + 1, 2 * layers + 1
    if start < end and data[start] == _BRACE:
        return (REFERENCES if _is_references(data, start, end, layers) else ODD), start, end
    good = _is_number(data, start, end) if named else _is_plain(data, start, end)
    return (TEXT if good else ODD), start, end


@compiled
def _same(data: Any, start: Any, end: Any, text: Any) -> bool:
    if end - start != text.size:
        return False
    for i in range(text.size):
        if data[start + i] != text[i]:
            return False
    return True


@compiled
def _is_printable(data: Any, start: Any, end: Any) -> bool:
    """Return whether a text is printable ASCII without quotes and backslashes."""
    for i in range(start, end):
        byte = data[i]
        if byte < _SPACE or byte > 126 or byte == _QUOTE or byte == _BACKSLASH:
            return False
    return True


@compiled
def is_usual(data: Any, start: Any, end: Any) -> bool:
    """Return whether a name can be written in one way only, and has no meaning of its own."""
    if end - start > _MOST_NAME_BYTES or _same(data, start, end, _VALUES) or _same(data, start, end, _NONE):
        return False
    return bool(_is_printable(data, start, end))


@compiled
def _behind_name(data: Any, name: Any, name_end: Any, start: Any, end: Any, layers: Any) -> Any:
    r"""Return where the value begins in `{\"name\": value}`, 0 for any other text.

    Each quote follows `layers` backslashes.
    """
    size = name_end - name
    if end - start < size + 2 * layers + 7 or data[start] != _BRACE or data[end - 1] != _END_BRACE:
        return 0
    begin = _behind(data, start + 1, end, _OPENING, layers)
    if begin < 0:
        return 0
    for i in range(size):
        if data[begin + i] != data[name + i]:
            return 0
    return max(_behind(data, begin + size, end, _CLOSING, layers), 0)


@compiled
def _starts(data: Any, start: Any, end: Any, layers: Any) -> bool:
    """Return whether a text is enclosed in quotes that follow `layers` backslashes, and is not empty."""
    if end - start <= 2 * layers + 2 or data[start + layers] != _QUOTE or data[end - 1] != _QUOTE:
        return False
    for i in range(layers):
        if data[start + i] != _BACKSLASH or data[end - 2 - i] != _BACKSLASH:
            return False
    return True


@compiled
def _is_plain(data: Any, start: Any, end: Any) -> bool:
    """Return whether a text between quotes stands for itself."""
    if start >= end or data[start] == _BRACE or data[start] == _BRACKET or _same(data, start, end, _NULL):
        return False
    return bool(_is_printable(data, start, end))


@compiled
def _is_number(data: Any, start: Any, end: Any) -> bool:
    if start >= end or data[start] == _ZERO:
        return False
    for i in range(start, end):
        if data[i] < _ZERO or data[i] > _NINE:
            return False
    return True


@compiled
def _behind(data: Any, start: Any, end: Any, text: Any, layers: Any) -> Any:
    """Return the end of `text` at `start`, its quotes after `layers` backslashes; -1 if another text is there."""
    for byte in text:
        if byte == _QUOTE:
            for _ in range(layers):
                if start >= end or data[start] != _BACKSLASH:
                    return -1
                start += 1
        if start >= end or data[start] != byte:
            return -1
        start += 1
    return start


@compiled
def _is_references(data: Any, start: Any, end: Any, layers: Any) -> bool:
    """Return whether a text is `{"values": [{"id": 12, "src": "hda"}, …]}`."""
    at = _behind(data, start, end, _FIRST, layers)
    if at < 0 or end - at < 2 or data[end - 1] != _END_BRACE or data[end - 2] != _END_BRACKET:
        return False
    end -= 2
    while at < end:
        at = _behind(data, at, end, _ID, layers)
        if at < 0:
            return False
        digits = at
        while at < end and data[at] >= _ZERO and data[at] <= _NINE:
            at += 1
        if at == digits or data[digits] == _ZERO or at - digits > _MOST_DIGITS:
            return False
        at = _behind(data, at, end, _SOURCE, layers)
        letters = at
        while at >= 0 and at < end and data[at] >= _A and data[at] <= _Z:
            at += 1
        if at < 0 or at == letters or end - at < layers + 2:
            return False
        for _ in range(layers):
            if data[at] != _BACKSLASH:
                return False
            at += 1
        if data[at] != _QUOTE or data[at + 1] != _END_BRACE:
            return False
        at += 2
        if at < end:
            if end - at < 3 or data[at] != _COMMA or data[at + 1] != _SPACE:
                return False
            at += 2
    return True
