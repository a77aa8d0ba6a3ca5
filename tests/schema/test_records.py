"""From integers of a scale to numbers of a unit, as Python divides, and from records to some of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from build import examples
from exporting import made
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.schema.records import RECORDS, ROW, WINDOW_DAYS, Dataset, Field, Job, Metric, Record, Records


def in_units(field: Field, values: list[int | None], times: int = 1, kind: pl.DataType | None = None) -> list[float]:
    frame = pl.DataFrame({field.name: values}, schema={field.name: kind or field.type})
    return frame.select(field.in_units(field.expr, times))[field.name].to_list()


@pytest.mark.parametrize("field", [Job.runtime, Job.cpu, Job.memory], ids=lambda field: field.name)
@examples(100)
@given(values=st.lists(st.integers(0, 2**53), min_size=1, max_size=20), times=st.sampled_from([1, 3600]))
@example(values=[316669951, 1], times=1)
def test_units_are_those_of_python_alone_and_among_others(field: Field, values: list[int], times: int) -> None:
    expected = [value / (field.one * times) for value in values]
    assert in_units(field, [*values], times) == expected
    assert [in_units(field, [value], times)[0] for value in values] == expected
    assert in_units(field, [*values], times, pl.Int128()) == expected


def test_null_stays_null() -> None:
    assert in_units(Job.runtime, [None, 15_000_000]) == [None, 1.5]
    assert in_units(Job.runtime, [None]) == [None]


def test_a_field_says_what_its_integers_are() -> None:
    assert [field.resolution for field in (Job.runtime, Job.cpu, Job.memory)] == ["1e-7 s", "1e-9 s", "B"]


TOOLS = ("b", "a", "b", "c", "a")
MANY = 30


def records_of(counts: list[int], since: date | None = None) -> Records:
    """Jobs with so many datasets and metrics each, all of them different. The last job has no time."""
    jobs = [
        {"job_id": 10 * i, "tool_id": TOOLS[i % 5], "state": "ok", "day": date(2020, 1, 1) + timedelta(i)}
        for i in range(len(counts))
    ]
    if jobs:
        jobs[-1]["day"] = None
    ids = [10 * i for i, count in enumerate(counts) for _ in range(count)]
    datasets = [{"job_id": job, "dataset_id": i, "extension": TOOLS[i % 5]} for i, job in enumerate(ids)]
    metrics = [{"job_id": job, "name": str(i), "value": Decimal(i) / 2} for i, job in enumerate(ids)]
    return replace(made(jobs, datasets=datasets, metrics=metrics), since=since)


def rows(records: Records, record: type[Record]) -> list[tuple[Any, ...]]:
    return records.frame(record).cast({cs.enum(): pl.String}).rows()


counts = st.lists(st.integers(0, 3), max_size=12)


@examples(60)
@given(counts, st.integers(0, 12), st.integers(0, 12))
def test_a_part_has_the_records_of_its_jobs(counts: list[int], begin: int, size: int) -> None:
    records = records_of(counts)
    part = records.part(begin, begin + size)
    ids = [10 * i for i in range(len(counts))][begin : begin + size]
    for record in RECORDS.values():
        assert rows(part, record) == [row for row in rows(records, record) if row[0] in ids]
        assert part[record].height == len(rows(part, record))
    for name, column in part[Job].arrays.items():
        assert not size or not len(ids) or np.shares_memory(column, records[Job][name])


@examples(60)
@given(counts, st.sets(st.integers(-1, 12)))
def test_records_without_some_jobs_are_all_others(counts: list[int], numbers: set[int]) -> None:
    records, out = records_of(counts), [10 * number for number in sorted(numbers)]
    left = records.without(np.array(out, np.int64))
    for record in RECORDS.values():
        assert rows(left, record) == [row for row in rows(records, record) if row[0] not in out]


def test_fields_of_a_job_are_those_of_its_records() -> None:
    records = records_of([2, 0, 1, 3])
    found = records[Dataset]
    assert found["job_id"].tolist() == [0, 0, 20, 30, 30, 30]
    assert found.texts["tool_id"] is records[Job].texts["tool_id"]
    assert found.frame({"tool_id": pl.String()})["tool_id"].to_list() == ["b", "b", "b", "c", "c", "c"]
    assert "state" in found and "month" in found and "runtime" not in found
    with pytest.raises(KeyError):
        found["runtime"]
    assert set(found.arrays) == {field.name for field in Dataset.fields()} | {ROW}
    assert len(found.arrays) == len(set(found.arrays))
    assert found["state"] is found["state"], "it is gathered once"


def test_a_window_reaches_back_so_many_days_and_jobs_without_a_time_are_in_none() -> None:
    counts = [1] * MANY
    assert records_of(counts).windowed(Job).height == MANY
    since = date(2020, 1, 11)
    records = records_of(counts, since)
    assert records.windowed(Dataset)["job_id"].tolist() == [10 * i for i in range(10, MANY - 1)]
    for days in (WINDOW_DAYS, WINDOW_DAYS - 5, 1):
        last = WINDOW_DAYS - days + 10
        assert records.windowed(Job, days)["job_id"].tolist() == [10 * i for i in range(last, MANY - 1)]


@pytest.mark.parametrize("record", RECORDS.values(), ids=lambda record: record.kind)
def test_a_frame_has_all_fields_and_null_where_nothing_is_known(record: type[Record]) -> None:
    frame = records_of([1, 1]).frame(record)
    assert frame.columns == [field.name for field in record.fields()]
    for field in record.fields():
        assert frame.select(field.expr).dtypes == [field.type]
    unknown = {field.name for field in record.fields()} - {"job_id", "tool_id", "state", "day"}
    unknown -= {"dataset_id", "extension", "name", "value"}
    assert all(frame[name].null_count() == frame.height for name in unknown)


def test_metrics_are_decimals_of_their_scale() -> None:
    values = [
        None,
        Decimal("0.0000001"),
        Decimal("-922337203684.5"),
        Decimal(2**62 - 1),
        Decimal(1 - 2**62),
        Decimal(0),
    ]
    records = made([{"job_id": 1}], metrics=[{"job_id": 1, "name": "n", "value": value} for value in values])
    assert records.frame(Metric)["value"].to_list() == values
