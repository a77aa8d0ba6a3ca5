"""The hot loops over the bytes of a block, compiled by numba. They are imported where they are called.

`data` is uint8[n]; a text is where it starts and ends in it. A kernel goes through the lines of `data` once. A line
that is a record by the types of its columns goes into the columns; any other goes into `odd`, three numbers a line:
where it begins, where it ends and its number in the block (from 0). What is to be done with an odd line is decided in
Python, where it can be explained.

All of it is one file, long as it is: numba keeps compiled functions until the file of the *calling* function changes.
Were the pieces elsewhere, a change there would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from grt_batch.schema.members import MOST_COLUMNS, NO_LIMIT, NULL

_Function = TypeVar("_Function", bound=Callable[..., Any])


_TAB, _NEWLINE, _MINUS, _PLUS, _POINT, _ZERO, _NINE = 9, 10, 45, 43, 46, 48, 57


_POWERS = np.array([10**i for i in range(9)], dtype=np.int64)


_INT64_MAX = 2**63 - 1


NO_NUMBER, IS_NULL, IS_NUMBER = 0, 1, 2
"""What a text turned out to be: nothing that the column can hold, null, or a value."""


# Without numba's runtime no function here can make an array, and none counts the references to those that it is given:
# for functions that are called for each field that took a third of the time.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}


def _compiled(function: _Function) -> _Function:
    """Compiled at the first call and kept on disk, so that the next process need not compile."""
    compiled: Any = numba.njit(**_OPTIONS)(function)
    return compiled  # type: ignore[no-any-return]


def _inlined(function: _Function) -> _Function:
    """The same, as a part of whoever calls it: a call takes longer than what a small function does."""
    compiled: Any = numba.njit(inline="always", **_OPTIONS)(function)
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
def _byte(_context: Any, data: Any, index: Any) -> Any:
    """The byte of `data` at `index`, which must be there and not negative: numba would look whether it is."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.zext(builder.load(builder.gep(array.data, [arguments[1]])), ir.IntType(64))

    return numba.int64(data, index), code


@_instruction
def _trailing_zeros(_context: Any, word: Any) -> Any:
    """How many of the lowest bits of a number that is not 0 are 0."""

    def code(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return numba.uint64(word), code


@_inlined
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


@_compiled
def newlines(data: Any) -> Any:
    """How many newlines there are. Eight bytes at a time, each of which counts up to 255 in a byte of its own."""
    low, pairs = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x00FF00FF00FF00FF)
    count: Any = 0
    begin = 0
    while begin + 8 <= data.size:
        stop = min(begin + 8 * 255, data.size - 7)
        counts = np.uint64(0)
        for i in range(begin, stop, 8):
            word = _load64(data, i) ^ np.uint64(0x0A0A0A0A0A0A0A0A)
            counts += ~((word & low) + low | word | low) >> np.uint64(7)
            begin += 8
        counts = (counts & pairs) + (counts >> np.uint64(8) & pairs)
        count += np.int64(counts * np.uint64(0x0001000100010001) >> np.uint64(48))
    for i in range(begin, data.size):
        count += data[i] == _NEWLINE
    return count


@_inlined
def split(data: Any, begin: Any, sep: int, starts: Any, ends: Any) -> Any:
    """Find the fields of the line that begins at `begin`: their number, and where the newline (or the end) is."""
    field = 0
    starts[0] = begin
    i = next_separator(data, begin)
    while i < data.size and _byte(data, i) != _NEWLINE:
        if _byte(data, i) == sep:
            if field < MOST_COLUMNS - 1:
                ends[field] = i
                starts[field + 1] = i + 1
            field += 1
        i = next_separator(data, i + 1)
    if field < MOST_COLUMNS:
        ends[field] = i
    return field + 1, i


@_compiled
def is_none(data: Any, start: int, end: int) -> bool:
    """Whether a text is None, as the exporter writes null."""
    return (
        end - start == 4
        and data[start] == 78
        and data[start + 1] == 111
        and data[start + 2] == 110
        and data[start + 3] == 101
    )


