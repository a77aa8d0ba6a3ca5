"""Cubes that are counted together are as those that are counted alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
from build import examples, plain
from by_hand import records
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.counting import counted
from grt_batch.aggregate.distributions import Distribution, Distributions, Ratio
from grt_batch.aggregate.measures import Count, Cube, Extent, JobRows, Measure, Squares, Sum
from grt_batch.aggregate.sketch import bin_field
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import WINDOW_DAYS, Dataset, Field, Job, Record

SINCE = date(2024, 1, 1)
MEASURES: tuple[Measure, ...] = (
    Count("jobs"),
    Count("killed", Job.oom),
    Sum("oom", Job.oom),
    Sum("runtime", Job.runtime),
    Squares("squares", Job.runtime),
    Extent("created", Job.create_time),
    Sum("seconds", Job.runtime),
)
CELL_KEYS: tuple[Field, ...] = (Job.month, Job.tool_version, Job.day, Job.state, Job.tool_id)
CUBES = st.builds(
    Cube,
    st.just("some"),
    st.lists(st.sampled_from([*CELL_KEYS, bin_field(Job.runtime), Job.oom]), unique=True, min_size=1, max_size=4).map(
        tuple
    ),
    st.lists(st.sampled_from(MEASURES), unique=True, max_size=4).map(tuple),
    windowed=st.booleans(),
    state=st.sampled_from([None, "ok", "", "none has it"]),
    days=st.sampled_from([WINDOW_DAYS, WINDOW_DAYS - 1]),
)
JOBS = st.lists(
    st.fixed_dictionaries(
        {
            "tool_id": st.sampled_from([None, "", "a", "b"]),
            "tool_version": st.sampled_from([None, "1"]),
            "state": st.sampled_from(["ok", "error", None]),
            "day": st.sampled_from([None, *(SINCE + timedelta(days) for days in (-1, 0, 1, 40))]),
            "oom": st.sampled_from([None, False, True]),
            "runtime": st.none() | st.integers(0, 2**63 - 1),
            "memory": st.none() | st.integers(0, 2**40),
            "create_time": st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
        }
    ),
    max_size=20,
)
Row = dict[str, Any]


def with_month(jobs: Sequence[Row]) -> list[Row]:
    """The jobs by rising id, with the month that follows from the day."""
    return [
        {**job, "job_id": number, "month": job["day"] and job["day"].replace(day=1)} for number, job in enumerate(jobs)
    ]


def alone(cube: Cube, jobs: Sequence[Row], since: date | None) -> pl.DataFrame:
    """A cube of the jobs that it holds, each added alone."""
    if cube.windowed and since is not None:
        first = since + timedelta(WINDOW_DAYS - cube.days)
        jobs = [job for job in jobs if job["day"] is not None and job["day"] >= first]
    parts = [cube.add(records([job])[Job]) for job in jobs]
    return plain(cube.frame(cube.merge([cube.empty(), *parts])))


@examples(100)
@given(cubes=st.lists(CUBES, max_size=5), jobs=JOBS, since=st.sampled_from([None, SINCE]))
def test_cubes_that_are_counted_together_are_as_those_counted_alone(
    cubes: list[Cube], jobs: list[Row], since: date | None
) -> None:
    jobs = with_month(jobs)
    found = counted(cubes, records(jobs, since=since))
    assert len(found) == len(cubes)
    for cube, columns in zip(cubes, found, strict=True):
        assert plain(cube.frame(columns)).equals(alone(cube, jobs, since))


def test_equal_cubes_are_counted_once() -> None:
    cube = Cube("days", (Job.day,), (Count("jobs"),))
    one, other, more = counted([cube, replace(cube), replace(cube, name="more")], records([{"job_id": 1}]))
    assert one is other
    assert more is not one


NEEDED = Distributions(
    "needed",
    (Job.tool_id,),
    (Distribution("runtime", Job.runtime), Distribution("share", Ratio(Job.runtime, Job.memory, ""))),
)


@examples(40)
@given(jobs=JOBS)
def test_both_cubes_of_distributions_come_with_those_of_the_jobs(jobs: list[Row]) -> None:
    jobs = with_month(jobs)
    recent = JobRows(name="recent", fields=(Job.runtime,), windowed=True)
    late = replace(NEEDED, name="late", windowed=True, days=WINDOW_DAYS - 1, state="ok")
    cubes = (*NEEDED.cubes, recent, *late.cubes)
    for cube, columns in zip(cubes, counted(cubes, records(jobs, since=SINCE)), strict=True):
        assert plain(cube.frame(columns)).equals(alone(cube, jobs, SINCE))


def test_datasets_are_counted_by_the_fields_of_their_jobs() -> None:
    cube = Cube("types", (Record.tool_id, Dataset.extension), (Count("n"), Sum("bytes", Dataset.file_size)), of=Dataset)
    jobs = [{"job_id": 1, "tool_id": "b"}, {"job_id": 2, "tool_id": "a"}, {"job_id": 3}]
    sizes = [(0, "bam", 5), (0, "bam", 7), (1, None, None), (2, "bam", 1)]
    datasets = [{"row": row, "extension": kind, "file_size": size} for row, kind, size in sizes]
    (found,) = counted([cube], records(jobs, {Dataset: datasets}))
    assert cube.frame(found).rows() == [("", "bam", 1, 1), ("a", "", 1, None), ("b", "bam", 2, 12)]


def test_no_cubes_of_no_records_are_nothing() -> None:
    assert counted([], records([])) == []
    cubes = [Cube("days", (Job.day,), MEASURES), *NEEDED.cubes]
    assert [columns.height for columns in counted(cubes, records([]))] == [0] * len(cubes)


def test_records_are_left_as_they_were() -> None:
    given_records = records([{"job_id": 1, "tool_id": None, "runtime": 5}])
    before = {name: array.copy() for name, array in given_records[Job].arrays.items()}
    counted([Cube("tools", (Job.tool_id, bin_field(Job.runtime)), MEASURES), *NEEDED.cubes], given_records)
    jobs: Columns = given_records[Job]
    assert list(jobs.arrays) == list(before)
    assert all((jobs[name] == array).all() for name, array in before.items())
