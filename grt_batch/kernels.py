"""The hot loops over the bytes of a block, compiled by numba. Only `decode` and `jobs` call them.

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

from grt_batch.records import MOST_COLUMNS, NO_LIMIT, NULL

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TAB, _NEWLINE, _MINUS, _PLUS, _POINT, _ZERO, _NINE = 9, 10, 45, 43, 46, 48, 57
_POWERS = np.array([10**i for i in range(8)], dtype=np.int64)
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
    """How many newlines there are."""
    count = 0
    for i in range(data.size):
        count += data[i] == _NEWLINE
    return count


@_compiled
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


@_compiled
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


@_inlined
def _last_bytes(data: Any, start: Any, count: Any) -> Any:
    """The `count` bytes, fewer than eight, from `start` on as one little-endian number."""
    if start + 8 <= data.size:
        return _load64(data, start) & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(count):
        word |= np.uint64(_byte(data, start + i)) << np.uint64(8 * i)
    return word


@_compiled
def hash_text(data: Any, start: Any, end: Any, seed: Any) -> Any:
    """A hash of a text: eight bytes at a time, multiplied by an odd number and folded."""
    value = np.uint64(seed) ^ np.uint64(end - start)
    while start + 8 <= end:
        value = (value ^ _load64(data, start)) * np.uint64(0x9E3779B97F4A7C15)
        value ^= value >> np.uint64(32)
        start += 8
    value = (value ^ _last_bytes(data, start, end - start)) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(32))


@_compiled
def equal(one: Any, a: Any, other: Any, b: Any, size: Any) -> Any:
    """Whether `size` bytes are the same in two texts."""
    i = 0
    while i + 8 <= size:
        if _load64(one, a + i) != _load64(other, b + i):
            return False
        i += 8
    return _last_bytes(one, a + i, size - i) == _last_bytes(other, b + i, size - i)


@_compiled
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
def _eight_digits(word: Any) -> Any:
    """The number that eight bytes of text are, -1 where one of them is no digit. Pairs of digits are put together, and
    pairs of pairs: D. Lemire, "Quickly parsing eight digits"."""
    high, ones = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x0606060606060606)
    zeros = np.uint64(0x3030303030303030)
    if (word & high) != zeros or ((word + ones) & high) != zeros:
        return np.int64(-1)
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    return np.int64((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32))


@_inlined
def _usual_number(data: Any, start: Any, end: Any, scale: Any) -> Any:
    """What `number` makes of some digits, a point, 7 digits and a newline, NULL for null; -1 of any other text. The
    16 bytes before `end` must be there."""
    count = end - 8 - start
    if count < 1 or count > 19 or _byte(data, end - 8) != _POINT:
        return np.int64(-1)
    fraction = _eight_digits((_load64(data, end - 7) << np.uint64(8)) | np.uint64(_ZERO))
    before = np.uint64(8 * (8 - min(count, 8)))
    nothing = (np.uint64(1) << before) - np.uint64(1) if count < 8 else np.uint64(0)
    word = (_load64(data, end - 16) & ~nothing) | (np.uint64(0x3030303030303030) & nothing)
    whole = _eight_digits(word)
    if fraction < 0 or whole < 0:
        return np.int64(-1)
    if count > 8:
        first = _digits(data, start, count - 8)
        if first < 0:
            return np.int64(-1)
        if count > 16:
            return np.int64(NULL if count == 19 and first > NO_LIMIT // 100_000_000 else -1)
        whole += first * 100_000_000
    if scale == 0:
        return whole + (fraction >= 5_000_000)
    if scale != 7 or whole >= _INT64_MAX // 10_000_000:
        return np.int64(-1)
    return whole * 10_000_000 + fraction


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


_ZERO_TEXT = int.from_bytes(b"0E-7", "little")


@_inlined
def _same(data: Any, a: Any, b: Any, size: Any) -> Any:
    """Whether `size` bytes, eight at least, are the same in two places. The last eight are looked at as a whole."""
    for i in range(0, size - 8, 8):
        if _load64(data, a + i) != _load64(data, b + i):
            return False
    return _load64(data, a + size - 8) == _load64(data, b + size - 8)


@_inlined
def _usual_metric(data: Any, begin: Any, sep: int, name: Any, name_size: Any, scale: Any) -> Any:
    """(end of the line, job id, value) where a line holds a job id, the same plugin and name as stand at `name`, and a
    usual number; else the end is -1."""
    # The longest value, and what is read beside it.
    if name_size == 0 or begin + 18 + name_size + 32 > data.size:
        return np.int64(-1), np.int64(0), np.int64(0)
    job, i = np.int64(0), begin
    while i < begin + 18:
        digit = _byte(data, i) - _ZERO
        if digit < 0 or digit > 9:
            break
        job = job * 10 + digit
        i += 1
    start = i + 1 + name_size
    if i == begin or _byte(data, i) != sep or not _same(data, name, i + 1, name_size):
        return np.int64(-1), np.int64(0), np.int64(0)
    stop = next_separator(data, start)
    if stop == data.size or _byte(data, stop) != _NEWLINE:
        return np.int64(-1), np.int64(0), np.int64(0)
    value = _usual_number(data, start, stop, scale)
    if value == -1 and stop - start == 4 and _load64(data, stop - 8) >> np.uint64(32) == np.uint64(_ZERO_TEXT):
        value = np.int64(0)
    return (np.int64(-1) if value == -1 else stop), job, value


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
    texts: Any,
) -> Any:
    """Records of a job id and up to four texts: `at` holds the positions of the id and of two pairs of texts (-1: no
    such column), of which the first `pairs` are wanted. `out[0:4]` becomes the id, the code of each pair and the line's
    number. `texts`, int64[4, 2], is room for where they are, `counts`, int64[2], for the codes of each pair; both are
    zeros. Returns the numbers of records, of odd lines and of codes of each pair.
    """
    starts, ends = places[0], places[1]
    begin, line, records, strange = 0, 0, 0, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        status, job = 0, 0
        if fields == width:
            status, job = integer(data, starts[at[0]], ends[at[0]])
        if status == 1:
            for i in range(4):
                if at[1 + i] >= 0:
                    texts[i, 0], texts[i, 1] = starts[at[1 + i]], ends[at[1 + i]]
            for pair in range(pairs):
                first, second = texts[2 * pair], texts[2 * pair + 1]
                code, counts[pair] = _intern(
                    data, first[0], first[1], second[0], second[1], tables[pair], firsts[pair], counts[pair]
                )
                out[1 + pair, records] = code
            out[0, records], out[3, records] = job, line
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, counts[0], counts[1]


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
    while begin < data.size:
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
        if good and output >= 0:
            extension_start, extension_end, name_start, name_end = 0, 0, 0, 0
            if at[2] >= 0:
                extension_start, extension_end = starts[at[2]], ends[at[2]]
            if at[4] >= 0:
                name_start, name_end = starts[at[4]], ends[at[4]]
            code, codes = _intern(data, extension_start, extension_end, name_start, name_end, table, firsts, codes)
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