@_inlined
def _last_bytes(data: Any, start: Any, count: Any) -> Any:
    """The `count` bytes, fewer than eight, from `start` on as one little-endian number."""
    if start + 8 <= data.size:
        return _load64(data, start) & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(count):
        word |= np.uint64(_byte(data, start + i)) << np.uint64(8 * i)
    return word


@_inlined
def _number_of(word: Any) -> Any:
    """The number that eight digits are. Pairs of digits are put together, and pairs of pairs: D. Lemire, "Quickly
    parsing eight digits"."""
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    return np.int64((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32))


@_inlined
def _not_digits(word: Any) -> Any:
    """0 where eight bytes of text are digits; else its lowest byte that is not 0 is at the first that is none."""
    high, zeros = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x3030303030303030)
    # A byte of 0xFA or more adds to the next one, but that one stands behind it.
    return (word & high ^ zeros) | (word + np.uint64(0x0606060606060606) & high ^ zeros)


@_inlined
def _eight_digits(word: Any) -> Any:
    """The number that eight bytes of text are, -1 where one of them is no digit."""
    return _number_of(word) if _not_digits(word) == 0 else np.int64(-1)


@_inlined
def _leading_digits(word: Any) -> Any:
    """How many of eight bytes of text are digits before the first that is none, and their number."""
    others = _not_digits(word)
    if others == 0:
        return np.int64(8), _number_of(word)
    count = np.int64(_trailing_zeros(others) >> np.uint64(3))
    if count == 0:
        return count, np.int64(0)
    return count, _number_of(word << np.uint64(64 - 8 * count))


@_compiled
def integer(data: Any, start: Any, end: Any) -> Any:
    """(1, value) of a decimal integer of 64 bits, (2, ±2^62) of a larger one, (0, 0) of anything else."""
    if start < end and end - start < 8:
        count, value = _leading_digits(_last_bytes(data, start, end - start))
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
        digit: Any = _byte(data, i) - _ZERO
        if digit < 0 or digit > 9:
            return 0, 0
        # 18 digits always fit. The bound is a constant: a division for each digit would take most of the time.
        if i - start >= 18 and (value > _INT64_MAX // 10 or (value == _INT64_MAX // 10 and digit > 7)):
            large = True
        else:
            value = value * 10 + digit
    if large:
        value = NO_LIMIT
    return (2 if large else 1), (-value if negative else value)


@_compiled
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


@_compiled
def _digits(data: Any, start: Any, count: Any) -> Any:
    """The number of `count` digits at `start`, -1 where one is no digit."""
    value = 0
    for i in range(start, start + count):
        digit: Any = np.int64(data[i]) - _ZERO
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@_compiled
def date(data: Any, start: Any, end: Any) -> Any:
    """(IS_NUMBER, µs since 1970) of `2017-06-02 19:18:30[.fraction]`, (IS_NULL, NULL), or (NO_NUMBER, 0).

    The days by the civil calendar: H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    """
    if is_none(data, start, end):
        return IS_NULL, NULL
    if end - start < 19:
        return NO_NUMBER, 0
    # `2017-06-` and `19:18:30`, each with zeros in the places of its signs.
    dashes, colons = np.uint64(0xFF0000FF00000000), np.uint64(0x0000FF0000FF0000)
    zeros = np.uint64(0x3030303030303030)
    first, time = _load64(data, start), _load64(data, start + 11)
    if first & dashes != np.uint64(0x2D00002D00000000) or time & colons != np.uint64(0x00003A00003A0000):
        return NO_NUMBER, 0
    if data[start + 10] != 32 and data[start + 10] != 84:
        return NO_NUMBER, 0
    first = _eight_digits(first & ~dashes | zeros & dashes)
    time = _eight_digits(time & ~colons | zeros & colons)
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
            micros = _eight_digits(_load64(data, end - 8) & ~np.uint64(0xFFFF) | zeros & np.uint64(0xFFFF))
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


@_inlined
def hash_text(data: Any, start: Any, end: Any, seed: Any) -> Any:
    """A hash of a text: eight bytes at a time, multiplied by an odd number and folded."""
    value = np.uint64(seed) ^ np.uint64(end - start)
    while start + 8 <= end:
        value = (value ^ _load64(data, start)) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(32)
        start += 8
    value = (value ^ _last_bytes(data, start, end - start)) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(32))


