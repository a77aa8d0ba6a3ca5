"""The loops that join the records of members with their jobs."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled, inlined
from grt_batch.schema.members import NO_LIMIT, NULL


@compiled
def find_rows(ids: Any, first: int, table: Any, rows: Any) -> None:
    """Look up the row of each job id in `table`, which begins with the id `first`; -1 for ids outside."""
    last = first + table.size - 1
    for i in range(ids.size):
        rows[i] = table[ids[i] - first] if ids[i] >= first and ids[i] <= last else -1


@compiled
def put_in_order(rows: Any, ends: Any, order: Any) -> Any:
    """Put the places of the records that have a row (0 or more) into `order`, by row, stable within a row.

    `ends`, zeros, one more than there are rows, is room for where each row's places end. Returns the number of places.
    """
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


@compiled
def put_metric(rows: Any, seen: Any, metric: Any, values: Any, out: Any) -> None:
    """Put the values of a metric into `out[row]`, the rows of their jobs.

    `values` belong, one after another, to the records whose `seen` has the bit `metric`; a row below 0 has no job.
    """
    taken = 0
    for i in range(rows.size):
        if (seen[i] >> metric) & 1:
            if rows[i] >= 0:
                out[rows[i]] = values[taken]
            taken += 1


@compiled
def add_sizes(
    order: Any, ends: Any, dataset: Any, size: Any, output: Any, table: Any, total: Any, implausible: Any
) -> None:
    """Add the sizes of datasets up in `total[output, row]`, the bytes of their jobs; NULL where none has a size.

    `order` and `ends` come from `put_in_order`. A dataset counts once, with the greatest of its sizes, as an input and
    once as an output; each record with the dataset NULL counts by itself. A negative size, or a sum from NO_LIMIT on,
    which becomes NULL, marks the job as implausible. `table` is room for a power of two of places, for each job at
    least twice as many as it has records. The result does not depend on the order of the records.
    """
    begin = 0
    for row in range(implausible.size):
        end = ends[row]
        bits = 1
        while 1 << bits < 2 * (end - begin):
            bits += 1
        table[: 1 << bits] = 0
        for i in order[begin:end]:
            if size[i] < 0:
                implausible[row] |= size[i] != NULL
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
