"""How joined records are cut into tasks, and what is left of them meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.modules.base import Module, Partial
from grt_batch.pipeline.aggregation import aggregate
from grt_batch.pipeline.tasks import AggregateTask, Task
from grt_batch.schema.records import Dataset, Job

TEXTS = pl.Enum(["a", "b", "c", "d"])


class Watching(Module):
    """Wants datasets; of a task it keeps nothing, and at a merge it looks at what is left of the frames. `n` has a row
    for each of what was gathered, with the number of parts that were merged."""

    name = "watching"
    needs = (Job, Dataset)

    def __init__(self, frames: dict[str, pl.DataFrame]) -> None:
        self.frames = frames

    def empty(self) -> Partial:
        return {"n": pl.DataFrame(schema={"n": pl.Int64})}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        assert not self.frames
        return {"n": pl.DataFrame({"n": [len(partials)]})}

    def gathered(self, partials: Sequence[Partial]) -> Partial:
        return {"n": pl.concat([partial["n"] for partial in partials])}


def frames_of(datasets: Sequence[int]) -> dict[str, pl.DataFrame]:
    """Jobs with so many datasets each."""
    ids = np.arange(len(datasets)) * 10
    texts = pl.Series([number % 4 for number in range(len(datasets))], dtype=pl.UInt32)
    jobs = pl.DataFrame({"job_id": ids, "tool_id": pl.Series(TEXTS.categories, dtype=TEXTS).gather(texts)})
    rows = np.repeat(ids, datasets)
    return {"jobs": jobs, "datasets": pl.DataFrame({"job_id": rows, "file_size": rows + 1}), "params": jobs[:0]}


def parts_of(frames: dict[str, pl.DataFrame], jobs: int) -> list[AggregateTask]:
    """The tasks that the frames are cut into, and are merged from at once."""
    tasks, merged = aggregated(frames, jobs)
    assert merged == [len(tasks)] * bool(tasks)
    return tasks


def aggregated(frames: dict[str, pl.DataFrame], jobs: int) -> tuple[list[AggregateTask], list[int]]:
    """The tasks that the frames are cut into, and how many of them are merged before they are gathered."""
    found: list[AggregateTask] = []

    def run_tasks(tasks: Iterator[Task]) -> Iterator[Any]:
        for task in tasks:
            assert isinstance(task, AggregateTask)
            found.append(task)
            yield {Watching.name: {}}

    module = Watching(frames)
    ((same, partial),) = aggregate(frames, [module], date(2020, 1, 1), Config(aggregate_jobs=jobs), run_tasks)
    assert same is module
    return found, partial["n"]["n"].to_list()


@examples(60)
@given(datasets=st.lists(st.integers(0, 3), max_size=12), jobs=st.integers(1, 13))
@example(datasets=[], jobs=1)
@example(datasets=[0, 0, 0], jobs=2)
@example(datasets=[1, 0, 0, 2], jobs=2)
@example(datasets=[50] * 5, jobs=2)
def test_parts_are_all_records_of_so_many_jobs_and_together_all_that_modules_need(
    datasets: list[int], jobs: int
) -> None:
    whole = {kind: frame.rows() for kind, frame in frames_of(datasets).items()}
    tasks = parts_of(frames_of(datasets), jobs)
    assert [task.frames["jobs"].height for task in tasks[:-1]] == [jobs] * (len(tasks) - 1)
    for task in tasks:
        assert task.frames.keys() == {"jobs", "datasets"}
        assert 0 < task.frames["jobs"].height <= jobs
        assert set(task.frames["datasets"]["job_id"]) <= set(task.frames["jobs"]["job_id"])
    for kind in ("jobs", "datasets"):
        assert [row for task in tasks for row in task.frames[kind].rows()] == whole[kind]


@pytest.mark.parametrize(("jobs", "sizes", "merged"), [(2, [2, 2, 1] * 2 + [2], [3, 3, 1]), (7, [5, 5, 2], [1, 1, 1])])
def test_so_many_jobs_are_gathered_at_a_time(
    jobs: int, sizes: list[int], merged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grt_batch.pipeline.aggregation.GATHERED_JOBS", 5)
    tasks, found = aggregated(frames_of([1] * 12), jobs)
    assert [task.frames["jobs"].height for task in tasks] == sizes
    assert [task.frames["datasets"].height for task in tasks] == sizes
    assert found == merged


def test_a_part_has_just_the_texts_of_its_own() -> None:
    tasks = parts_of(frames_of([1] * 6), 2)
    categories = [task.frames["jobs"]["tool_id"].dtype.categories.to_list() for task in tasks]  # type: ignore[attr-defined]
    assert categories == [["a", "b"], ["c", "d"], ["a", "b"]]


def test_a_part_holds_none_of_the_memory_of_the_others() -> None:
    frames = frames_of([2] * 6)
    whole = [frame["job_id"].to_numpy() for frame in frames.values()]
    for task in parts_of(frames, 2):
        for frame in task.frames.values():
            assert not any(np.shares_memory(frame["job_id"].to_numpy(), column) for column in whole)


@pytest.mark.parametrize("jobs", [1, 2, 100])
def test_the_frames_are_gone_when_the_first_part_is_there(jobs: int) -> None:
    frames = frames_of([1] * 6)
    left: list[int] = []

    def run_tasks(tasks: Iterator[Task]) -> Iterator[Any]:
        for _ in tasks:
            left.append(len(frames))
            yield {Watching.name: {}}

    list(aggregate(frames, [Watching(frames)], date(2020, 1, 1), Config(aggregate_jobs=jobs), run_tasks))
    assert left == [0] * -(-6 // jobs)