@_inlined
def equal(one: Any, a: Any, other: Any, b: Any, size: Any) -> Any:
    """Whether `size` bytes are the same in two texts."""
    i = 0
    while i + 8 <= size:
        if _load64(one, a + i) != _load64(other, b + i):
            return False
        i += 8
    return _last_bytes(one, a + i, size - i) == _last_bytes(other, b + i, size - i)


@_inlined
def _intern(
    data: Any, start: int, end: int, start2: int, end2: int, table: Any, firsts: Any, count: int
) -> tuple[int, int]:
    """The code of a pair of texts and the number of codes so far. `table` is an open-addressing hash table of
    codes + 1; `firsts` says where each code's two texts stand first."""
    mask = np.uint64(table.size - 1)
    slot = hash_text(data, start2, end2, hash_text(data, start, end, 0xCBF29CE484222325)) & mask
    while table[slot] != 0:
        code = table[slot] - 1
        known = firsts[code]
        alike = known[1] - known[0] == end - start and known[3] - known[2] == end2 - start2
        alike = alike and equal(data, known[0], data, start, end - start)
        if alike and equal(data, known[2], data, start2, end2 - start2):
            return code, count
        slot = (slot + np.uint64(1)) & mask
    table[slot] = count + 1
    firsts[count, 0], firsts[count, 1], firsts[count, 2], firsts[count, 3] = start, end, start2, end2
    return count, count + 1


@_compiled
def decode_jobs(
    data: Any, sep: int, width: int, at: Any, tables: Any, out: Any, firsts: Any, odd: Any, places: Any
) -> Any:
    """Jobs: `at` holds the positions of id, tool_id, tool_version, state, create_time (-1: no such column).

    `out[0:5]` becomes id, create_time (µs, NULL), the code of (tool_id, tool_version), that of the state, and the
    line's number. Returns the numbers of records, of odd lines, of tools and of states.
    """
    starts, ends = places[0], places[1]
    begin, line, records, strange, tools, states = 0, 0, 0, 0, 0, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        good = fields == width
        if good:
            status, job = integer(data, starts[at[0]], ends[at[0]])
            dated, created = IS_NULL, NULL
            if at[4] >= 0:
                dated, created = date(data, starts[at[4]], ends[at[4]])
            good = status == 1 and dated != NO_NUMBER
        if good:
            id_start, id_end, version_start, version_end, state_start, state_end = 0, 0, 0, 0, 0, 0
            if at[1] >= 0:
                id_start, id_end = starts[at[1]], ends[at[1]]
            if at[2] >= 0:
                version_start, version_end = starts[at[2]], ends[at[2]]
            if at[3] >= 0:
                state_start, state_end = starts[at[3]], ends[at[3]]
            tool, tools = _intern(data, id_start, id_end, version_start, version_end, tables[0], firsts[0], tools)
            state, states = _intern(data, state_start, state_end, 0, 0, tables[1], firsts[1], states)
            out[0, records], out[1, records], out[2, records], out[3, records] = job, created, tool, state
            out[4, records] = line
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, tools, states


@_compiled
def _wanted(data: Any, starts: Any, ends: Any, at: Any, names: Any, name_ends: Any) -> int:
    """Which of the wanted metrics a line is, -1 for another. `names` holds plugin and name of each, tab between."""
    plugin, name = starts[at[1]], starts[at[2]]
    plugin_size, name_size = ends[at[1]] - plugin, ends[at[2]] - name
    first = 0
    for metric in range(name_ends.size):
        last = name_ends[metric]
        middle = first + plugin_size
        if last - first == plugin_size + 1 + name_size and names[middle] == _TAB:
            same = equal(data, name, names, middle + 1, name_size)
            if same and equal(data, plugin, names, first, plugin_size):
                return metric
        first = last
    return -1


@_inlined
def _usual_integer(data: Any, start: Any) -> Any:
    """Of the digits that begin at `start`, up to 15: their number and where they end, which is `start` without one or
    with more. 16 bytes must be there."""
    count, value = _leading_digits(_load64(data, start))
    if count == 8:
        more, low = _leading_digits(_load64(data, start + 8))
        if more == 8:
            return np.int64(0), start
        return value * _POWERS[more] + low, start + 8 + more
    return value, start + count


