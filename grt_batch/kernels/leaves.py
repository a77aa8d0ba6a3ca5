r"""Makes leaves of nested parameter values without a JSON parser: one pass over each value, without recursion.

`grt_batch.decode.leaves` says what the leaves of a value are, and makes them of all values that are too odd for this:
with surrogates, keys that come twice or hold a `|`, more than LEVELS levels, very long values or names.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.interning import hash_text
from grt_batch.kernels.json_text import (
    BACKSLASH,
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
from grt_batch.kernels.param_values import is_usual
from grt_batch.kernels.words import equal

LEVELS = 16
"""How many levels of objects and lists become leaves."""


_DOUBTFUL = -2


NULL, DATA = -1, -2
"""In place of the start of a value: it is null; it names datasets."""


MOST_NAME_BYTES = 512
"""Longer names of leaves are for the full parser, which shortens them."""


MOST_NAMES_BYTES = 1 << 14
"""Values whose leaves have longer names, all together, are for the full parser."""


NAMES, LEAVES, SIZE, CODES, OBJECTS = range(5)
"""Places in `state`, int64[5]: the numbers of names, leaves, bytes of texts and codes so far; and of objects."""


FRAME = 9
_IS_LIST, _NAME, _NAME_END, _MARK, _ITEMS, _REFERENCES, _SEEN, _OBJECT, _KEY = range(FRAME)
"""Places in a row of the stack, an open object or list."""


_ID, _SOURCE, _VALUES = 1, 2, 4
"""What an object has: an id; a source that is a text; values that are single references. Of a list, _VALUES says that
one of its references has values."""


_NONE, _SINGLE, _WITH_VALUES, _SINGLES, _LIST = range(5)
"""Kinds of references: none, one dataset, an object with values, a list of single ones, another list."""


_ZERO, _PIPE, _N = 48, 124, 110


# Fewer than the full parser opens, which counts in another way.
_MOST_LAYERS = 6


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
            layer, at, end, closing = _opened(data, texts[i, 2], texts[i, 3], scratch, name, name_end - begin)
            if at >= 0:
                at, count = _walk(
                    scratch[layer], at, end, name, name_end - begin, found, pending, stack, out, tables[0], names,
                    stamps[0], state,
                )  # fmt: skip
                if at >= 0 and _closed(scratch[layer], at, end, closing):
                    _keep(i + 1, found, pending, count, out, tables[1], names, stamps[1], known, codes, state)
        ends[i] = state[CODES]


@compiled
def _opened(data: Any, at: Any, end: Any, scratch: Any, name: Any, name_end: Any) -> Any:
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
        if at < 0 or not _closed(text, at, end, closing):
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
def _closed(text: Any, at: Any, end: Any, closing: Any) -> bool:
    """Return whether so many braces follow, and nothing else."""
    for _ in range(closing):
        at = behind_space(text, at, end)
        if at == end or text[at] != END_BRACE:
            return False
        at += 1
    return bool(at == end)


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
    code = _code(name, name_end, out, table, names, state)
    while code >= 0:
        at = behind_space(text, at, end)
        if at == end:
            return ODD, 0
        begin, byte, opens = size, text[at], False
        is_text, is_empty_list, reference = byte == QUOTE, False, _NONE
        if is_text:
            at, size = string(text, at + 1, end, found, size, False)
        elif byte == BRACE:
            inner = behind_space(text, at + 1, end)
            opens = inner < end and text[inner] != END_BRACE
            if not opens:
                found[size], found[size + 1] = BRACE, END_BRACE
                size += 2
                at = inner + 1
        elif byte == BRACKET:
            inner, size = scalars(text, at, end, found, size, LEVELS - depth)
            opens = inner == HOLDS_OBJECT
            is_empty_list = size - begin == 2
            if not opens:
                at = inner
        else:
            at, size = literal(text, at, end, found, size)
        if at < 0 or at > end:
            return ODD, 0
        if opens:
            if depth == LEVELS:
                return ODD, 0
            state[OBJECTS] += 1
            frame = stack[depth]
            frame[_IS_LIST], frame[_NAME], frame[_NAME_END] = byte == BRACKET, code, name_end
            frame[_MARK], frame[_ITEMS], frame[_REFERENCES], frame[_SEEN] = count, 0, 0, 0
            frame[_OBJECT], frame[_KEY] = state[OBJECTS], 0
            depth += 1
            at += 1
            size = begin
        else:
            pending[count, 0], pending[count, 1], pending[count, 2] = code, begin, size
            if byte == _N:
                pending[count, 1], pending[count, 2] = NULL, NULL
            count += 1
        while not opens:
            if depth == 0:
                return at, count
            frame = stack[depth - 1]
            key = frame[_KEY]
            if key == _VALUES:
                frame[_SEEN] |= key if is_empty_list or reference == _SINGLES else 0
            elif key != _SOURCE or is_text:
                frame[_SEEN] |= key
            frame[_ITEMS] += 1
            if frame[_IS_LIST] and (reference == _SINGLE or reference == _WITH_VALUES):
                frame[_REFERENCES] += 1
                frame[_SEEN] |= _VALUES if reference == _WITH_VALUES else 0
            at = behind_space(text, at, end)
            if at == end:
                return ODD, 0
            at += 1
            if text[at - 1] == COMMA:
                break
            if text[at - 1] != (END_BRACKET if frame[_IS_LIST] else END_BRACE):
                return ODD, 0
            depth -= 1
            is_text, is_empty_list, reference = False, False, _reference(frame)
            if reference != _NONE:
                count = frame[_MARK]
                pending[count, 0], pending[count, 1], pending[count, 2] = frame[_NAME], DATA, DATA
                count += 1
            elif frame[_IS_LIST]:
                pending[count, 0], pending[count, 1] = frame[_NAME], size
                size = _put_number(found, size, frame[_ITEMS])
                pending[count, 2] = size
                count += 1
        frame = stack[depth - 1]
        code, name_end = frame[_NAME], frame[_NAME_END]
        if not frame[_IS_LIST]:
            at = behind_space(text, at, end)
            if at == end or text[at] != QUOTE:
                return ODD, 0
            name[name_end] = _PIPE
            start = name_end + 1
            at, name_end = string(text, at + 1, end, name, start, False)
            if at < 0 or name_end > MOST_NAME_BYTES:
                return ODD, 0
            for i in range(start, name_end):
                if name[i] == _PIPE:
                    return ODD, 0
            frame[_KEY] = _kind_of_key(name, start, name_end)
            at = behind_space(text, at, end)
            if at == end or text[at] != COLON:
                return ODD, 0
            at += 1
            code = _code(name, name_end, out, table, names, state)
            if code < 0 or stamps[code] == frame[_OBJECT]:
                return ODD, 0
            stamps[code] = frame[_OBJECT]
    return ODD, 0


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


_VALUES_KEY = np.frombuffer(b"values", np.uint8)


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


@compiled
def _code(name: Any, name_end: Any, out: Any, table: Any, names: Any, state: Any) -> Any:
    """Return the code of a name, ODD if there is no room for another one."""
    mask = np.uint64(table.size - 1)
    slot = hash_text(name, 0, name_end, 0xCBF29CE484222325) & mask
    while table[slot] != 0:
        code = table[slot] - 1
        if names[code, 1] - names[code, 0] == name_end and equal(out, names[code, 0], name, 0, name_end):
            return code
        slot = (slot + np.uint64(1)) & mask
    code, size = state[NAMES], state[SIZE]
    if code == names.shape[0] or size + name_end > out.size:
        return ODD
    for i in range(name_end):
        out[size + i] = name[i]
    table[slot] = code + 1
    names[code, 0], names[code, 1] = size, size + name_end
    state[NAMES] += 1
    state[SIZE] += name_end
    return code


@compiled
def _keep(
    number: Any,
    found: Any,
    pending: Any,
    count: Any,
    out: Any,
    table: Any,
    names: Any,
    stamps: Any,
    known: Any,
    codes: Any,
    state: Any,
) -> None:
    """Write the codes of the pending leaves of a value, each once; none if there is no room for all of them."""
    bytes_of_names, bytes_of_values = 0, 0
    for i in range(count):
        name = names[pending[i, 0]]
        bytes_of_names += name[1] - name[0]
        bytes_of_values += max(pending[i, 2] - pending[i, 1], 0)
    room = state[SIZE] + bytes_of_values <= out.size and state[LEAVES] + count <= known.shape[0]
    if bytes_of_names > MOST_NAMES_BYTES or not room or state[CODES] + count > codes.size:
        return
    mask = np.uint64(table.size - 1)
    for i in range(count):
        name, start, end = pending[i]
        length = end - start
        seed = np.uint64(name + 1) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(-min(start, 0))
        slot = hash_text(found, max(start, 0), max(start, 0) + length, seed) & mask
        code = -1
        while table[slot] != 0 and code < 0:
            code = table[slot] - 1
            at = known[code, 1]
            alike = known[code, 0] == name and known[code, 2] - at == length and min(at, 0) == min(start, 0)
            if not alike or (start >= 0 and not equal(out, at, found, start, length)):
                code = -1
                slot = (slot + np.uint64(1)) & mask
        if code < 0:
            code = state[LEAVES]
            table[slot] = code + 1
            known[code, 0], known[code, 1], known[code, 2] = name, start, end
            if start >= 0:
                size = state[SIZE]
                for k in range(length):
                    out[size + k] = found[start + k]
                known[code, 1], known[code, 2] = size, size + length
                state[SIZE] += length
            state[LEAVES] += 1
        if stamps[code] != number:
            stamps[code] = number
            codes[state[CODES]] = code
            state[CODES] += 1
