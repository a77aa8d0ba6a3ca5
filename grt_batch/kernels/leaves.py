r"""Makes leaves of nested parameter values without a JSON parser: one pass over each value, without recursion.

`grt_batch.decode.leaves` says what the leaves of a value are, and makes them of all values that are too odd for this:
with halves of surrogate pairs, keys that come twice or hold a `|`, more than LEVELS levels, very long values or names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled, inlined
from grt_batch.kernels.constants import KEY_BYTES, LEVELS
from grt_batch.kernels.json_layers import closed, opened
from grt_batch.kernels.json_text import (
    BRACE,
    BRACKET,
    COLON,
    COMMA,
    END_BRACE,
    END_BRACKET,
    HOLDS_OBJECT,
    ODD,
    QUOTE,
    behind_space,
    literal,
    scalars,
    string,
)
from grt_batch.kernels.leaf_codes import CODES, DATA, OBJECTS, code_of, keep
from grt_batch.kernels.param_values import is_usual
from grt_batch.kernels.words import equal

FRAME = 9
_IS_LIST, _NAME, _NAME_END, _MARK, _ITEMS, _REFERENCES, _SEEN, _OBJECT, _KEY = range(FRAME)
"""Places in a row of the stack, an open object or list."""


_ID, _SOURCE, _VALUES = 1, 2, 4
"""What an object has: an id; a source that is a text; values that are single references. Of a list, _VALUES says that
one of its references has values."""


_NONE, _SINGLE, _WITH_VALUES, _SINGLES, _LIST = range(5)
"""Kinds of references: none, one dataset, an object with values, a list of single ones, another list."""


_ZERO, _PIPE, _N = 48, 124, 110


_VALUES_KEY = np.frombuffer(b"values", np.uint8)


@compiled
def leaves(
    data: Any,
    texts: Any,
    scratch: Any,
    name: Any,
    found: Any,
    pending: Any,
    stack: Any,
    out: Any,
    tables: Any,
    names: Any,
    stamps: Any,
    known: Any,
    codes: Any,
    ends: Any,
    state: Any,
) -> None:
    """Make leaves of values. `texts`, int64[n, 4], holds the start and end of each name and its value in `data`.

    `codes` receives the codes of the leaves of one value after the other, and `ends`, int64[n], where those of each
    value end; a value that is for the full parser has none. `known`, int64[leaves, 3], holds the code of each leaf's
    name, and the start and end of its value in `out`; `names`, int64[names, 2], the start and end of each name there.

    `scratch`, uint8[2, n], `name`, `found` and `pending`, int64[n, 3], have room for any of the values. `stamps`,
    int64[2, leaves], and the hash tables `tables`, int64[2, n], are zeros.
    """
    for i in range(texts.shape[0]):
        begin, name_end = texts[i, 0], texts[i, 1]
        if texts[i, 3] - texts[i, 2] <= scratch.shape[1] and is_usual(data, begin, name_end):
            for k in range(begin, name_end):
                name[k - begin] = data[k]
            layer, at, end, closing = opened(data, texts[i, 2], texts[i, 3], scratch, name, name_end - begin)
            if at >= 0:
                at, count = _walk(
                    scratch[layer], at, end, name, name_end - begin, found, pending, stack, out, tables[0], names,
                    stamps[0], state,
                )  # fmt: skip
                if at >= 0 and closed(scratch[layer], at, end, closing):
                    keep(i + 1, found, pending, count, out, tables[1], names, stamps[1], known, codes, state)
        ends[i] = state[CODES]


@compiled
def _walk(
    text: Any,
    at: Any,
    end: Any,
    name: Any,
    name_end: Any,
    found: Any,
    pending: Any,
    stack: Any,
    out: Any,
    table: Any,
    names: Any,
    stamps: Any,
    state: Any,
) -> Any:
    """Read an object or a list. Return the place behind it, ODD if there is none, and the number of `pending` leaves.

    They are codes of names, and starts and ends of values in `found`. Those inside of a reference are taken back when
    its object is closed.
    """
    depth, count, size = 0, 0, 0
    code = code_of(name, name_end, out, table, names, state)
    while code >= 0:
        at = behind_space(text, at, end)
        if at == end:
            return ODD, 0
        begin, byte = size, text[at]
        at, size, opens = _value(text, at, end, found, size, LEVELS - depth)
        if at < 0 or at > end or (opens and depth == LEVELS):
            return ODD, 0
        if opens:
            _open(stack[depth], byte == BRACKET, code, name_end, count, state)
            depth += 1
        else:
            # Null is the empty text, as in the tables.
            _add(pending, count, code, begin, begin if byte == _N else size)
            count += 1
        is_text, is_empty_list, reference = byte == QUOTE, byte == BRACKET and size - begin == 2, _NONE
        while not opens:
            if depth == 0:
                return at, count
            frame = stack[depth - 1]
            _note(frame, is_text, is_empty_list, reference)
            at = behind_space(text, at, end) + 1
            if at > end:
                return ODD, 0
            if text[at - 1] == COMMA:
                break
            if text[at - 1] != (END_BRACKET if frame[_IS_LIST] else END_BRACE):
                return ODD, 0
            depth -= 1
            is_text, is_empty_list, reference = False, False, _reference(frame)
            if reference != _NONE:
                count = frame[_MARK]
                _add(pending, count, frame[_NAME], DATA, DATA)
                count += 1
            elif frame[_IS_LIST]:
                begin, size = size, _put_number(found, size, frame[_ITEMS])
                _add(pending, count, frame[_NAME], begin, size)
                count += 1
        frame = stack[depth - 1]
        code, name_end = frame[_NAME], frame[_NAME_END]
        if not frame[_IS_LIST]:
            start = name_end + 1
            at, name_end = _key(text, at, end, name, name_end)
            if at < 0:
                return ODD, 0
            frame[_KEY] = _kind_of_key(name, start, name_end)
            code = code_of(name, name_end, out, table, names, state)
            if code < 0 or stamps[code] == frame[_OBJECT]:
                return ODD, 0
            stamps[code] = frame[_OBJECT]
    return ODD, 0


@compiled
def _value(text: Any, at: Any, end: Any, found: Any, size: Any, levels: Any) -> Any:
    """Read a scalar, a list of scalars or an empty object, and write its value; or begin an object or another list.

    Return the place behind what was read, ODD if there is none, the new size, and whether something begins.
    """
    byte = text[at]
    if byte == QUOTE:
        at, size = string(text, at + 1, end, found, size, False)
    elif byte == BRACE:
        inner = behind_space(text, at + 1, end)
        if inner < end and text[inner] != END_BRACE:
            return at + 1, size, True
        found[size], found[size + 1] = BRACE, END_BRACE
        at, size = inner + 1, size + 2
    elif byte == BRACKET:
        inner, grown = scalars(text, at, end, found, size, levels)
        if inner == HOLDS_OBJECT:
            return at + 1, size, True
        at, size = inner, grown
    else:
        at, size = literal(text, at, end, found, size)
    return at, size, False


@inlined
def _add(pending: Any, count: Any, code: Any, start: Any, end: Any) -> None:
    pending[count, 0], pending[count, 1], pending[count, 2] = code, start, end


@inlined
def _open(frame: Any, is_list: Any, code: Any, name_end: Any, count: Any, state: Any) -> None:
    """Begin an object or a list, with a number that no other one has."""
    state[OBJECTS] += 1
    frame[_IS_LIST], frame[_NAME], frame[_NAME_END] = is_list, code, name_end
    frame[_MARK], frame[_ITEMS], frame[_REFERENCES], frame[_SEEN] = count, 0, 0, 0
    frame[_OBJECT], frame[_KEY] = state[OBJECTS], 0


@inlined
def _note(frame: Any, is_text: Any, is_empty_list: Any, reference: Any) -> None:
    """Note an item of an object or a list: whether it can be a part of a reference, and which kind it is itself."""
    key = frame[_KEY]
    if key == _VALUES:
        frame[_SEEN] |= key if is_empty_list or reference == _SINGLES else 0
    elif key != _SOURCE or is_text:
        frame[_SEEN] |= key
    frame[_ITEMS] += 1
    if frame[_IS_LIST] and (reference == _SINGLE or reference == _WITH_VALUES):
        frame[_REFERENCES] += 1
        frame[_SEEN] |= _VALUES if reference == _WITH_VALUES else 0


@compiled
def _key(text: Any, at: Any, end: Any, name: Any, name_end: Any) -> Any:
    """Read a key and its colon, and append it to the name. Return the place behind, ODD if there is none, and the
    name's end."""
    at = behind_space(text, at, end)
    if at == end or text[at] != QUOTE:
        return ODD, name_end
    name[name_end] = _PIPE
    start = name_end + 1
    at, name_end = string(text, at + 1, end, name, start, False)
    if at < 0 or name_end > KEY_BYTES:
        return ODD, name_end
    for i in range(start, name_end):
        if name[i] == _PIPE:
            return ODD, name_end
    at = behind_space(text, at, end)
    return (at + 1 if at < end and text[at] == COLON else ODD), name_end


