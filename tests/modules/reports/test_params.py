"""The popularity of parameters and settings: by hand, against plain Python, and where there are too many values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.decode.param_values import REDACTED
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import Partial, concat_instances
from grt_batch.modules.reports.params import MOST_VALUES, PARAM, PARAM_VALUE, Params
from grt_batch.schema.records import Param, Records
from grt_batch.uploads.metadata import InstanceMetadata

MODULE = Params()
SCHEMA = {field.name: field.type for field in Param.fields()}

Row = tuple[str, str | None, bool, str]
"""A parameter of a job: its name, its value, whether it names datasets, and the state of the job."""


def params(rows: Sequence[Row], tool: str = "cat1", version: str | None = "1.0") -> pl.DataFrame:
    """The parameters of as many jobs of one tool, as the join makes them: texts by a dictionary."""
    jobs = [
        {"tool_id": tool, "tool_version": version, "name": name, "value": value, "names_data": names, "state": state}
        for name, value, names, state in rows
    ]
    frame = pl.DataFrame([{"job_id": i, **job} for i, job in enumerate(jobs)], schema=SCHEMA)
    return frame.with_columns(
        frame[name].cast(pl.Enum(frame[name].drop_nulls().unique(maintain_order=True)))
        for name, type_ in SCHEMA.items()
        if type_ == pl.String()
    )


def partial_of(*frames: pl.DataFrame) -> Partial:
    return MODULE.merge([MODULE.aggregate(Records({Param: frame})) for frame in frames])


def tables(**instances: Partial) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables param and param_value over the partials of these instances; those with a capital letter are public."""
    partial = concat_instances(MODULE.cubes, instances or {"none": MODULE.empty()})
    entries = (InstanceEntry(name, InstanceMetadata(public=name.istitle()), ()) for name in instances)
    rows = MODULE.rows(partial, Ledger(date(2024, 6, 30), Config(), tuple(entries)))
    return PARAM.frame(rows[PARAM.name]), PARAM_VALUE.frame(rows[PARAM_VALUE.name])


def by_value(table: pl.DataFrame) -> Mapping[tuple[str, str | None], tuple[int, ...]]:
    """Of each name and value the jobs, those ok and those in error."""
    return {(row["name"], row["value"]): (row["jobs"], row["ok"], row["error"]) for row in table.to_dicts()}


def by_name(table: pl.DataFrame) -> Mapping[str, tuple[Any, ...]]:
    """Of each name how many jobs and values there are, whether those are a sample, and the jobs that name datasets."""
    return {row["name"]: tuple(row[name] for name in table.columns[3:7]) for row in table.to_dicts()}


def test_jobs_are_counted_by_value_over_all_instances() -> None:
    one = params([("dbkey", "hg38", False, "ok"), ("dbkey", "hg38", False, "error"), ("dbkey", "?", False, "running")])
    other = params([("dbkey", "hg38", False, "ok"), ("cutoff", "1.50", False, "error")])
    param, values = tables(a=partial_of(one), b=partial_of(other))
    assert by_value(values) == {("dbkey", "hg38"): (3, 2, 1), ("dbkey", "?"): (1, 0, 0), ("cutoff", "1.50"): (1, 0, 1)}
    assert param.columns == [
        "tool_id", "tool_version", "name", "jobs", "values", "sampled", "naming_datasets", "instances",
        "public_instances",
    ]  # fmt: skip
    assert by_name(param) == {"cutoff": (1, 1, False, 0), "dbkey": (4, 2, False, 0)}


def test_null_is_the_empty_value_and_redacted_another() -> None:
    rows = [("title", value, False, "ok") for value in (None, "", REDACTED, None)]
    param, values = tables(a=partial_of(params(rows)))
    assert by_value(values) == {("title", ""): (3, 3, 0), ("title", REDACTED): (1, 1, 0)}
    assert by_name(param) == {"title": (4, 2, False, 0)}


def test_values_that_name_datasets_are_left_out_and_counted() -> None:
    rows = [("input", f'{{"values":[{{"id":{i},"src":"hda"}}]}}', True, "ok") for i in range(5)]
    rows += [("format", "17", True, "ok"), ("format", "bam", False, "error")]
    param, values = tables(a=partial_of(params(rows)))
    assert by_value(values) == {("format", "bam"): (1, 0, 1)}
    assert by_name(param) == {"format": (2, 1, False, 1), "input": (5, 0, False, 5)}