_ZERO_TEXT, _NO_FRACTION = int.from_bytes(b"0E-7\n", "little"), int.from_bytes(b"0000000\n", "little")


@_inlined
def _usual_number(data: Any, start: Any, scale: Any) -> Any:
    """(where the newline behind it is, what `number` makes of it) of 0E-7, or of digits, a point and 7 digits; (-1, 0)
    of any other text. 32 bytes must be there."""
    word = _load64(data, start)
    if word & np.uint64(0xFFFFFFFFFF) == np.uint64(_ZERO_TEXT):
        return start + 4, np.int64(0)
    large = False
    count, whole = _leading_digits(word)
    if count == 8:
        more, low = _leading_digits(_load64(data, start + 8))
        count, whole = count + more, whole * _POWERS[more] + low
        if more == 8:
            # What is no limit has 19 digits.
            large = _leading_digits(_load64(data, start + 16))[0] == 3 and whole > NO_LIMIT // 1000
            count += 3
            if not large:
                return np.int64(-1), np.int64(0)
    end = start + count + 8
    word = _load64(data, end - 7)
    if count == 0 or _byte(data, end - 8) != _POINT or word >> np.uint64(56) != np.uint64(_NEWLINE):
        return np.int64(-1), np.int64(0)
    fraction = np.int64(0)
    if word != np.uint64(_NO_FRACTION):
        fraction = _eight_digits(word << np.uint64(8) | np.uint64(_ZERO))
    if fraction < 0:
        return np.int64(-1), np.int64(0)
    if large:
        return end, np.int64(NULL)
    if scale == 0:
        return end, whole + (fraction >= 5_000_000)
    if scale != 7 or whole >= _INT64_MAX // 10_000_000:
        return np.int64(-1), np.int64(0)
    return end, whole * 10_000_000 + fraction


@_compiled
def _slot(ids: Any, table: Any, job: int, count: int) -> tuple[int, int]:
    """The row of a job id and the number of rows so far."""
    mask = np.uint64(table.size - 1)
    place = (np.uint64(job) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20) & mask
    while table[place] != 0:
        row = table[place] - 1
        if ids[row] == job:
            return row, count
        place = (place + np.uint64(1)) & mask
    table[place] = count + 1
    ids[count] = job
    return count, count + 1


@_inlined
def _same(data: Any, a: Any, b: Any, size: Any) -> Any:
    """Whether `size` bytes, eight at least, are the same in two places. The last eight are looked at as a whole."""
    i = 8
    while i < size:
        if _load64(data, a + i - 8) != _load64(data, b + i - 8):
            return False
        i += 8
    return _load64(data, a + size - 8) == _load64(data, b + size - 8)


@_inlined
def _usual_metric(data: Any, begin: Any, sep: int, name: Any, name_size: Any, scale: Any) -> Any:
    """(end of the line, job id, value) where a line holds a job id, the same plugin and name as stand at `name`, and a
    usual number; else the end is -1."""
    # The longest job id, and the value.
    if name_size == 0 or begin + 16 + name_size + 32 > data.size:
        return np.int64(-1), np.int64(0), np.int64(0)
    job, i = _usual_integer(data, begin)
    if i == begin or _byte(data, i) != sep or not _same(data, name, i + 1, name_size):
        return np.int64(-1), np.int64(0), np.int64(0)
    stop, value = _usual_number(data, i + 1 + name_size, scale)
    return stop, job, value


@_compiled
def _learn(data: Any, start: Any, size: Any, metric: Any, known: Any) -> Any:
    """Where in `known` a text is, which is put there if it is new; -1 where there is no room."""
    for i in range(known.shape[0]):
        if known[i, 1] == 0:
            known[i, 0], known[i, 1], known[i, 2] = start, size, metric
        if known[i, 1] == size and _same(data, known[i, 0], start, size):
            return i
    return -1


