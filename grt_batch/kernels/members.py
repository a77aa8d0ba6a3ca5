"""The loops over the lines of jobs, parameters, text metrics and datasets.

`data` is uint8[n]; a text in it is a start and an end. A kernel goes through the lines once. It decodes the lines whose
fields have the right types. Every other line goes into `odd`, int64[n, 3]: its begin, its end and its number in the
block, from 0. Python decides what becomes of odd lines, and can say why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled, inlined
from grt_batch.kernels.fields import split
from grt_batch.kernels.interning import intern
from grt_batch.kernels.values import IS_NULL, NO_NUMBER, date, integer, is_none
from grt_batch.kernels.words import last_bytes
from grt_batch.schema.members import NO_LIMIT, NULL

_INPUT, _OUTPUT = int.from_bytes(b"input", "little"), int.from_bytes(b"output", "little")


@compiled
def decode_jobs(
    data: Any, sep: int, width: int, at: Any, tables: Any, out: Any, firsts: Any, odd: Any, places: Any
) -> Any:
    """Decode jobs. `at` holds the positions of id, tool_id, tool_version, state, create_time (-1: no such column).

    `out[0:5]` receives id, create_time (µs, NULL), the code of (tool_id, tool_version), the code of the state, and the
    line's number. Returns the numbers of records, odd lines, tools and states.
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
            tool, tools = intern(data, id_start, id_end, version_start, version_end, tables[0], firsts[0], tools)
            state, states = intern(data, state_start, state_end, 0, 0, tables[1], firsts[1], states)
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
    """Decode records of a job id and up to four texts.

    `at` holds the positions of the id and of two pairs of texts (-1: no such column); only the first `pairs` are
    decoded. `out[0:4]` receives the id, the code of each pair and the line's number. `counts`, int64[2] of zeros, is
    room for the number of codes of each pair. Returns the numbers of records, odd lines and codes of each pair.
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
                code, counts[pair] = intern(data, start, end, start2, end2, tables[pair], firsts[pair], counts[pair])
                out[1 + pair, records] = code
            out[0, records], out[3, records] = job, line
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, counts[0], counts[1]


@compiled
def decode_datasets(
    data: Any, sep: int, width: int, at: Any, table: Any, out: Any, firsts: Any, odd: Any, places: Any
) -> Any:
    """Decode datasets. `at` holds the positions of job_id, dataset_id, extension, file_size, param_name, type.

    `out[0:5]` receives job id, size (bytes, NULL), 1 for an output and 0 for an input, dataset id (NULL), and the code
    of (extension, param_name). Returns the numbers of records, odd lines and codes.
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
            output = _direction(data, starts[at[5]], ends[at[5]])
        extension, extension_end, name, name_end = 0, 0, 0, 0
        if at[2] >= 0:
            extension, extension_end = starts[at[2]], ends[at[2]]
        if at[4] >= 0:
            name, name_end = starts[at[4]], ends[at[4]]
        good = good and output >= 0
        if good:
            code, codes = intern(data, extension, extension_end, name, name_end, table, firsts, codes)
            out[0, records], out[1, records], out[2, records], out[3, records] = job, size, output, dataset
            out[4, records] = code
            records += 1
        else:
            odd[strange, 0], odd[strange, 1], odd[strange, 2] = begin, stop, line
            strange += 1
        begin = stop + 1
        line += 1
    return records, strange, codes


@inlined
def _direction(data: Any, start: Any, end: Any) -> Any:
    """Return 0 for the text `input`, 1 for `output`, -1 for any other."""
    if end - start == 5 and last_bytes(data, start, 5) == np.uint64(_INPUT):
        return 0
    if end - start == 6 and last_bytes(data, start, 6) == np.uint64(_OUTPUT):
        return 1
    return -1
