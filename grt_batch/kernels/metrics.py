"""The loops over the lines of numeric metrics, which are most lines of an archive. `members` explains the arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled, inlined
from grt_batch.kernels.fields import split
from grt_batch.kernels.interning import intern
from grt_batch.kernels.values import IS_NULL, LARGEST, NO_NUMBER, integer, number
from grt_batch.kernels.words import byte_at, eight_digits, equal, leading_digits, load64
from grt_batch.schema.members import NO_LIMIT, NULL

_TAB, _NEWLINE, _POINT, _ZERO = 9, 10, 46, 48


_POWERS = np.array([10**i for i in range(9)], dtype=np.int64)


_ZERO_TEXT, _NO_FRACTION = int.from_bytes(b"0E-7\n", "little"), int.from_bytes(b"0000000\n", "little")


@compiled
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
    """Decode numeric metrics into one row a job. `at` holds the positions of job_id, plugin, name, value.

    `counts[row]` receives the number of records, `values[row, metric]` its last value, and `seen[row]` a bit for it.
    `known`, int64[n, 4], describes up to n texts of plugin and name: position, size (0: none yet), metric, and the text
    that followed last time. Returns the numbers of records, odd lines and rows.

    A metric is nearly always followed by the same one as last time. So each line is first compared with what it should
    be; its fields are looked for only where it differs.
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
                row, now_rows = _slot(ids, table, job, rows)
                if now_rows > rows:
                    counts[row], values[row], seen[row] = 0, 0, 0
                    rows = now_rows
                before = job
            counts[row] += 1
            if metric >= 0:
                values[row, metric] = value
                seen[row] |= 1 << metric
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, rows


@compiled
def decode_metric_records(
    data: Any, sep: int, width: int, at: Any, table: Any, out: Any, firsts: Any, odd: Any, places: Any
) -> Any:
    """Decode every numeric metric as a record of its own. `at` is as in `decode_metrics`.

    `out[0:4]` receives job id, the code of (plugin, name), the value (NULL, also below -2^62) and its scale: 7, or 0
    where the value is too large for that. Returns the numbers of records, odd lines and codes.
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
            if numeric == IS_NULL or value == LARGEST or value == -LARGEST:
                scale = 0
                numeric, value = number(data, starts[at[3]], ends[at[3]], scale)
                if value == -LARGEST:
                    value = np.int64(NULL)
            good = status == 1 and numeric != NO_NUMBER
        if good:
            code, codes = intern(data, starts[at[1]], ends[at[1]], starts[at[2]], ends[at[2]], table, firsts, codes)
            out[0, records], out[1, records], out[2, records], out[3, records] = job, code, value, scale
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, codes


@compiled
def _wanted(data: Any, starts: Any, ends: Any, at: Any, names: Any, name_ends: Any) -> int:
    """Return which wanted metric a line holds, -1 for any other. `names` are their plugins and names, tab between."""
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


@compiled
def _slot(ids: Any, table: Any, job: int, count: int) -> tuple[int, int]:
    """Return the row of a job id, and the number of rows so far."""
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


@compiled
def _learn(data: Any, start: Any, size: Any, metric: Any, known: Any) -> Any:
    """Return the place of a text in `known`, after adding it if it is new; -1 where `known` is full."""
    for i in range(known.shape[0]):
        if known[i, 1] == 0:
            known[i, 0], known[i, 1], known[i, 2] = start, size, metric
        if known[i, 1] == size and _same(data, known[i, 0], start, size):
            return i
    return -1


@inlined
def _usual_metric(data: Any, begin: Any, sep: int, name: Any, name_size: Any, scale: Any) -> Any:
    """Parse a line that holds a job id, the same plugin and name as at `name`, and a usual number.

    Return (end of the line, job id, value); the end is -1 for any other line.
    """
    # Room for the longest job id, and for the value.
    if name_size == 0 or begin + 16 + name_size + 32 > data.size:
        return np.int64(-1), np.int64(0), np.int64(0)
    job, i = _usual_integer(data, begin)
    if i == begin or byte_at(data, i) != sep or not _same(data, name, i + 1, name_size):
        return np.int64(-1), np.int64(0), np.int64(0)
    stop, value = _usual_number(data, i + 1 + name_size, scale)
    return stop, job, value


@inlined
def _same(data: Any, a: Any, b: Any, size: Any) -> Any:
    """Return whether two positions hold the same `size` bytes, at least eight. The last eight are compared at once."""
    i = 8
    while i < size:
        if load64(data, a + i - 8) != load64(data, b + i - 8):
            return False
        i += 8
    return load64(data, a + size - 8) == load64(data, b + size - 8)


@inlined
def _usual_number(data: Any, start: Any, scale: Any) -> Any:
    """Parse 0E-7, or digits, a point and 7 digits, as `number` does. 32 bytes must exist.

    Return the position of the newline after it and the value; (-1, 0) for any other text.
    """
    word = load64(data, start)
    if word & np.uint64(0xFFFFFFFFFF) == np.uint64(_ZERO_TEXT):
        return start + 4, np.int64(0)
    large = False
    count, whole = leading_digits(word)
    if count == 8:
        more, low = leading_digits(load64(data, start + 8))
        count, whole = count + more, whole * _POWERS[more] + low
        if more == 8:
            # Values beyond NO_LIMIT have 19 digits.
            large = leading_digits(load64(data, start + 16))[0] == 3 and whole > NO_LIMIT // 1000
            count += 3
            if not large:
                return np.int64(-1), np.int64(0)
    end = start + count + 8
    word = load64(data, end - 7)
    if count == 0 or byte_at(data, end - 8) != _POINT or word >> np.uint64(56) != np.uint64(_NEWLINE):
        return np.int64(-1), np.int64(0)
    fraction = np.int64(0)
    if word != np.uint64(_NO_FRACTION):
        fraction = eight_digits(word << np.uint64(8) | np.uint64(_ZERO))
    if fraction < 0:
        return np.int64(-1), np.int64(0)
    if large:
        return end, np.int64(NULL)
    if scale == 0:
        return end, whole + (fraction >= 5_000_000)
    if scale != 7 or whole >= LARGEST // 10_000_000:
        return np.int64(-1), np.int64(0)
    return end, whole * 10_000_000 + fraction


@inlined
def _usual_integer(data: Any, start: Any) -> Any:
    """Return the number that up to 15 digits from `start` on spell, and where they end.

    The end is `start` where there is no digit, or more than 15. 16 bytes must exist.
    """
    count, value = leading_digits(load64(data, start))
    if count == 8:
        more, low = leading_digits(load64(data, start + 8))
        if more == 8:
            return np.int64(0), start
        return value * _POWERS[more] + low, start + 8 + more
    return value, start + count
