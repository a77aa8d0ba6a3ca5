"""The hot loops over the bytes of a block, compiled by numba. Only `decode` and `jobs` call them.

A kernel goes through the lines of `data` once. A line that is a record by the types of its columns goes into the
columns; any other goes into `odd`, three numbers a line: where it begins, where it ends and its number in the block
(from 0). What is to be done with an odd line is decided in Python, where it can be explained.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.records import MOST_COLUMNS, NO_LIMIT, NULL
from grt_batch.scanning import IS_NULL, NO_NUMBER, compiled, date, equal, hash_text, integer, is_none, number, split

_TAB = 9


@compiled
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


@compiled
def decode_jobs(data: Any, sep: int, width: int, at: Any, tables: Any, out: Any, firsts: Any, odd: Any) -> Any:
    """Jobs: `at` holds the positions of id, tool_id, tool_version, state, create_time (-1: no such column).

    `out[0:5]` becomes id, create_time (µs, NULL), the code of (tool_id, tool_version), that of the state, and the
    line's number. Returns the numbers of records, of odd lines, of tools and of states.
    """
    starts, ends = np.empty(MOST_COLUMNS, np.int64), np.empty(MOST_COLUMNS, np.int64)
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


@compiled
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


@compiled
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
) -> Any:
    """Numeric metrics, reduced to one row a job: `counts[row]` records, `values[row, metric]` the last value of the
    block, where `seen`. `at` holds the positions of job_id, plugin, name, value. Returns the numbers of records, of
    odd lines and of rows.
    """
    starts, ends = np.empty(MOST_COLUMNS, np.int64), np.empty(MOST_COLUMNS, np.int64)
    begin, line, records, strange, rows, row, before = 0, 0, 0, 0, 0, -1, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        good = fields == width
        if good:
            status, job = integer(data, starts[at[0]], ends[at[0]])
            metric = _wanted(data, starts, ends, at, names, name_ends)
            scale = scales[metric] if metric >= 0 else 0
            numeric, value = number(data, starts[at[3]], ends[at[3]], scale)
            good = status == 1 and numeric != NO_NUMBER
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


@compiled
def decode_datasets(data: Any, sep: int, width: int, at: Any, out: Any, odd: Any) -> Any:
    """Datasets: `at` holds the positions of job_id, dataset_id, file_size, type. `out[0:3]` becomes job id, size
    (bytes, NULL) and 1 for an output, 0 for an input. Returns the numbers of records and of odd lines.
    """
    starts, ends = np.empty(MOST_COLUMNS, np.int64), np.empty(MOST_COLUMNS, np.int64)
    begin, line, records, strange = 0, 0, 0, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        good = fields == width
        if good:
            status, job = integer(data, starts[at[0]], ends[at[0]])
            good = status == 1
        if good and at[1] >= 0 and not is_none(data, starts[at[1]], ends[at[1]]):
            status, _ = integer(data, starts[at[1]], ends[at[1]])
            good = status != 0
        size = NULL
        if good and at[2] >= 0 and not is_none(data, starts[at[2]], ends[at[2]]):
            status, size = integer(data, starts[at[2]], ends[at[2]])
            good = status != 0
            if size >= NO_LIMIT or size == -1:
                size = NULL
        output = -1
        if good and at[3] >= 0:
            start, length = starts[at[3]], ends[at[3]] - starts[at[3]]
            if length == 5 and data[start] == 105 and data[start + 1] == 110 and data[start + 2] == 112:
                output = 0 if data[start + 3] == 117 and data[start + 4] == 116 else -1
            elif length == 6 and data[start] == 111 and data[start + 1] == 117 and data[start + 2] == 116:
                same = data[start + 3] == 112 and data[start + 4] == 117 and data[start + 5] == 116
                output = 1 if same else -1
        if good and output >= 0:
            out[0, records], out[1, records], out[2, records] = job, size, output
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange


@compiled
def count_records(data: Any, sep: int, width: int, at: Any, odd: Any) -> Any:
    """Records whose columns nobody needs: only the number of columns and the job id at `at[0]` are tested.
    Returns the numbers of records and of odd lines."""
    starts, ends = np.empty(MOST_COLUMNS, np.int64), np.empty(MOST_COLUMNS, np.int64)
    begin, line, records, strange = 0, 0, 0, 0
    while begin < data.size:
        fields, stop = split(data, begin, sep, starts, ends)
        if fields == width and integer(data, starts[at[0]], ends[at[0]])[0] == 1:
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange


@compiled
def add_sizes(rows: Any, size: Any, output: Any, total: Any, known: Any, implausible: Any) -> None:
    """Add the sizes of datasets to their jobs: `total[row, output]` bytes of `known[row, output]` datasets with a
    size. A negative size, and a sum beyond 64 bits, make the job implausible."""
    for i in range(rows.size):
        row = rows[i]
        if row < 0 or size[i] == NULL:
            continue
        side = output[i]
        if size[i] < 0 or total[row, side] > NO_LIMIT - size[i]:
            implausible[row] = 1
        else:
            total[row, side] += size[i]
            known[row, side] += 1
