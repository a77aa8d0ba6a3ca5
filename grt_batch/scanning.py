"""The smallest pieces of the hot loops, compiled by numba: fields, numbers, dates and texts in an array of bytes.

`data` is always uint8[n]; a text is where it starts and ends in it. The kernels that go through whole blocks are in
`grt_batch.kernels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from grt_batch.records import MOST_COLUMNS, NO_LIMIT, NULL

_Function = TypeVar("_Function", bound=Callable[..., Any])
_NEWLINE, _MINUS, _PLUS, _POINT, _ZERO, _NINE = 10, 45, 43, 46, 48, 57
_POWERS = np.array([10**i for i in range(8)], dtype=np.int64)
_INT64_MAX = 2**63 - 1

NO_NUMBER, IS_NULL, IS_NUMBER = 0, 1, 2
"""What a text turned out to be: nothing that the column can hold, null, or a value."""


def compiled(function: _Function) -> _Function:
    """Compiled at the first call and kept on disk, so that the next process need not compile."""
    compiled: Any = numba.njit(cache=True, nogil=True)(function)
    return compiled  # type: ignore[no-any-return]


def _instruction(function: Callable[..., Any]) -> Any:
    """A function that says which machine instructions stand for its call."""
    return intrinsic(function)


@_instruction
def _load64(_context: Any, data: Any, index: Any) -> Any:
    """Eight bytes of `data` from `index` on, as one little-endian number. They must be there."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        word = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return numba.uint64(data, index), code


@_instruction
def _trailing_zeros(_context: Any, word: Any) -> Any:
    """How many of the lowest bits of a number that is not 0 are 0."""

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return numba.uint64(word), code


@compiled
def next_separator(data: Any, i: Any) -> Any:
    """Where the next byte from `i` on is that may end a field: one up to the newline. Eight bytes at a time, by the
    test for a byte below n of S. E. Anderson, "Bit Twiddling Hacks"; the lowest bit that it sets is right."""
    size = data.size
    while i + 8 <= size:
        word = _load64(data, i)
        low = (word - np.uint64(0x0B0B0B0B0B0B0B0B)) & ~word & np.uint64(0x8080808080808080)
        if low != 0:
            return i + np.int64(_trailing_zeros(low) >> np.uint64(3))
        i += 8
    while i < size and data[i] > _NEWLINE:
        i += 1
    return i


@compiled
def split(data: Any, begin: Any, sep: int, starts: Any, ends: Any) -> Any:
    """Find the fields of the line that begins at `begin`: their number, and where the newline (or the end) is."""
    field = 0
    starts[0] = begin
    i = next_separator(data, begin)
    while i < data.size and data[i] != _NEWLINE:
        if data[i] == sep:
            if field < MOST_COLUMNS - 1:
                ends[field] = i
                starts[field + 1] = i + 1
            field += 1
        i = next_separator(data, i + 1)
    if field < MOST_COLUMNS:
        ends[field] = i
    return field + 1, i


@compiled
def is_none(data: Any, start: int, end: int) -> bool:
    """Whether a text is None, as the exporter writes null."""
    return (
        end - start == 4
        and data[start] == 78
        and data[start + 1] == 111
        and data[start + 2] == 110
        and data[start + 3] == 101
    )


@compiled
def integer(data: Any, start: Any, end: Any) -> Any:
    """(1, value) of a decimal integer of 64 bits, (2, ±2^62) of a larger one, (0, 0) of anything else."""
    negative = False
    if start < end and (data[start] == _MINUS or data[start] == _PLUS):
        negative = data[start] == _MINUS
        start += 1
    if start == end:
        return 0, 0
    value: Any = 0
    large = False
    for i in range(start, end):
        digit: Any = np.int64(data[i]) - _ZERO
        if digit < 0 or digit > 9:
            return 0, 0
        # The bound is a constant: a division for each digit would take most of the time.
        if value > _INT64_MAX // 10 or (value == _INT64_MAX // 10 and digit > 7):
            large = True
        else:
            value = value * 10 + digit
    if large:
        value = NO_LIMIT
    return (2 if large else 1), (-value if negative else value)


