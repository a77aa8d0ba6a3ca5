"""Records are put in the order of their jobs, and jobs are found by their ids."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.kernels.joins import add_sizes, find_rows, find_values, pack_values, put_in_order
from grt_batch.schema.members import NO_LIMIT, NULL
from grt_batch.schema.plausible import MOST_BYTES

INT64 = 2**63 - 1


@examples(100)
@given(st.lists(st.integers(-1, 9), max_size=40))
def test_records_are_put_in_the_order_of_their_rows(rows: list[int]) -> None:
    order, ends = np.empty(len(rows), np.int32), np.zeros(max(rows, default=-1) + 2, np.int32)
    count, in_place = put_in_order(np.array(rows, np.int32), ends, order)
    assert order[:count].tolist() == sorted((i for i, row in enumerate(rows) if row >= 0), key=rows.__getitem__)
    assert in_place == (order[:count].tolist() == list(range(len(rows))))
    assert ends[:-1].tolist() == [sum(0 <= one <= row for one in rows) for row in range(len(ends) - 1)]


@examples(100)
@given(st.lists(st.dictionaries(st.integers(0, 11), st.integers(-5, 5), max_size=12), max_size=9))
def test_values_of_metrics_are_packed_one_after_another(records: list[dict[int, int]]) -> None:
    values = np.array([[record.get(metric, 99) for metric in range(12)] for record in records], np.int64)
    seen = np.array([sum(1 << metric for metric in record) for record in records], np.uint16)
    packed, begins = np.empty(values.size + 1, np.int64), np.empty(len(records), np.int64)
    count = pack_values(values.reshape(-1, 12), seen, packed)
    find_values(seen, begins)
    assert packed[:count].tolist() == [record[metric] for record in records for metric in sorted(record)]
    assert begins.tolist() == [sum(map(len, records[:i])) for i in range(len(records))]


@examples(100)
@given(st.lists(st.integers(-INT64, INT64) | st.integers(0, 12), max_size=40), st.integers(-3, 9))
def test_a_row_is_found_by_its_job_id_and_no_other(ids: list[int], first: int) -> None:
    table, rows = np.array([0, -1, 1, 2]), np.empty(len(ids), np.int64)
    find_rows(np.array(ids, np.int64), first, table, rows)
    known = {first: 0, first + 2: 1, first + 3: 2}
    assert rows.tolist() == [known.get(job, -1) for job in ids]


def bytes_of(records: list[tuple[int, int, int, int]], jobs: int) -> tuple[list[list[int]], list[bool]]:
    """The bytes of so many jobs by direction, and which jobs are implausible, of (row, dataset, size, output)."""
    rows = np.array([record[0] for record in records], np.int32)
    dataset, size = (np.array([record[at] for record in records], np.int64) for at in (1, 2))
    output = np.array([record[3] for record in records], np.uint8)
    order, ends = np.empty(len(rows), np.int32), np.zeros(jobs + 1, np.int32)
    order = order[: put_in_order(rows, ends, order)[0]]
    table = np.zeros(1 << (2 * len(rows)).bit_length(), np.int32)
    total, implausible, ordered = np.full((2, jobs), NULL), np.zeros(jobs, np.int8), size[order]
    add_sizes(ends, dataset[order], ordered, output[order].astype(np.int32), table, total, implausible)
    assert ordered.tolist() == [one if 0 <= one <= MOST_BYTES else NULL for one in size[order].tolist()]
    return total.tolist(), (implausible != 0).tolist()


def plainly(records: list[tuple[int, int, int, int]], jobs: int) -> tuple[list[list[int]], list[bool]]:
    """The same, by sets."""
    totals, implausible = [], [False] * jobs
    for direction in (0, 1):
        totals.append([NULL] * jobs)
        for job in range(jobs):
            mine = [(dataset, size) for row, dataset, size, output in records if (row, output) == (job, direction)]
            implausible[job] |= any(not 0 <= size <= MOST_BYTES and size != NULL for _, size in mine)
            known = [(dataset, size) for dataset, size in mine if 0 <= size <= MOST_BYTES]
            sizes = [size for dataset, size in known if dataset == NULL]
            sizes += [max(size for other, size in known if other == one) for one in {one for one, _ in known} - {NULL}]
            if sum(sizes) >= NO_LIMIT:
                implausible[job] = True
            elif sizes:
                totals[direction][job] = sum(sizes)
    return totals, implausible


IDS = st.integers(-3, 3) | st.sampled_from([NULL, INT64, -INT64, 2**62, -(2**62)])
SIZES = st.integers(-2, 4) | st.sampled_from([NULL, NO_LIMIT - 1, MOST_BYTES, MOST_BYTES + 1])
RECORDS = st.lists(st.tuples(st.integers(-1, 3), IDS, SIZES, st.integers(0, 1)), max_size=40)


@examples(200)
@given(RECORDS, st.randoms(use_true_random=False))
def test_a_dataset_counts_once_in_whichever_order(records: list[tuple[int, int, int, int]], random: Random) -> None:
    assert bytes_of(records, 4) == plainly(records, 4)
    shuffled = random.sample(records, len(records))
    assert bytes_of(shuffled, 4) == bytes_of(records, 4)


@pytest.mark.parametrize("step", [0, 1, 3, 2**20, 2**40, 2**45])
def test_a_job_may_have_very_many_datasets(step: int) -> None:
    """The square of their number would take minutes, also where all ids are multiples of a power of two."""
    count = 100_000
    records = [(0, step * (i % (count // 2)), 1, 0) for i in range(count)]
    assert bytes_of(records, 1) == ([[count // 2 if step else 1], [NULL]], [False])