def test_instances_are_counted_and_those_that_are_public() -> None:
    def of(*values: str) -> Partial:
        return partial_of(params([("dbkey", value, False, state) for value in values for state in ("ok", "error")]))

    param, values = tables(A=of("hg38", "mm10"), B=of("hg38"), c=of("hg38", "secret"), D=partial_of(params([])))
    assert {row[3]: row[7:] for row in values.rows()} == {"hg38": (3, 2), "mm10": (1, 1), "secret": (1, 0)}
    assert param["instances", "public_instances"].rows() == [(3, 2)]


def test_tools_and_versions_stand_apart() -> None:
    row: Row = ("dbkey", "?", False, "ok")
    frames = [params([row], *tool) for tool in (("cat1", "1.0"), ("cat1", "1.1"), ("cat2", "1.0"), ("cat2", None))]
    param, values = tables(a=partial_of(*frames))
    assert param.rows() == [
        ("cat1", "1.0", "dbkey", 1, 1, False, 0, 1, 0),
        ("cat1", "1.1", "dbkey", 1, 1, False, 0, 1, 0),
        ("cat2", "", "dbkey", 1, 1, False, 0, 1, 0),
        ("cat2", "1.0", "dbkey", 1, 1, False, 0, 1, 0),
    ]
    assert values.select(pl.col("tool_version")).to_series().to_list() == ["1.0", "1.1", "", "1.0"]


def test_no_parameters_give_no_rows() -> None:
    for made in (tables(), tables(a=partial_of(params([])))):
        assert [table.height for table in made] == [0, 0]


@pytest.mark.parametrize(("count", "sampled"), [(MOST_VALUES, False), (MOST_VALUES + 1, True), (20_000, True)])
def test_of_too_many_values_a_sample_is_counted_exactly(count: int, sampled: bool) -> None:
    """Value i occurs 1 + i % 5 times, in one instance or the other; its jobs are in error where i is even."""
    rows = [("seed", f"{i}", False, "ok" if i % 2 else "error") for i in range(count) for _ in range(1 + i % 5)]
    rows += [("dbkey", "hg38", False, "ok")]
    parts = [partial_of(params(rows[begin::2])) for begin in (0, 1)]
    param, values = tables(a=parts[0], b=parts[1])
    assert max(part["values"].height for part in parts) <= MOST_VALUES + 2
    jobs, found, marked, _ = by_name(param)["seed"]
    assert (jobs, marked) == (len(rows) - 1, sampled)
    assert found == pytest.approx(count, rel=4 * MOST_VALUES**-0.5 if sampled else 0)
    counted = {value: counts for (name, value), counts in by_value(values).items() if name == "seed"}
    assert len(counted) == MOST_VALUES
    for value, (all_of, ok, error) in counted.items():
        i = int(value or "")
        assert (all_of, ok, error) == (1 + i % 5, (1 + i % 5) * (i % 2), (1 + i % 5) * (1 - i % 2))
    assert by_name(param)["dbkey"] == (1, 1, False, 0)


ROWS: st.SearchStrategy[list[Row]] = st.lists(
    st.tuples(
        st.sampled_from(["dbkey", "input"]),
        st.sampled_from([None, "", "hg38", "?"]),
        st.booleans(),
        st.sampled_from(["ok", "error", "running"]),
    ),
    max_size=20,
)


@examples(60)
@given(parts=st.lists(ROWS, min_size=1, max_size=3))
def test_the_tables_are_as_plain_python_counts_them(parts: list[list[Row]]) -> None:
    frames = [params(rows) for rows in parts]
    one, two = tables(a=partial_of(*frames)), tables(**{f"i{i}": partial_of(part) for i, part in enumerate(frames)})
    spread = cs.ends_with("instances")
    assert all(table.drop(spread).equals(other.drop(spread)) for table, other in zip(one, two, strict=True))
    rows = [row for part in parts for row in part]
    jobs = Counter((name, value or "") for name, value, names_data, _ in rows if not names_data)
    states = Counter((name, value or "", state) for name, value, names_data, state in rows if not names_data)
    assert by_value(one[1]) == {
        key: (count, states[(*key, "ok")], states[(*key, "error")]) for key, count in jobs.items()
    }
    assert by_name(one[0]) == {
        name: (count, sum(key[0] == name for key in jobs), False, sum(row[0] == name and row[2] for row in rows))
        for name, count in Counter(row[0] for row in rows).items()
    }
