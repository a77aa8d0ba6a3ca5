"""From integers of a scale to numbers of a unit: as Python divides, whatever other rows there are."""

from __future__ import annotations

import polars as pl
import pytest
from build import examples
from hypothesis import example, given
from hypothesis import strategies as st

from grt_batch.schema.records import Field, Job


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