@compiled
def number(data: Any, start: Any, end: Any, scale: Any) -> Any:
    """(IS_NUMBER, value * 10^scale) of decimal text such as 4.0000000 or 0E-7, rounded half up.

    Null, and anything at or above 2^62 or beyond the column, is (IS_NULL, NULL); what is no number (NO_NUMBER, 0).
    """
    if is_none(data, start, end):
        return IS_NULL, NULL
    negative = False
    if start < end and (data[start] == _MINUS or data[start] == _PLUS):
        negative = data[start] == _MINUS
        start += 1
    # Most numbers are a few digits, a point and 7 digits more.
    i: Any = start
    whole: Any = 0
    while i < end and i < start + 18 and data[i] >= _ZERO and data[i] <= _NINE:
        whole = whole * 10 + (np.int64(data[i]) - _ZERO)
        i += 1
    if i > start and i < end and data[i] == _POINT and end - i == 8 and scale == 7:
        fraction = _digits(data, i + 1, 7)
        if fraction >= 0 and whole < _INT64_MAX // 20_000_000:
            value = whole * 10_000_000 + fraction
            return IS_NUMBER, (-value if negative else value)
    # The mantissa's end, its point, and the exponent.
    stop, point, digits, exponent = end, -1, 0, 0
    for i in range(start, end):
        byte = data[i]
        if byte >= _ZERO and byte <= _NINE:
            digits += 1
        elif byte == _POINT and point < 0:
            point = i
        elif byte == 69 or byte == 101:
            status, exponent = integer(data, i + 1, end)
            if status == 0:
                return NO_NUMBER, 0
            exponent = min(max(exponent, -10_000), 10_000)
            stop = i
            break
        else:
            return NO_NUMBER, 0
    if digits == 0:
        return NO_NUMBER, 0
    if point < 0:
        point = stop
    # Each digit stands for digit * 10^power; the powers fall by one from the first digit on.
    power = point - start - 1 + exponent
    whole, fraction, half = 0, 0, 0
    for i in range(start, stop):
        if i == point:
            continue
        digit: Any = np.int64(data[i]) - _ZERO
        if power >= 0:
            if whole > NO_LIMIT // 10 or (whole == NO_LIMIT // 10 and digit > NO_LIMIT % 10):
                whole = NO_LIMIT
            else:
                whole = whole * 10 + digit
        elif power >= -scale:
            fraction += digit * _POWERS[scale + power]
        elif power == -scale - 1 and digit >= 5:
            half = 1
        power -= 1
    while power >= 0 and whole > 0 and whole < NO_LIMIT:
        whole = NO_LIMIT if whole > NO_LIMIT // 10 else whole * 10
        power -= 1
    if whole >= NO_LIMIT or whole >= _INT64_MAX // _POWERS[scale]:
        return IS_NULL, NULL
    value = whole * _POWERS[scale] + fraction + half
    return IS_NUMBER, (-value if negative else value)


@compiled
def _digits(data: Any, start: Any, count: Any) -> Any:
    """The number of `count` digits at `start`, -1 where one is no digit."""
    value = 0
    for i in range(start, start + count):
        digit: Any = np.int64(data[i]) - _ZERO
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@compiled
def date(data: Any, start: Any, end: Any) -> Any:
    """(IS_NUMBER, µs since 1970) of `2017-06-02 19:18:30[.fraction]`, (IS_NULL, NULL), or (NO_NUMBER, 0).

    The days by the civil calendar: H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    """
    if is_none(data, start, end):
        return IS_NULL, NULL
    if end - start < 19:
        return NO_NUMBER, 0
    if data[start + 4] != 45 or data[start + 7] != 45 or data[start + 13] != 58 or data[start + 16] != 58:
        return NO_NUMBER, 0
    if data[start + 10] != 32 and data[start + 10] != 84:
        return NO_NUMBER, 0
    year, month, day = _digits(data, start, 4), _digits(data, start + 5, 2), _digits(data, start + 8, 2)
    hour, minute, second = (
        _digits(data, start + 11, 2),
        _digits(data, start + 14, 2),
        _digits(data, start + 17, 2),
    )
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return NO_NUMBER, 0
    if second < 0 or second > 59:
        return NO_NUMBER, 0
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 31
    if month == 2:
        longest = 29 if leap else 28
    elif month in (4, 6, 9, 11):
        longest = 30
    if day > longest:
        return NO_NUMBER, 0
    micros = 0
    if end - start > 19:
        count = end - start - 20
        if data[start + 19] != _POINT or count < 1:
            return NO_NUMBER, 0
        micros = _digits(data, start + 20, min(count, 6))
        if micros < 0 or (count > 6 and _digits(data, start + 26, min(count - 6, 12)) < 0) or count > 18:
            return NO_NUMBER, 0
        micros *= _POWERS[6 - min(count, 6)]
    shifted = year - 1 if month <= 2 else year
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
    return IS_NUMBER, ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros


@compiled
def hash_text(data: Any, start: Any, end: Any, seed: Any) -> Any:
    """A hash of a text: eight bytes at a time, multiplied by an odd number and folded."""
    value = np.uint64(seed)
    while start + 8 <= end:
        value = (value ^ _load64(data, start)) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(32)
        start += 8
    for i in range(start, end):
        value = (value ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
    return value ^ (value >> np.uint64(29))


@compiled
def equal(one: Any, a: Any, other: Any, b: Any, size: Any) -> bool:
    """Whether `size` bytes are the same in two texts."""
    i = 0
    while i + 8 <= size:
        if _load64(one, a + i) != _load64(other, b + i):
            return False
        i += 8
    while i < size:
        if one[a + i] != other[b + i]:
            return False
        i += 1
    return True
