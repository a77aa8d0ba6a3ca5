"""The values in fields: integers, decimals and dates. `decode` asks the same functions why a line is odd."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
from grt_batch.kernels.words import byte_at, eight_digits, last_bytes, leading_digits, load64
from grt_batch.schema.members import NO_LIMIT, NULL

_MINUS, _PLUS, _POINT, _ZERO, _NINE = 45, 43, 46, 48, 57


_POWERS = np.array([10**i for i in range(9)], dtype=np.int64)


LARGEST = 2**63 - 1
"""What stands for a number that is too large for its column. No plausible one is."""


NO_NUMBER, IS_NULL, IS_NUMBER = 0, 1, 2
"""What a text is: nothing that the column can hold, null, or a value."""


@compiled
def is_none(data: Any, start: int, end: int) -> bool:
    """Return whether a text is None, which is how the exporter writes null."""
    return (
        end - start == 4
        and data[start] == 78
        and data[start + 1] == 111
        and data[start + 2] == 110
        and data[start + 3] == 101
    )


@compiled
def integer(data: Any, start: Any, end: Any) -> Any:
    """Return (1, value) for a decimal integer of 64 bits, (2, ±2^62) for a larger one, (0, 0) for anything else."""
    if start < end and end - start < 8:
        count, value = leading_digits(last_bytes(data, start, end - start))
        if count == end - start:
            return 1, value
    negative = False
    if start < end and (data[start] == _MINUS or data[start] == _PLUS):
        negative = data[start] == _MINUS
        start += 1
    if start == end:
        return 0, 0
    value = 0
    large = False
    for i in range(start, end):
        digit: Any = byte_at(data, i) - _ZERO
        if digit < 0 or digit > 9:
            return 0, 0
        # 18 digits always fit. The bound is a constant: a division for each digit would take most of the time.
        if i - start >= 18 and (value > LARGEST // 10 or (value == LARGEST // 10 and digit > 7)):
            large = True
        else:
            value = value * 10 + digit
    if large:
        value = NO_LIMIT
    return (2 if large else 1), (-value if negative else value)


@compiled
def number(data: Any, start: Any, end: Any, scale: Any) -> Any:
    """Return (IS_NUMBER, value * 10^scale) for decimal text such as 4.0000000 or 0E-7, rounded half up.

    Null, and any value from 2^62 on, gives (IS_NULL, NULL); another one that is too large for the column, or below
    -2^62, gives (IS_NUMBER, ±LARGEST); other text (NO_NUMBER, 0).
    """
    if is_none(data, start, end):
        return IS_NULL, NULL
    negative = False
    if start < end and (data[start] == _MINUS or data[start] == _PLUS):
        negative = data[start] == _MINUS
        start += 1
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
    # Each digit counts digit * 10^power; the power falls by one from digit to digit.
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
    if whole >= NO_LIMIT and not negative:
        return IS_NULL, NULL
    value = np.int64(LARGEST)
    if whole < min(NO_LIMIT, LARGEST // _POWERS[scale]):
        value = whole * _POWERS[scale] + fraction + half
    return IS_NUMBER, (-value if negative else value)


@compiled
def date(data: Any, start: Any, end: Any) -> Any:
    """Return (IS_NUMBER, µs since 1970) for `2017-06-02 19:18:30[.fraction]`, (IS_NULL, NULL), or (NO_NUMBER, 0).

    The days follow the civil calendar: H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    """
    if is_none(data, start, end):
        return IS_NULL, NULL
    if end - start < 19:
        return NO_NUMBER, 0
    # `2017-06-` and `19:18:30`, with zeros in place of the signs.
    dashes, colons = np.uint64(0xFF0000FF00000000), np.uint64(0x0000FF0000FF0000)
    zeros = np.uint64(0x3030303030303030)
    first, time = load64(data, start), load64(data, start + 11)
    if first & dashes != np.uint64(0x2D00002D00000000) or time & colons != np.uint64(0x00003A00003A0000):
        return NO_NUMBER, 0
    if data[start + 10] != 32 and data[start + 10] != 84:
        return NO_NUMBER, 0
    first = eight_digits(first & ~dashes | zeros & dashes)
    time = eight_digits(time & ~colons | zeros & colons)
    day = _digits(data, start + 8, 2)
    if first < 0 or time < 0:
        return NO_NUMBER, 0
    year, month = first // 10_000, first // 10 % 1000
    hour, minute, second = time // 1_000_000, time // 1000 % 1000, time % 1000
    if year < 1 or month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59:
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
        if count == 6:
            micros = eight_digits(load64(data, end - 8) & ~np.uint64(0xFFFF) | zeros & np.uint64(0xFFFF))
        else:
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
def _digits(data: Any, start: Any, count: Any) -> Any:
    """Return the number that `count` digits at `start` spell, -1 where one is no digit."""
    value = 0
    for i in range(start, start + count):
        digit: Any = np.int64(data[i]) - _ZERO
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value
