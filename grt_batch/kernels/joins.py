"""The loops that join the records of members with their jobs."""

from __future__ import annotations

from typing import Any

import numpy as np

from grt_batch.kernels.compiled import compiled
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
def add_sizes(rows: Any, size: Any, output: Any, total: Any, implausible: Any) -> None:
    """Add the sizes of datasets to `total[output, row]`, the bytes of their jobs; NULL where no dataset has a size.

    A negative size, or a sum beyond 2^62, marks the job as implausible.
    """
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


@compiled
def mark_replaced(rows: Any, codes: Any, seen: Any, replaced: Any) -> None:
    """Mark the records that a later one of the same row and code replaces. `rows` rise; `seen` is -1 for each code."""
    for i in range(rows.size - 1, -1, -1):
        if seen[codes[i]] == rows[i]:
            replaced[i] = 1
        seen[codes[i]] = rows[i]