@_compiled
def decode_metrics(
    data: Any,
    sep: int,
    width: int,
    at: Any,
    names: Any,
    name_ends: Any,
    scales: Any,
    table: Any,
    ids: Any,
    counts: Any,
    values: Any,
    seen: Any,
    odd: Any,
    places: Any,
    known: Any,
) -> Any:
    """Numeric metrics, reduced to one row a job: `counts[row]` records, `values[row, metric]` the last value of the
    block, where `seen`. `at` holds the positions of job_id, plugin, name, value. `known`, int64[n, 4], is of each of up
    to n texts of plugin and name where it stands, its size (0: no text yet), which metric it is, and which text came
    next. Returns the numbers of records, of
    odd lines and of rows.

    Nearly always a metric is followed by the same one as the last time. So a line is compared with what it should be,
    and only where it is something else its fields are looked for.
    """
    starts, ends = places[0], places[1]
    usual = width == 4 and at[0] == 0 and at[1] == 1 and at[2] == 2 and at[3] == 3
    begin, line, records, strange, rows, row, before, last = 0, 0, 0, 0, 0, -1, 0, 0
    while begin < data.size:
        now = known[last, 3]
        metric = known[now, 2]
        size = known[now, 1] if usual else 0
        stop, job, value = _usual_metric(data, begin, sep, known[now, 0], size, scales[metric] if metric >= 0 else 0)
        good = stop >= 0
        if good:
            last = now
        else:
            fields, stop = split(data, begin, sep, starts, ends)
            if fields == width:
                status, job = integer(data, starts[at[0]], ends[at[0]])
                metric = _wanted(data, starts, ends, at, names, name_ends)
                numeric, value = number(data, starts[at[3]], ends[at[3]], scales[metric] if metric >= 0 else 0)
                good = status == 1 and numeric != NO_NUMBER
            if good and usual and starts[3] - starts[1] >= 8:
                now = _learn(data, starts[1], starts[3] - starts[1], metric, known)
                if now >= 0:
                    known[last, 3], last = now, now
        if good:
            if row < 0 or job != before:
                row, rows = _slot(ids, table, job, rows)
                before = job
            counts[row] += 1
            if metric >= 0:
                values[row, metric] = value
                seen[row, metric] = 1
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, rows


@_compiled
def decode_metric_records(
    data: Any, sep: int, width: int, at: Any, table: Any, out: Any, firsts: Any, odd: Any, places: Any
) -> Any:
    """Every numeric metric by itself: `at` as in `decode_metrics`. `out[0:4]` becomes job id, the code of (plugin,
    name), the value (NULL) and its scale: 7, or 0 where the value is too large for that. Returns the numbers of
    records, of odd lines and of codes.
    """
    starts, ends = places[0], places[1]
    begin, line, records, strange, codes = 0, 0, 0, 0, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        good = fields == width
        if good:
            status, job = integer(data, starts[at[0]], ends[at[0]])
            scale = 7
            numeric, value = number(data, starts[at[3]], ends[at[3]], scale)
            if numeric == IS_NULL:
                scale = 0
                numeric, value = number(data, starts[at[3]], ends[at[3]], scale)
            good = status == 1 and numeric != NO_NUMBER
        if good:
            code, codes = _intern(data, starts[at[1]], ends[at[1]], starts[at[2]], ends[at[2]], table, firsts, codes)
            out[0, records], out[1, records], out[2, records], out[3, records] = job, code, value, scale
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, codes


@_compiled
def decode_texts(
    data: Any,
    sep: int,
    width: int,
    at: Any,
    pairs: int,
    tables: Any,
    out: Any,
    firsts: Any,
    odd: Any,
    places: Any,
    counts: Any,
) -> Any:
    """Records of a job id and up to four texts: `at` holds the positions of the id and of two pairs of texts (-1: no
    such column), of which the first `pairs` are wanted. `out[0:4]` becomes the id, the code of each pair and the line's
    number. `counts`, int64[2], is room for the codes of each pair, zeros. Returns the numbers of records, of odd lines
    and of codes of each pair.
    """
    starts, ends = places[0], places[1]
    begin, line, records, strange = 0, 0, 0, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        status, job = 0, 0
        if fields == width:
            status, job = integer(data, starts[at[0]], ends[at[0]])
        if status == 1:
            for pair in range(pairs):
                first, second = at[1 + 2 * pair], at[2 + 2 * pair]
                start, end, start2, end2 = 0, 0, 0, 0
                if first >= 0:
                    start, end = starts[first], ends[first]
                if second >= 0:
                    start2, end2 = starts[second], ends[second]
                code, counts[pair] = _intern(data, start, end, start2, end2, tables[pair], firsts[pair], counts[pair])
                out[1 + pair, records] = code
            out[0, records], out[3, records] = job, line
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, counts[0], counts[1]


