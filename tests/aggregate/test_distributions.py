"""Distributions in any groups: merged, and of derived keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl
from build import examples, plain
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.distributions import Distribution, Distributions, Ratio
from grt_batch.aggregate.statistics import Measured, statistics
from grt_batch.columns.columns import Columns
from grt_batch.schema.records import DerivedField, Job

DAYS = (None, date(2024, 1, 1), date(2024, 1, 2))
USED = Distributions(
    "used",
    keys=(Job.tool_id, Job.day),
    of=(
        Distribution("runtime", Job.runtime),
        Distribution("memory", Job.memory),
        Distribution("share", Ratio(Job.memory, Job.allocated_memory, "")),
    ),
    state="ok",
)
JOBS = st.lists(
    st.fixed_dictionaries(
        {
            "tool_id": st.sampled_from([None, "", "a", "b"]),
            "day": st.sampled_from(DAYS),
            "state": st.sampled_from(["ok", "ok", "error"]),
            "runtime": st.none() | st.integers(0, 10**12),
            "memory": st.none() | st.integers(0, 2**62),
            "allocated_memory": st.none() | st.integers(0, 2**40),
        }
    ),
    max_size=25,
)
Row = dict[str, Any]


def columns(jobs: list[Row]) -> Columns:
    schema = {field.name: field.type for field in Job.fields()}
    return Columns.of(pl.DataFrame(jobs, schema=schema))


def tables(of: Distributions, counted: Mapping[str, Columns]) -> dict[str, pl.DataFrame]:
    """What `statistics` takes."""
    return {cube.name: plain(cube.frame(counted[cube.name])) for cube in of.cubes}


def merged(parts: list[dict[str, Columns]]) -> dict[str, Columns]:
    return {cube.name: cube.merge([part[cube.name] for part in parts]) for cube in USED.cubes}


@examples(40)
@given(parts=st.lists(JOBS, min_size=1, max_size=4))
def test_merging_is_as_adding_all_jobs_to_one(parts: list[list[Row]]) -> None:
    whole = tables(USED, USED.add(columns([job for jobs in parts for job in jobs])))
    added = [USED.add(columns(jobs)) for jobs in parts]
    for order in (added, added[::-1]):
        found = tables(USED, merged(order))
        assert all(found[name].equals(whole[name]) for name in whole)


def kib(size: pl.Expr) -> pl.Expr:
    return size // 1024


def test_keys_and_values_may_be_derived() -> None:
    memory = DerivedField("kib", pl.Int64(), "KiB", "memory in KiB", source=Job.memory, derive=kib)
    long = DerivedField(
        "long", pl.Boolean(), "", "longer than a second", source=Job.runtime, derive=lambda value: value > 10**7
    )
    jobs = [
        {"tool_id": "a", "state": "ok", "runtime": runtime, "memory": size}
        for runtime, size in ((1, 1024), (2 * 10**7, 4096), (3 * 10**7, None), (None, 1))
    ]
    found = Distributions("d", (long,), (Distribution("kib", memory), Distribution("runtime", Job.runtime)))
    rows = statistics(Measured.of(found, found.add(columns(jobs))), (50,)).select("long", "metric", "n", "total")
    assert sorted(rows.rows()) == [
        (False, "kib", 1, "1"),
        (False, "runtime", 1, "0.0000001"),
        (True, "kib", 1, "4"),
        (True, "runtime", 2, "5"),
    ]
