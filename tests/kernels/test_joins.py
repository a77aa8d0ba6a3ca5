"""Records are put in the order of their jobs, and jobs are found by their ids."""

from __future__ import annotations

import numpy as np
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.kernels.joins import find_rows, put_in_order

INT64 = 2**63 - 1


@examples(100)
@given(st.lists(st.integers(-1, 9), max_size=40))
def test_records_are_put_in_the_order_of_their_rows(rows: list[int]) -> None:
    order = np.empty(len(rows), np.int64)
    count = put_in_order(np.array(rows, np.int64), np.zeros(max(rows, default=-1) + 2, np.int64), order)
    assert order[:count].tolist() == sorted((i for i, row in enumerate(rows) if row >= 0), key=rows.__getitem__)


@examples(100)
@given(st.lists(st.integers(-INT64, INT64) | st.integers(0, 12), max_size=40), st.integers(-3, 9))
def test_a_row_is_found_by_its_job_id_and_no_other(ids: list[int], first: int) -> None:
    table, rows = np.array([0, -1, 1, 2]), np.empty(len(ids), np.int64)
    find_rows(np.array(ids, np.int64), first, table, rows)
    known = {first: 0, first + 2: 1, first + 3: 2}
    assert rows.tolist() == [known.get(job, -1) for job in ids]