_INPUT, _OUTPUT = int.from_bytes(b"input\n", "little"), int.from_bytes(b"output\n", "little")


@_inlined
def _usual_dataset(data: Any, begin: Any, sep: int) -> Any:
    """(end of the line, job id, dataset id, size, 1 for an output, extension's end, name's start, name's end) where a
    line holds these in the usual order; the extension begins behind the dataset id. Else the end is -1."""
    stop, output = np.int64(-1), np.int64(0)
    extension, extension_end, name, name_end = begin, begin, begin, begin
    job, dataset, size = np.int64(0), np.int64(0), np.int64(0)
    # Three numbers of 15 digits at most, their separators and the type.
    most = data.size - 64
    if begin <= most:
        job, i = _usual_integer(data, begin)
        dataset, extension = _usual_integer(data, i + 1)
        if i > begin and extension > i + 1 and _byte(data, i) == sep and _byte(data, extension) == sep:
            extension += 1
            extension_end = next_separator(data, extension)
            if extension_end <= most and _byte(data, extension_end) == sep:
                size, i = _usual_integer(data, extension_end + 1)
                name = i + 1
                if i > extension_end + 1 and _byte(data, i) == sep:
                    name_end = next_separator(data, name)
                    if name_end <= most and _byte(data, name_end) == sep:
                        word = _load64(data, name_end + 1)
                        if word & np.uint64(0xFFFFFFFFFFFF) == np.uint64(_INPUT):
                            stop = name_end + 6
                        elif word & np.uint64(0xFFFFFFFFFFFFFF) == np.uint64(_OUTPUT):
                            stop, output = name_end + 7, np.int64(1)
    return stop, job, dataset, size, output, extension, extension_end, name, name_end


@_compiled
def decode_datasets(
    data: Any, sep: int, width: int, at: Any, table: Any, out: Any, firsts: Any, odd: Any, places: Any
) -> Any:
    """Datasets: `at` holds the positions of job_id, dataset_id, extension, file_size, param_name, type. `out[0:5]`
    becomes job id, size (bytes, NULL), 1 for an output and 0 for an input, dataset id (NULL), and the code of
    (extension, param_name). Returns the numbers of records, of odd lines and of codes.
    """
    starts, ends = places[0], places[1]
    begin, line, records, strange, codes = 0, 0, 0, 0, 0
    usual = width == 6 and at[0] == 0 and at[1] == 1 and at[2] == 2 and at[3] == 3 and at[4] == 4 and at[5] == 5
    while begin < data.size:
        stop: Any = -1
        good: Any = True
        if usual:
            stop, job, dataset, size, output, extension, extension_end, name, name_end = _usual_dataset(
                data, begin, sep
            )
        if stop < 0:
            fields, stop = split(data, begin, sep, starts, ends)
            good = fields == width
            if good:
                status, job = integer(data, starts[at[0]], ends[at[0]])
                good = status == 1
            dataset = NULL
            if good and at[1] >= 0 and not is_none(data, starts[at[1]], ends[at[1]]):
                status, dataset = integer(data, starts[at[1]], ends[at[1]])
                good = status != 0
                if status == 2:
                    dataset = NULL
            size = NULL
            if good and at[3] >= 0 and not is_none(data, starts[at[3]], ends[at[3]]):
                status, size = integer(data, starts[at[3]], ends[at[3]])
                good = status != 0
                if size >= NO_LIMIT or size == -1:
                    size = NULL
            output = -1
            if good and at[5] >= 0:
                start, length = starts[at[5]], ends[at[5]] - starts[at[5]]
                if length == 5 and data[start] == 105 and data[start + 1] == 110 and data[start + 2] == 112:
                    output = 0 if data[start + 3] == 117 and data[start + 4] == 116 else -1
                elif length == 6 and data[start] == 111 and data[start + 1] == 117 and data[start + 2] == 116:
                    same = data[start + 3] == 112 and data[start + 4] == 117 and data[start + 5] == 116
                    output = 1 if same else -1
            extension, extension_end, name, name_end = 0, 0, 0, 0
            if at[2] >= 0:
                extension, extension_end = starts[at[2]], ends[at[2]]
            if at[4] >= 0:
                name, name_end = starts[at[4]], ends[at[4]]
            good = good and output >= 0
        if good:
            code, codes = _intern(data, extension, extension_end, name, name_end, table, firsts, codes)
            out[0, records], out[1, records], out[2, records], out[3, records] = job, size, output, dataset
            out[4, records] = code
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, codes


