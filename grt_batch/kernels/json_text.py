r"""Reads the pieces of JSON: strings, numbers, lists of them.

Each function reads `data`, uint8[n], from a place on, before `end`, and writes to `out` from `size` on. It returns the
place behind what it read, and the new size; a place of ODD is for a full parser: no JSON, NUL, half a surrogate.
"""

from __future__ import annotations

from typing import Any

from grt_batch.kernels.compiled import compiled, inlined

ODD, HOLDS_OBJECT = -1, -2

QUOTE, BACKSLASH, COMMA, COLON = 34, 92, 44, 58
BRACE, END_BRACE, BRACKET, END_BRACKET = 123, 125, 91, 93
_SPACE, _NEWLINE, _RETURN, _TAB, _SLASH = 32, 10, 13, 9, 47
_MINUS, _PLUS, _POINT, _ZERO, _NINE = 45, 43, 46, 48, 57
_A, _B, _E, _F, _N, _R, _T, _U = 97, 98, 101, 102, 110, 114, 116, 117


@inlined
def behind_space(data: Any, at: Any, end: Any) -> Any:
    """Return the place of the next byte that is no white space."""
    while at < end and (data[at] == _SPACE or data[at] == _NEWLINE or data[at] == _RETURN or data[at] == _TAB):
        at += 1
    return at


@compiled
def string(data: Any, at: Any, end: Any, out: Any, size: Any, written: Any) -> Any:
    """Read a string from behind its opening quote to behind the closing one.

    Writes its text; if it is to be `written`, in the form that orjson gives it between the quotes.
    """
    while at < end:
        byte = data[at]
        if byte == QUOTE:
            return at + 1, size
        if byte < _SPACE:
            return ODD, size
        if byte != BACKSLASH:
            out[size] = byte
            size += 1
            at += 1
            continue
        if at + 1 >= end:
            return ODD, size
        byte = data[at + 1]
        at += 2
        if byte == _U:
            number = _hex(data, at, end)
            at += 4
            if number >= 0xD800 and number <= 0xDBFF and at + 1 < end and data[at] == BACKSLASH and data[at + 1] == _U:
                half = _hex(data, at + 2, end)
                at += 6
                number = ODD if half < 0xDC00 or half > 0xDFFF else 0x10000 + (number - 0xD800 << 10) + half - 0xDC00
            if number <= 0 or (number >= 0xD800 and number <= 0xDFFF):
                return ODD, size
            if written and (number < _SPACE or number == QUOTE or number == BACKSLASH):
                return ODD, size
            size = _put(out, size, number)
            continue
        plain = _escaped(byte)
        if plain == 0:
            return ODD, size
        if written and byte != _SLASH:
            out[size] = BACKSLASH
            size += 1
            plain = byte
        out[size] = plain
        size += 1
    return ODD, size


@inlined
def _escaped(byte: Any) -> Any:
    """Return the byte that an escape of one letter stands for, 0 if there is no such escape."""
    if byte == QUOTE or byte == BACKSLASH or byte == _SLASH:
        return byte
    if byte == _N:
        return _NEWLINE
    if byte == _T:
        return _TAB
    if byte == _R:
        return _RETURN
    if byte == _B:
        return 8
    if byte == _F:
        return 12
    return 0


@compiled
def _hex(data: Any, at: Any, end: Any) -> int:
    """Return the number that four hexadecimal digits spell, ODD without them."""
    if at + 4 > end:
        return ODD
    number = 0
    for i in range(at, at + 4):
        byte = data[i]
        letter = byte | 32
        if byte >= _ZERO and byte <= _NINE:
            number = 16 * number + byte - _ZERO
        elif letter >= _A and letter <= _F:
            number = 16 * number + letter - _A + 10
        else:
            return ODD
    return number


@compiled
def _put(out: Any, size: Any, number: Any) -> Any:
    """Write a character in UTF-8. Return the new size."""
    if number < 0x80:
        out[size] = number
        return size + 1
    if number < 0x800:
        out[size], out[size + 1] = 0xC0 | number >> 6, 0x80 | number & 0x3F
        return size + 2
    if number < 0x10000:
        out[size] = 0xE0 | number >> 12
    else:
        out[size], out[size + 1] = 0xF0 | number >> 18, 0x80 | number >> 12 & 0x3F
        size += 1
    out[size + 1], out[size + 2] = 0x80 | number >> 6 & 0x3F, 0x80 | number & 0x3F
    return size + 3


@compiled
def literal(data: Any, at: Any, end: Any, out: Any, size: Any) -> Any:
    """Read true, false, null or a number, and write it as it is."""
    begin = at
    if data[at] == _T:
        at = _word(data, at, end, 0x65757274, 4)
    elif data[at] == _F:
        at = _word(data, at + 1, end, 0x65736C61, 4)
    elif data[at] == _N:
        at = _word(data, at, end, 0x6C6C756E, 4)
    else:
        at = _number(data, at, end)
    for i in range(begin, at):
        out[size] = data[i]
        size += 1
    return at, size


@compiled
def _word(data: Any, at: Any, end: Any, word: Any, count: Any) -> Any:
    """Return the place behind `word`, its first byte the lowest; ODD if another is there."""
    if at + count > end:
        return ODD
    for i in range(count):
        if data[at + i] != (word >> (8 * i)) & 255:
            return ODD
    return at + count


@compiled
def _digits(data: Any, at: Any, end: Any) -> Any:
    while at < end and data[at] >= _ZERO and data[at] <= _NINE:
        at += 1
    return at


@compiled
def _number(data: Any, at: Any, end: Any) -> Any:
    """Return the place behind a number; ODD if there is none."""
    if data[at] == _MINUS:
        at += 1
    begin, at = at, _digits(data, at, end)
    if at == begin or (data[begin] == _ZERO and at > begin + 1):
        return ODD
    if at + 1 < end and data[at] == _POINT:
        begin, at = at + 1, _digits(data, at + 1, end)
        if at == begin:
            return ODD
    if at < end and data[at] | 32 == _E:
        at += 1
        if at < end and (data[at] == _PLUS or data[at] == _MINUS):
            at += 1
        begin, at = at, _digits(data, at, end)
        if at == begin:
            return ODD
    return at


@compiled
def scalars(data: Any, at: Any, end: Any, out: Any, size: Any, levels: Any) -> Any:
    """Read a list of scalars and such lists, at most so many `levels` of them, and write it without spaces.

    The place is HOLDS_OBJECT if there is an object in it.
    """
    depth, wants_value = 0, True
    while at < end:
        at = behind_space(data, at, end)
        if at == end:
            return ODD, size
        byte = data[at]
        if not wants_value:
            if byte != COMMA and byte != END_BRACKET:
                return ODD, size
            out[size] = byte
            size += 1
            at += 1
            wants_value = byte == COMMA
            if not wants_value:
                depth -= 1
                if depth == 0:
                    return at, size
        elif byte == BRACKET:
            depth += 1
            if depth > levels:
                return ODD, size
            out[size] = byte
            size += 1
            at = behind_space(data, at + 1, end)
            # An empty list is closed like any other.
            wants_value = at == end or data[at] != END_BRACKET
        elif byte == BRACE:
            return HOLDS_OBJECT, size
        elif byte == QUOTE:
            out[size] = byte
            at, size = string(data, at + 1, end, out, size + 1, True)
            if at < 0:
                return ODD, size
            out[size] = QUOTE
            size += 1
            wants_value = False
        else:
            at, size = literal(data, at, end, out, size)
            if at < 0:
                return ODD, size
            wants_value = False
    return ODD, size
