"""The loops that join the records of members with their jobs."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from grt_batch.kernels.compiled import compiled, inlined, instruction
from grt_batch.schema.members import (
    CPU_V1,
    CPU_V2,
    END,
    HITS_V1,
    KILLS_V2,
    LIMIT_V1,
    MEMORY_MB,
    MEMORY_V1,
    MEMORY_V2,
    METRICS,
    NO_LIMIT,
    NULL,
    RUNTIME,
    SECOND,
    SLOTS,
    START,
)
from grt_batch.schema.plausible import (
    FIRST_SECOND,
    LAST_SECOND,
    MOST_BYTES,
    MOST_PROCESSORS,
    MOST_SECONDS,
    SLACK_SECONDS,
)

_LEAST, _MOST = np.array([metric.least for metric in METRICS]), np.array([metric.most for metric in METRICS])


_MOST_TICKS = MOST_SECONDS * SECOND


_FIRST, _LAST = FIRST_SECOND * 1_000_000, LAST_SECOND * 1_000_000


CORE_SECONDS = len(METRICS)
"""The place among the implausible measurements that is behind those of the metrics."""


_DAY = 86_400_000_000


_NO_DAY = -(1 << 31)


_AHEAD, _LINE = 16, 8
"""How many records ahead values are fetched, and how many values a line of the cache holds."""


@instruction("int64")
def prefetch(builder: Any, data: Any, index: Any) -> Any:
    """Fetch the value of `data` at `index`, which need not exist, into the cache; return 0."""
    pointer = builder.bitcast(builder.gep(data, [index]), ir.IntType(8).as_pointer())
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
    builder.call(function, [pointer, number(0), number(3), number(1)])
    return ir.IntType(64)(0)


@compiled
def find_rows(ids: Any, first: int, table: Any, rows: Any) -> None:
    """Look up the row of each job id in `table`, which begins with the id `first`; -1 for ids outside.

    `rows` may be the first half of the memory of `ids`.
    """
    last = first + table.size - 1
    for i in range(ids.size):
        rows[i] = table[ids[i] - first] if ids[i] >= first and ids[i] <= last else -1


@compiled
def newest_lines(lines: Any, first: int, table: Any, ids: Any, order: Any) -> Any:
    """Put the different job ids of `lines` into `ids` as they rise, and the last line of each into `order`.

    `table`, -1 everywhere, has a place for each id from `first` on, and receives the row of each. `ids` may be `lines`.
    Returns the number of rows.
    """
    for line in range(lines.size):
        table[lines[line] - first] = line
    rows = 0
    for place in range(table.size):
        if table[place] >= 0:
            ids[rows], order[rows], table[place] = first + place, table[place], rows
            rows += 1
    return rows


@compiled
def place_jobs(
    order: Any,
    created: Any,
    tools: Any,
    states: Any,
    codes: Any,
    state_codes: Any,
    is_open: Any,
    times: Any,
    days: Any,
    texts: Any,
    non_terminal: Any,
    implausible: Any,
) -> None:
    """Put the columns of jobs in `order`. A time that is not plausible becomes NULL, and marks the job `implausible`.

    `codes`, int32[2, tools], are those of the id and version of each tool; `state_codes` and `is_open` those of each
    state. `times` receives the time, `days`, int32[2, jobs], its day and the first day of its month, as days since
    1970, `texts`, int32[3, jobs], the codes of tool, version and state.

    The days follow the civil calendar: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    """
    before, month = np.int64(NULL), np.int64(NULL)
    for row in range(order.size):
        i = order[row]
        times[row] = created[i]
        texts[0, row], texts[1, row] = codes[0, tools[i]], codes[1, tools[i]]
        texts[2, row], non_terminal[row] = state_codes[states[i]], is_open[states[i]]
        if created[i] != NULL and (created[i] < _FIRST or created[i] > _LAST):
            times[row], implausible[row] = NULL, 1
        if times[row] == NULL:
            days[0, row] = days[1, row] = _NO_DAY
            continue
        day = created[i] // _DAY
        if day != before:
            shifted = (day + 719468) % 146097
            year = (shifted - shifted // 1460 + shifted // 36524 - shifted // 146096) // 365
            of_year = shifted - (365 * year + year // 4 - year // 100)
            # Months from March on; `first` is the first day of this one.
            first = (153 * ((5 * of_year + 2) // 153) + 2) // 5
            before, month = day, day - (of_year - first)
        days[0, row], days[1, row] = day, month


@compiled
def place(order: Any, column: Any, out: Any) -> None:
    """Put a column of records in `order`."""
    for row in range(order.size):
        out[row] = column[order[row]]


@compiled
def place_codes(order: Any, column: Any, codes: Any, one: Any, other: Any) -> None:
    """Put a column of records in `order` as two columns: `codes`, int32[2, n], are those of each value."""
    for row in range(order.size):
        value = column[order[row]]
        one[row], other[row] = codes[0, value], codes[1, value]


@compiled
def put_in_order(rows: Any, ends: Any, order: Any) -> Any:
    """Put the places of the records that have a row (0 or more) into `order`, by row, stable within a row.

    `ends`, zeros, one more than there are rows, receives where each row's places end. Returns the number of places, and
    whether `order` leaves all records where they are.
    """
    for row in rows:
        if row >= 0:
            ends[row + 1] += 1
    for row in range(1, ends.size):
        ends[row] += ends[row - 1]
    moved = 0
    for i in range(rows.size):
        row = rows[i]
        if row >= 0:
            moved |= ends[row] ^ i
            order[ends[row]] = i
            ends[row] += 1
    return ends[-1], moved == 0 and ends[-1] == rows.size


@compiled
def fill_rows(ends: Any, rows: Any) -> None:
    """Put the row of each record into `rows`; those of a row end at `ends[row]`."""
    begin = 0
    for row in range(ends.size - 1):
        rows[begin : ends[row]] = row
        begin = ends[row]


@compiled
def pack_values(values: Any, seen: Any, packed: Any) -> Any:
    """Put the values of the metrics that each record has, as the bits of `seen` say, one after another into `packed`.

    Returns how many there are.
    """
    count = 0
    for i in range(seen.size):
        for metric in range(values.shape[1]):
            packed[count] = values[i, metric]
            count += (seen[i] >> metric) & 1
    return count


@compiled
def find_values(seen: Any, begins: Any) -> None:
    """Put where the values of each record begin, as `pack_values` left them, into `begins`."""
    begin = 0
    for i in range(seen.size):
        begins[i] = begin
        bits = np.int64(seen[i])
        while bits:
            bits &= bits - 1
            begin += 1


@compiled
def measure_jobs(
    order: Any,
    ends: Any,
    begins: Any,
    seen: Any,
    packed: Any,
    created: Any,
    states: Any,
    error: int,
    newest: Any,
    measured: Any,
    oom: Any,
    without: Any,
    implausible: Any,
    counts: Any,
) -> None:
    """Measure each job by the newest values of its metrics; `error` is the code among `states` of jobs that failed.

    `order` and `ends` are those of the records, from `put_in_order`, `begins` from `find_values`, `newest` is room for
    one job's metrics. `measured[:, row]` receives runtime, memory, cpu, cores, allocated_memory, core_seconds and wait,
    NULL where one is unknown. A measurement that is not plausible is unknown, and marks the job as `implausible`;
    `counts` has the number of such jobs for each metric, and behind them for core_seconds. `without` marks jobs without
    metrics, and `oom` those that were killed for memory, -128 where nothing could tell.
    """
    begin = 0
    for row in range(created.size):
        # Exporters write jobs in some order, and the processor cannot foresee where the values of the next ones are.
        if begin + _AHEAD < order.size:
            place = begins[order[begin + _AHEAD]]
            prefetch(packed, place)
            prefetch(packed, place + _LINE)
        without[row] = begin == ends[row]
        newest[:] = NULL
        for i in order[begin : ends[row]]:
            place = begins[i]
            for metric in range(newest.size):
                if (seen[i] >> metric) & 1:
                    newest[metric] = packed[place]
                    place += 1
        begin = ends[row]
        missing = newest[RUNTIME] == NULL
        for metric in range(newest.size):
            if newest[metric] != NULL and (newest[metric] < _LEAST[metric] or newest[metric] > _MOST[metric]):
                newest[metric], implausible[row] = NULL, 1
                counts[metric] += 1
        # Only a missing runtime becomes end - start; one that is not plausible stays so.
        if missing and newest[START] != NULL and newest[END] != NULL:
            newest[RUNTIME] = newest[END] - newest[START]
            if newest[RUNTIME] < 0 or newest[RUNTIME] > _MOST_TICKS:
                newest[RUNTIME], implausible[row] = NULL, 1
                counts[RUNTIME] += 1
        measured[0, row] = newest[RUNTIME]
        measured[1, row] = newest[MEMORY_V2] if newest[MEMORY_V2] > 0 else newest[MEMORY_V1]
        if measured[1, row] == 0:
            measured[1, row] = NULL
        used = CPU_V2 if newest[CPU_V2] != NULL else CPU_V1
        cpu = newest[used] * 1000 if used == CPU_V2 else newest[used]
        if cpu > 0 and newest[RUNTIME] != NULL and _exceeds(cpu, newest[RUNTIME]):
            cpu, implausible[row] = NULL, 1
            counts[used] += 1
        measured[2, row] = cpu
        measured[3, row] = newest[SLOTS]
        measured[4, row] = _times_exact(newest[MEMORY_MB], 1 << 20)
        measured[5, row] = _times_exact(newest[RUNTIME], newest[SLOTS])
        if measured[5, row] == NULL and newest[RUNTIME] != NULL and newest[SLOTS] != NULL:
            implausible[row] = 1
            counts[CORE_SECONDS] += 1
        measured[6, row] = _waited(newest[START], created[row])
        if measured[6, row] > _MOST_TICKS:
            measured[6, row], implausible[row] = NULL, 1
            counts[START] += 1
        oom[row] = _killed(states[row] == error, newest[MEMORY_V1], newest[LIMIT_V1], newest[HITS_V1], newest[KILLS_V2])


@inlined
def _exceeds(cpu: Any, runtime: Any) -> Any:
    """Return whether CPU time, in ns and above 0, is more than all processors of a machine give in a runtime."""
    # The product of the other side would not fit.
    return (cpu - 1) // MOST_PROCESSORS >= runtime * 100 + SLACK_SECONDS * 1_000_000_000


@inlined
def _times_exact(a: Any, b: Any) -> Any:
    """Return a × b / SECOND for non-negative integers, rounded down; NULL beyond 62 bits, and where one is NULL."""
    if a == NULL or b == NULL or np.float64(a) * np.float64(b) / SECOND >= 2.0**62:
        return NULL
    whole, part = b // SECOND, b % SECOND
    # a × part may not fit at once: a's own whole and part keep every product below 2^63.
    return a * whole + (a // SECOND) * part + (a % SECOND) * part // SECOND


@inlined
def _waited(start: Any, created: Any) -> Any:
    """Return start - created in units of 1e-7 s; NULL where that is negative or unknown."""
    if start == NULL or created == NULL:
        return NULL
    waited = start - created * 10
    return waited if waited >= 0 else NULL


@inlined
def _killed(failed: Any, peak: Any, limit: Any, hits: Any, kills: Any) -> Any:
    """Return whether a job was killed for memory, 0 or 1; -128 where nothing could tell.

    The second cgroups count the kills. Under the first ones a job that `failed` with its peak at 98 % of a limit or
    more is taken for killed. Without a limit they cannot tell: the system may have killed the job. A job with a limit
    but no peak was not killed if it never hit the limit; hits alone prove nothing.
    """
    if kills != NULL:
        return np.int8(kills > 0)
    # NULL is negative, and stands for "no limit" too.
    if limit <= 0 or (peak <= 0 and hits != 0):
        return np.int8(-128)
    # 100 · peak ≥ 98 · limit, where neither product need fit.
    return np.int8(failed and peak > 0 and limit - peak <= limit // 50)


@compiled
def add_sizes(ends: Any, dataset: Any, size: Any, output: Any, table: Any, total: Any, implausible: Any) -> None:
    """Add the sizes of datasets up in `total[output, row]`, the bytes of their jobs; NULL where none has a size.

    The datasets of a row end at `ends[row]`. A dataset counts once, with the greatest of its sizes, as an input and
    once as an output; each record with the dataset NULL counts by itself. A size that is not plausible, or a sum from
    NO_LIMIT on, becomes NULL, and marks the job as implausible. `table` is room for a power of two of places, for each
    job at least twice as many as it has records. The result does not depend on the order of the records.
    """
    begin = 0
    for row in range(implausible.size):
        end = ends[row]
        bits = 1
        while 1 << bits < 2 * (end - begin):
            bits += 1
        table[: 1 << bits] = 0
        for i in range(begin, end):
            if size[i] < 0 or size[i] > MOST_BYTES:
                implausible[row] |= size[i] != NULL
                size[i] = NULL
                continue
            counted = np.int64(0)
            if dataset[i] != NULL:
                place = _place(dataset, output, i, table, bits)
                if table[place] != 0:
                    counted = size[table[place] - 1]
                if size[i] < counted:
                    continue
                table[place] = i + 1
            # It only grows, and stops at NO_LIMIT.
            total[output[i], row] = min(max(total[output[i], row], 0) + size[i] - counted, NO_LIMIT)
        for direction in range(2):
            if total[direction, row] == NO_LIMIT:
                total[direction, row], implausible[row] = NULL, 1
        begin = end


@inlined
def _place(dataset: Any, output: Any, i: Any, table: Any, bits: Any) -> Any:
    """Return the place in `table`, of 1 << `bits` places, of the dataset and direction of record `i`, or a free one."""
    mask = np.uint64((1 << bits) - 1)
    key = np.uint64(2 * dataset[i] + output[i])
    # The upper bits of the product: ids may be multiples of a power of two.
    place = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
    while table[place] != 0:
        other = table[place] - 1
        if dataset[other] == dataset[i] and output[other] == output[i]:
            break
        place = (place + np.uint64(1)) & mask
    return place


@compiled
def mark_replaced(rows: Any, codes: Any, seen: Any, replaced: Any) -> None:
    """Mark the records that a later one of the same row and code replaces. `rows` rise; `seen` is -1 for each code."""
    for i in range(rows.size - 1, -1, -1):
        if seen[codes[i]] == rows[i]:
            replaced[i] = 1
        seen[codes[i]] = rows[i]