@_compiled
def find_rows(ids: Any, first: int, table: Any, rows: Any) -> None:
    """The row of each job id in `table`, where that of the id `first` stands at the beginning; -1 of any other."""
    last = first + table.size - 1
    for i in range(ids.size):
        rows[i] = table[ids[i] - first] if ids[i] >= first and ids[i] <= last else -1


@_compiled
def put_in_order(rows: Any, ends: Any, order: Any) -> Any:
    """Put the places of the records that have a row, 0 or more, into `order`, by rising row, and those of one row as
    they stand. `ends` is room for where each row's places end, zeros: one more than there are rows. Returns how many
    places there are."""
    for row in rows:
        if row >= 0:
            ends[row + 1] += 1
    for row in range(1, ends.size):
        ends[row] += ends[row - 1]
    for i in range(rows.size):
        row = rows[i]
        if row >= 0:
            order[ends[row]] = i
            ends[row] += 1
    return ends[-1]


@_compiled
def put_metric(rows: Any, seen: Any, metric: Any, values: Any, out: Any) -> None:
    """Put the values of a metric at their jobs, `out[row]`. They are those of the rows whose bit `metric` of `seen` is
    set, one after another; a row below 0 is of no job."""
    taken = 0
    for i in range(rows.size):
        if (seen[i] >> metric) & 1:
            if rows[i] >= 0:
                out[rows[i]] = values[taken]
            taken += 1


@_compiled
def add_sizes(rows: Any, size: Any, output: Any, total: Any, implausible: Any) -> None:
    """Add the sizes of datasets to their jobs: `total[output, row]` bytes, NULL without a dataset that has a size. A
    negative size, and a sum beyond 64 bits, make the job implausible."""
    for i in range(rows.size):
        row = rows[i]
        if row < 0 or size[i] == NULL:
            continue
        before = total[output[i], row]
        before = np.int64(0) if before == NULL else before
        if size[i] < 0 or before > NO_LIMIT - size[i]:
            implausible[row] = 1
        else:
            total[output[i], row] = before + size[i]


@_compiled
def mark_replaced(rows: Any, codes: Any, seen: Any, replaced: Any) -> None:
    """Mark the records that a later one of the same row and code replaces. `rows` rise; `seen` is -1 for each code."""
    for i in range(rows.size - 1, -1, -1):
        if seen[codes[i]] == rows[i]:
            replaced[i] = 1
        seen[codes[i]] = rows[i]


_HASH_MULTIPLIER = np.uint64(0xC6A4A7935BD1E995)


_HASH_SHIFT = np.uint64(47)


_HASH_SEED = np.uint64(0x9E3779B97F4A7C15)
"""Any number but 0, with which the empty text would have the least hash of all."""


@_compiled
def hash_texts(data: Any, ends: Any, found: Any) -> None:
    """The hash of each of the texts that stand one behind the other in `data`, by where they end."""
    begin = 0
    for i in range(ends.size):
        end = ends[i]
        value = _HASH_SEED ^ (np.uint64(end - begin) * _HASH_MULTIPLIER)
        while end - begin >= 8:
            word = _load64(data, begin) * _HASH_MULTIPLIER
            word ^= word >> _HASH_SHIFT
            value = (value ^ (word * _HASH_MULTIPLIER)) * _HASH_MULTIPLIER
            begin += 8
        if begin < end:
            value = (value ^ _last_bytes(data, begin, end - begin)) * _HASH_MULTIPLIER
        value = (value ^ (value >> _HASH_SHIFT)) * _HASH_MULTIPLIER
        found[i] = value ^ (value >> _HASH_SHIFT)
        begin = end
