"""Inputs against plain Python: bins by powers of two, percentiles, file types, and the cubes that count them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
import pytest
from build import examples
from by_hand import counted_of, records, same
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.aggregate.sketch import BIN, coarse_end
from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import INSTANCE, Counted, concat_instances
from grt_batch.modules.reports.inputs import (
    EXTENSIONS,
    MEMORY_STEP_BITS,
    RUNTIMES,
    TOOL_EXTENSION,
    TOOL_INPUT,
    TOOL_MEMORY,
    Inputs,
)
from grt_batch.schema.records import Dataset
from grt_batch.schema.tables import render

MODULE = Inputs()
SECOND = 10**7
"""Runtimes are in 1e-7 s."""
TOP = 2**62
"""The greatest sum of sizes that the join lets through."""

Row = dict[str, Any]


def job(
    size: int | None,
    runtime: int | None = None,
    memory: int | None = None,
    *,
    state: str = "ok",
    tool: str | None = "cut",
    version: str | None = "1.0",
    oom: bool | None = None,
) -> Row:
    row = {"tool_id": tool, "tool_version": version, "state": state, "oom": oom}
    return row | {"input_bytes": size, "runtime": runtime, "memory": memory}


def dataset(
    extension: str | None, size: int | None, direction: str = "input", *, state: str = "ok", tool: str | None = "cut"
) -> Row:
    row = {"tool_id": tool, "tool_version": "1.0", "state": state}
    return row | {"extension": extension, "file_size": size, "type": direction}


def partial_of(jobs: Sequence[Row], datasets: Sequence[Row] = ()) -> Counted:
    """What is counted of jobs, and of datasets, each of one more job."""
    of_datasets = [
        {**dataset, "row": place, "input_bytes": None} for place, dataset in enumerate(datasets, start=len(jobs))
    ]
    return counted_of(MODULE, records([*jobs, *of_datasets], {Dataset: of_datasets}))


def tables(instances: Mapping[str, Counted]) -> dict[str, list[Row]]:
    merged = concat_instances(MODULE.cubes, instances)
    frames = MODULE.rows(merged, Ledger(date(2024, 6, 30), Config(), ()))
    assert frames.keys() == {table.name for table in MODULE.tables}
    return {table.name: list(table.frame(frames[table.name]).iter_rows(named=True)) for table in MODULE.tables}


def inputs(*jobs: Row) -> list[Row]:
    """The rows of `tool_input` of one instance and the one version; those of all together say the same."""
    rows = tables({"a": partial_of(jobs)})[TOOL_INPUT.name]
    one, *others = (
        [row for row in rows if row[INSTANCE] == name and (row["tool_version"] == "*") == all_versions]
        for name in ("a", "*")
        for all_versions in (False, True)
    )
    for together in others:
        assert [row | {INSTANCE: "", "tool_version": ""} for row in one] == [
            row | {INSTANCE: "", "tool_version": ""} for row in together
        ]
    return one


def extensions(*datasets: Row) -> dict[tuple[str, str], tuple[int, int | None]]:
    """Of one instance and tool the datasets and bytes, by type and extension."""
    rows = tables({"a": partial_of([], datasets)})[TOOL_EXTENSION.name]
    return {
        (row["type"], row["extension"]): (row["datasets"], row["bytes"])
        for row in rows
        if (row[INSTANCE], row["tool_version"]) == ("a", "1.0")
    }


SIZES = st.none() | st.sampled_from([0, 1, 2, 3, 4, 1023, 1024, TOP - 1, TOP]) | st.integers(0, TOP)
VALUES = st.none() | st.integers(0, 300) | st.integers(0, TOP - 1)
NAMES = st.sampled_from([None, "", "a", "B", "b", "é", "z 2"])
VERSIONS = st.sampled_from([None, "1.0", "1.1"])
JOBS = st.lists(
    st.builds(
        job,
        SIZES,
        VALUES,
        VALUES,
        state=st.sampled_from(["ok", "ok", "ok", "error"]),
        tool=NAMES,
        version=VERSIONS,
        oom=st.none() | st.booleans(),
    ),
    max_size=30,
)
DATASETS = st.lists(
    st.builds(
        dataset, NAMES, SIZES, st.sampled_from(["input", "output"]), state=st.sampled_from(["ok", "new"]), tool=NAMES
    ),
    max_size=30,
)


Tool = tuple[str, str, str]
"""An instance or *, a tool, its version or *."""


def tools_of(instance_id: str, row: Row) -> list[Tool]:
    """All that a record counts for."""
    versions = ((row["tool_id"] or "", version) for version in (row["tool_version"] or "", "*"))
    return [(name, *tool) for tool in versions for name in (instance_id, "*")]


def known_sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def expected_inputs(instances: Mapping[str, Sequence[Row]]) -> dict[tuple[Tool, int], list[Row]]:
    """The sized jobs by instance, tool and the low end of their bin."""
    groups: dict[tuple[Tool, int], list[Row]] = defaultdict(list)
    for instance_id, jobs in instances.items():
        for row in jobs:
            if row["input_bytes"] is not None:
                low = 1 << row["input_bytes"].bit_length() - 1 if row["input_bytes"] else 0
                for tool in tools_of(instance_id, row):
                    groups[tool, low].append(row)
    return groups


@examples(60)
@given(a=JOBS, b=JOBS)
def test_every_bin_is_as_plain_python_has_it(a: list[Row], b: list[Row]) -> None:
    groups = expected_inputs({"a": a, "b": b})
    rows = tables({"a": partial_of(a), "b": partial_of(b)})[TOOL_INPUT.name]
    found = {((row[INSTANCE], row["tool_id"], row["tool_version"]), row["low"]): row for row in rows}
    assert list(found) == sorted(groups)
    for key, row in found.items():
        jobs = groups[key]
        assert (row["jobs"], row["error"]) == (len(jobs), sum(job["state"] == "error" for job in jobs))
        assert row["oom"] == known_sum(job["oom"] for job in jobs)
        assert all(row["low"] <= job["input_bytes"] < row["high"] for job in jobs)
        assert row["high"] == min(2 * row["low"] or 1, 2**63 - 1)
        needed(row, [job for job in jobs if job["state"] == "ok"])


def needed(row: Row, jobs: Sequence[Row]) -> None:
    """Check what a row says of the jobs that came to a good end."""
    for measure in ("runtime", "memory"):
        values = sorted(job[measure] for job in jobs if job[measure] is not None)
        if measure == "runtime":
            # As the table has it: one division of a float, whatever the size of the integer.
            values = [float(value) / SECOND for value in values]
        percentiles = {percent: row[f"{measure}_p{percent}"] for percent in (50, 95)}
        if not values:
            assert set(percentiles.values()) == {None}
            continue
        for percent, found in percentiles.items():
            exact = values[math.ceil(percent * len(values) / 100) - 1]
            assert found == pytest.approx(exact, rel=0.008, abs=0)
            assert values[0] <= found <= values[-1]
    memories = (job["memory"] for job in jobs if job["memory"] is not None)
    assert row["memory_max"] == max(memories, default=None)


@examples(60)
@given(a=JOBS, b=JOBS)
def test_every_job_that_needed_memory_is_in_its_bins(a: list[Row], b: list[Row]) -> None:
    wanted: list[tuple[Any, ...]] = []
    for instance_id, jobs in (("a", a), ("b", b)):
        for row in jobs:
            killed = row["state"] == "error" and row["oom"]
            if row["memory"] is not None and (row["state"] == "ok" or killed):
                wanted += [(name, row["tool_id"] or "", killed, row) for name in (instance_id, "*")]
    for row in tables({"a": partial_of(a), "b": partial_of(b)})[TOOL_MEMORY.name]:
        found = []
        for job in wanted:
            size = job[-1]["input_bytes"]
            sized = row["low"] is None if size is None else row["low"] is not None and row["low"] <= size < row["high"]
            found += [job] if job[:2] == (row[INSTANCE], row["tool_id"]) and sized else []
        wanted = [job for job in wanted if not any(job is one for one in found)]
        assert row["killed"] == sum(bool(job[2]) for job in found)
        assert row["jobs"] == sum(not job[2] for job in found)
        assert row["runtime_seconds"] == known_sum(job[-1]["runtime"] for job in found if not job[2])
        peaks = json.loads(row["peaks"])
        ends = [coarse_end(low, MEMORY_STEP_BITS) for low, _, _ in peaks]
        assert all(end <= low for end, (low, _, _) in zip(ends[:-1], peaks[1:], strict=True))
        for (low, jobs, oom), end in zip(peaks, ends, strict=True):
            here = [bool(job[2]) for job in found if low <= job[-1]["memory"] < end]
            assert (jobs, oom) == (here.count(False), here.count(True)) != (0, 0)
        assert (row["jobs"], row["killed"]) == (sum(peak[1] for peak in peaks), sum(peak[2] for peak in peaks))
    assert not wanted


@examples(60)
@given(a=DATASETS, b=DATASETS)
def test_every_extension_is_as_plain_python_has_it(a: list[Row], b: list[Row]) -> None:
    groups: dict[tuple[Tool, str, str], list[int | None]] = defaultdict(list)
    for instance_id, datasets in (("a", a), ("b", b)):
        for row in datasets:
            for tool in tools_of(instance_id, row):
                groups[tool, row["type"], row["extension"] or ""].append(row["file_size"])
    rows = tables({"a": partial_of([], a), "b": partial_of([], b)})[TOOL_EXTENSION.name]
    columns = (INSTANCE, "tool_id", "tool_version", "type", "extension", "datasets", "bytes")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (*key[0], *key[1:], len(groups[key]), known_sum(groups[key])) for key in sorted(groups)
    ]


@examples(40)
@given(parts=st.lists(st.tuples(JOBS, DATASETS), min_size=1, max_size=4), data=st.data())
def test_any_cut_in_any_order_gives_the_same(parts: list[tuple[list[Row], list[Row]]], data: st.DataObject) -> None:
    whole = partial_of(*([row for part in parts for row in part[i]] for i in (0, 1)))
    # Each part has a dictionary of its own.
    order = data.draw(st.permutations(parts))
    merged = MODULE.merge([MODULE.empty(), *(partial_of(*part) for part in order)])
    assert same(MODULE, merged, whole)


@pytest.mark.parametrize("names", [1, 300, 70_000], ids=["32 bits", "63 bits", "127 bits"])
def test_no_dictionary_is_too_large_for_the_codes(names: int) -> None:
    dictionary = [f"{name:05}" for name in range(names)]
    columns = ("tool_id", "tool_version", "type", "extension")
    last = {name: pl.Series([dictionary[-1], None, dictionary[0]], dtype=pl.Enum(dictionary)) for name in columns}
    rows = pl.DataFrame({**last, "file_size": [1, 2, 4]})
    expected = [("",) * 4 + (1, 2), ("00000",) * 4 + (1, 4), (dictionary[-1],) * 4 + (1, 1)]
    if names == 1:
        expected[1:] = [("00000",) * 4 + (2, 5)]
    assert EXTENSIONS.frame(EXTENSIONS.add(Columns.of(rows))).rows() == expected


def test_nothing_comes_of_nothing() -> None:
    empty = MODULE.empty()
    partial = partial_of([])
    assert same(MODULE, partial, empty)
    assert tables({"a": empty}) == {TOOL_INPUT.name: [], TOOL_EXTENSION.name: [], TOOL_MEMORY.name: []}


def test_a_bin_begins_at_a_power_of_two() -> None:
    rows = inputs(*(job(size) for size in (0, 0, 1, 2, 3, 4, 7, 8, 1 << 40, (1 << 41) - 1, TOP)))
    assert [(row["low"], row["high"], row["jobs"]) for row in rows] == [
        (0, 1, 2),
        (1, 2, 1),
        (2, 4, 2),
        (4, 8, 2),
        (8, 16, 1),
        (1 << 40, 1 << 41, 2),
        (TOP, 2**63 - 1, 1),
    ]


def test_jobs_of_any_state_with_a_known_input_count_and_what_those_in_state_ok_needed() -> None:
    jobs = [job(5, SECOND, 9), job(5, 9 * SECOND, 99, state="error"), job(5, state="running"), job(None, 9 * SECOND)]
    (row,) = inputs(*jobs)
    assert (row["jobs"], row["error"], row["runtime_p95"], row["memory_max"]) == (3, 1, 1.0, 9)
    (row,) = inputs(*jobs[1:])
    assert (row["jobs"], row["error"], row["runtime_p95"], row["memory_p50"], row["memory_max"]) == (2, 1, *[None] * 3)
    assert inputs(job(None, SECOND)) == []


def test_jobs_killed_for_memory_are_counted_where_something_could_tell() -> None:
    unknown, some, none = inputs(
        job(1), job(1, state="error"),
        job(2), job(2, oom=False), job(2, state="error", oom=True), job(2, oom=True),
        job(4, oom=False), job(4, state="error"),
    )  # fmt: skip
    assert [row["oom"] for row in (unknown, some, none)] == [None, 2, 0]


def test_a_tool_over_all_versions_has_percentiles_of_all_its_jobs() -> None:
    tool = "shed/repos/iuc/bwa/bwa"
    jobs = [job(1, runtime * SECOND, tool=f"{tool}/{version}", version=version)
            for version, count in (("1", 9), ("2", 1)) for runtime in range(1, count + 1)]  # fmt: skip
    rows = tables({"a": partial_of(jobs), "b": partial_of([job(1, 40 * SECOND, tool=f"{tool}/3", version="3")])})
    found = {
        (row[INSTANCE], row["tool_id"]): (row["jobs"], row["runtime_p50"], row["runtime_p95"])
        for row in rows[TOOL_INPUT.name]
        if row["tool_version"] == "*"
    }
    assert found == {
        ("a", tool): (10, pytest.approx(4, rel=0.008), pytest.approx(9, rel=0.008)),
        ("b", tool): (1, 40.0, 40.0),
        ("*", tool): (11, pytest.approx(5, rel=0.008), pytest.approx(40, rel=0.008)),
    }


def test_the_frame_has_the_extents_that_percentiles_lie_in() -> None:
    merged = concat_instances(MODULE.cubes, {"a": partial_of([job(1, 5, 7), job(1, 3, 9), job(1, 1, 99, state="new")])})
    frame = MODULE.rows(merged, Ledger(date(2024, 6, 30), Config(), ()))[TOOL_INPUT.name]
    extents = frame.select("first_runtime", "last_runtime", "first_memory", "last_memory")
    assert extents.rows() == [(3e-7, 5e-7, 7, 9)] * 4


def test_percentiles_are_written_with_four_digits_or_as_the_extremes() -> None:
    most = 2**33 + 1
    jobs = [job(1, 123_456_789, most), *(job(2, runtime, most - 5000) for runtime in (123_000_000, 123_456_789))]
    rows = MODULE.rows(concat_instances(MODULE.cubes, {"a": partial_of(jobs)}), Ledger(date(2024, 6, 30), Config(), ()))
    found = TOOL_INPUT.frame(rows[TOOL_INPUT.name]).filter(instance_id="a", tool_version="1.0")
    lines = b"".join(render(TOOL_INPUT, found)).decode().splitlines()
    names = list(TOOL_INPUT.schema)
    first, second = (dict(zip(names, line.split("\t"), strict=True)) for line in lines)
    assert (first["runtime_p50"], first["memory_p50"], first["memory_max"]) == ("12.3456789", str(most), str(most))
    assert (second["runtime_p50"], second["runtime_p95"]) == ("12.32", "12.32")
    assert (second["memory_p95"], second["memory_max"]) == (str(most - 5000), str(most - 5000))


def test_what_no_job_has_is_null() -> None:
    nothing, memory = inputs(job(1), job(1), job(1000, memory=7), job(1000))
    assert nothing["jobs"] == 2
    assert all(nothing[name] is None for name in ("runtime_p50", "runtime_p95", "memory_p50", "memory_p95"))
    assert nothing["memory_max"] is None
    assert (memory["jobs"], memory["runtime_p50"], memory["memory_p50"], memory["memory_max"]) == (2, None, 7, 7)


def test_a_constant_is_exact() -> None:
    runtime, memory = 123_456_789_012, (1 << 35) + 12345
    (row,) = inputs(*[job(100, runtime, memory)] * 3)
    assert (row["runtime_p50"], row["runtime_p95"]) == (runtime / SECOND, runtime / SECOND)
    assert (row["memory_p50"], row["memory_p95"], row["memory_max"]) == (memory, memory, memory)


def test_the_most_memory_is_exact_where_percentiles_are_not() -> None:
    (row,) = inputs(job(1, memory=TOP - 1), *(job(1, memory=value) for value in range(10**6, 10**6 + 99)))
    assert row["memory_max"] == TOP - 1
    assert row["memory_p95"] == pytest.approx(10**6 + 94, rel=0.008)


def test_a_tool_without_id_or_version_is_the_empty_one() -> None:
    (row,) = inputs(job(1, tool=None, version=None), job(1, tool="", version=""))
    assert (row["tool_id"], row["tool_version"], row["jobs"]) == ("", "", 2)


def test_all_instances_together_are_one_more() -> None:
    mine, yours = partial_of([job(1, SECOND)], [dataset("bam", 1)]), partial_of([job(1, 3 * SECOND)] * 2)
    rows = {
        name: [row for row in found if row["tool_version"] == "1.0"]
        for name, found in tables({"mine": mine, "yours": yours, "nobody": MODULE.empty()}).items()
    }
    assert [(row[INSTANCE], row["jobs"], row["runtime_p50"]) for row in rows[TOOL_INPUT.name]] == [
        ("*", 3, 3.0),
        ("mine", 1, 1.0),
        ("yours", 2, 3.0),
    ]
    assert [(row[INSTANCE], row["bytes"]) for row in rows[TOOL_EXTENSION.name]] == [("*", 1), ("mine", 1)]


def test_datasets_count_whatever_became_of_the_job() -> None:
    states = ("ok", "error", "running", "new", "a state of tomorrow")
    assert extensions(*(dataset("bam", 10, state=state) for state in states)) == {("input", "bam"): (5, 50)}


def test_unknown_sizes_and_extensions() -> None:
    found = extensions(dataset(None, 1), dataset("", 2), dataset("bam", None), dataset("bam", 0, "output"))
    assert found == {("input", ""): (2, 3), ("input", "bam"): (1, None), ("output", "bam"): (1, 0)}


def test_a_sum_of_sizes_goes_beyond_64_bits() -> None:
    assert extensions(*[dataset("bam", TOP)] * 5) == {("input", "bam"): (5, 5 * TOP)}


def test_the_sketch_of_a_runtime_is_of_its_own_bin() -> None:
    partial = partial_of([job(size, value) for size, value in ((1, 5), (1, 5), (1, 6), (2, 5), (None, 5), (1, None))])
    assert RUNTIMES.frame(partial[RUNTIMES.name]).select("bits", BIN.name, "jobs").rows() == [
        (1, 5, 2),
        (1, 6, 1),
        (2, 5, 1),
    ]
