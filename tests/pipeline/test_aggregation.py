"""How joined records are cut into tasks, and their partials merged."""

from __future__ import annotations

import weakref
from collections.abc import Container, Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from build import examples
from exporting import made
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.modules.base import Module
from grt_batch.pipeline.aggregation import aggregate
from grt_batch.pipeline.tasks import AggregateTask, Task
from grt_batch.schema.records import RECORDS, Dataset, Job, Records

SINCE = date(2020, 1, 1)


class Watching(Module):
    """Wants datasets. Its partial is how many parts were merged, of each that was gathered."""

    name = "watching"
    needs = (Job, Dataset)
    cubes = ()

    def empty(self) -> Any:
        return []

    def merge(self, parts: Sequence[Any]) -> Any:
        return [len(parts)]

    def gathered(self, parts: Sequence[Any]) -> Any:
        return [count for part in parts for count in part]

    def pack(self, counted: Any) -> bytes:
        return bytes(counted)

    def unpack(self, raw: bytes, cubes: Container[str] | None = None) -> Any:
        return list(raw)


def records_of(datasets: Sequence[int]) -> Records:
    """Jobs with so many datasets each, and a parameter."""
    jobs = [{"job_id": 10 * i, "tool_id": "abcd"[i % 4]} for i in range(len(datasets))]
    ids = [10 * i for i, count in enumerate(datasets) for _ in range(count)]
    return made(
        jobs,
        datasets=[{"job_id": job, "dataset_id": i} for i, job in enumerate(ids)],
        params=[{"job_id": job["job_id"], "name": "p"} for job in jobs],
    )


def aggregated(records: Records, jobs: int) -> tuple[list[AggregateTask], list[int]]:
    """The tasks that records are cut into, and how many of them are merged before they are gathered."""
    found: list[AggregateTask] = []

    def run_tasks(tasks: Iterator[Task]) -> Iterator[Any]:
        for task in tasks:
            assert isinstance(task, AggregateTask)
            found.append(task)
            yield {Watching.name: {}}

    module = Watching()
    ((same, packed),) = aggregate(records, [module], SINCE, Config(aggregate_jobs=jobs), run_tasks)
    assert same is module
    return found, module.unpack(packed)


@examples(60)
@given(datasets=st.lists(st.integers(0, 3), max_size=12), jobs=st.integers(1, 13))
@example(datasets=[], jobs=1)
@example(datasets=[0, 0, 0], jobs=2)
@example(datasets=[1, 0, 0, 2], jobs=2)
@example(datasets=[50] * 5, jobs=2)
def test_parts_are_all_records_of_so_many_jobs_and_together_all_that_modules_need(
    datasets: list[int], jobs: int
) -> None:
    whole = records_of(datasets)
    tasks, merged = aggregated(whole, jobs)
    assert merged == [len(tasks)] * bool(tasks)
    assert [task.tables["jobs"].height for task in tasks[:-1]] == [jobs] * (len(tasks) - 1)
    parts = []
    for task in tasks:
        assert task.tables.keys() == {"jobs", "datasets"}
        assert 0 < task.tables["jobs"].height <= jobs
        assert task.since == SINCE
        parts.append(Records({RECORDS[kind]: table for kind, table in task.tables.items()}))
    for record in (Job, Dataset):
        assert [row for part in parts for row in part.frame(record).rows()] == whole.frame(record).rows()


@pytest.mark.parametrize(("jobs", "sizes", "merged"), [(2, [2, 2, 1] * 2 + [2], [3, 3, 1]), (7, [5, 5, 2], [1, 1, 1])])
def test_so_many_jobs_are_gathered_at_a_time(
    jobs: int, sizes: list[int], merged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grt_batch.pipeline.aggregation.GATHERED_JOBS", 5)
    tasks, found = aggregated(records_of([1] * 12), jobs)
    assert [task.tables["jobs"].height for task in tasks] == sizes
    assert [task.tables["datasets"].height for task in tasks] == sizes
    assert found == merged


def test_records_are_released_before_the_pieces_of_a_large_archive_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grt_batch.pipeline.aggregation.GATHERED_JOBS", 5)
    records = records_of([1] * 12)
    jobs = weakref.ref(records[Job])
    partials = aggregate(records, [Watching()], SINCE, Config(), lambda tasks: ({Watching.name: []} for _ in tasks))
    del records
    alive = []
    monkeypatch.setattr(Watching, "unpack", lambda self, raw, cubes=None: alive.append(jobs() is not None) or list(raw))
    list(partials)
    assert alive == [False] * 3