@compiled
def _reference(frame: Any) -> int:
    """Return the kind of reference that an object or list turned out to be."""
    seen = frame[_SEEN]
    if frame[_IS_LIST]:
        if frame[_REFERENCES] < frame[_ITEMS]:
            return _NONE
        return _LIST if seen else _SINGLES
    if seen & _ID and seen & _SOURCE:
        return _SINGLE
    return _WITH_VALUES if seen == _VALUES and frame[_ITEMS] == 1 else _NONE


@compiled
def _kind_of_key(name: Any, start: Any, end: Any) -> int:
    """Return _ID, _SOURCE, _VALUES or 0."""
    size = end - start
    if size == 2 and name[start] == 105 and name[start + 1] == 100:
        return _ID
    if size == 3 and name[start] == 115 and name[start + 1] == 114 and name[start + 2] == 99:
        return _SOURCE
    if size == 6 and equal(name, start, _VALUES_KEY, 0, 6):
        return _VALUES
    return 0


@compiled
def _put_number(found: Any, size: Any, number: Any) -> Any:
    """Write a positive number. Return the new size."""
    end, rest = size, number
    while rest:
        end += 1
        rest //= 10
    for i in range(end - 1, size - 1, -1):
        found[i] = _ZERO + number % 10
        number //= 10
    return end
