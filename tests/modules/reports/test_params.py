"""The popularity of parameters and settings: by hand, against plain Python, and where there are many values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from build import examples
from by_hand import counted_of, records
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.decode.param_values import REDACTED
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import Counted, concat_instances
from grt_batch.modules.reports.params import PARAM, PARAM_VALUE, POPULAR, Params
from grt_batch.schema.records import Leaf, Records
from grt_batch.uploads.metadata import InstanceMetadata

MODULE = Params()

Row = tuple[str, str | None, bool, str]
"""A parameter of a job: its name, its value, whether it names datasets, and the state of the job."""


def params(rows: Sequence[Row], tool: str = "cat1", version: str | None = "1.0") -> Records:
    """The settings of as many jobs of one tool."""
    return leaves([[row] for row in rows], tool, version)


def leaves(jobs: Sequence[Sequence[Row]], tool: str = "cat1", version: str | None = "1.0") -> Records:
    """The settings of jobs of one tool; the first of a job says its state."""
    rows = []
    for number, settings in enumerate(jobs):
        names = [name for name, *_ in settings]
        for place, (name, value, names_data, _) in enumerate(settings):
            rows.append({"row": number, "name": name, "value": value, "names_data": names_data})
            rows[-1]["first"] = names.index(name) == place
    states = ((settings[0][3] if settings else None) for settings in jobs)
    return records([{"tool_id": tool, "tool_version": version, "state": state} for state in states], {Leaf: rows})


def partial_of(*parts: Records) -> Counted:
    """The partial of an archive with these parts."""
    return MODULE.gathered([MODULE.merge([counted_of(MODULE, part) for part in parts])])


def tables(_config: Config | None = None, /, **instances: Counted) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables param and param_value over the partials of these instances; those with a capital letter are public."""
    partial = concat_instances(MODULE.cubes, instances or {"none": MODULE.empty()})
    entries = (InstanceEntry(name, InstanceMetadata(public=name.istitle()), ()) for name in instances)
    rows = MODULE.rows(partial, Ledger(date(2024, 6, 30), _config or Config(), tuple(entries)))
    return PARAM.frame(rows[PARAM.name]), PARAM_VALUE.frame(rows[PARAM_VALUE.name])


def of_version(table: pl.DataFrame, version: str = "1.0") -> pl.DataFrame:
    return table.filter(pl.col("tool_version").cast(pl.String) == version)


def by_value(table: pl.DataFrame, version: str = "1.0") -> Mapping[tuple[str, str | None], tuple[int, ...]]:
    """Of each name and value the jobs, those ok and those in error."""
    rows = of_version(table, version).to_dicts()
    return {(row["name"], row["value"]): (row["jobs"], row["ok"], row["error"]) for row in rows}


def by_name(table: pl.DataFrame, version: str = "1.0") -> Mapping[str, tuple[Any, ...]]:
    """Of each name its jobs, how many values there are, the jobs of those that are listed, and those with datasets."""
    return {
        row["name"]: tuple(row[name] for name in table.columns[3:7]) for row in of_version(table, version).to_dicts()
    }


def test_jobs_are_counted_by_value_over_all_instances() -> None:
    one = params([("dbkey", "hg38", False, "ok"), ("dbkey", "hg38", False, "error"), ("dbkey", "?", False, "running")])
    other = params([("dbkey", "hg38", False, "ok"), ("cutoff", "1.50", False, "error")])
    param, values = tables(a=partial_of(one), b=partial_of(other))
    assert by_value(values) == {("dbkey", "hg38"): (3, 2, 1), ("dbkey", "?"): (1, 0, 0), ("cutoff", "1.50"): (1, 0, 1)}
    assert param.columns == [
        "tool_id", "tool_version", "name", "jobs", "distinct_values", "listed_jobs", "naming_datasets", "instances",
        "public_instances",
    ]  # fmt: skip
    assert by_name(param) == {"cutoff": (1, 1, 1, 0), "dbkey": (4, 2, 4, 0)}


def test_null_is_the_empty_value_and_redacted_another() -> None:
    rows = [("title", value, False, "ok") for value in (None, "", REDACTED, None)]
    param, values = tables(a=partial_of(params(rows)))
    assert by_value(values) == {("title", ""): (3, 3, 0), ("title", REDACTED): (1, 1, 0)}
    assert by_name(param) == {"title": (4, 2, 4, 0)}


def test_values_that_name_datasets_are_left_out_and_counted() -> None:
    rows = [("input", f'{{"values":[{{"id":{i},"src":"hda"}}]}}', True, "ok") for i in range(5)]
    rows += [("format", "17", True, "ok"), ("format", "bam", False, "error")]
    param, values = tables(a=partial_of(params(rows)))
    assert by_value(values) == {("format", "bam"): (1, 0, 1)}
    assert by_name(param) == {"format": (2, 1, 1, 1), "input": (5, 0, 0, 5)}


def test_instances_are_counted_and_those_that_are_public() -> None:
    def of(*values: str) -> Counted:
        return partial_of(params([("dbkey", value, False, state) for value in values for state in ("ok", "error")]))

    param, values = tables(A=of("hg38", "mm10"), B=of("hg38"), c=of("hg38", "secret"), D=partial_of(params([])))
    assert values.columns[-2:] == ["instances", "public_instances"]
    assert {row[3]: row[-2:] for row in of_version(values).rows()} == {"hg38": (3, 2), "mm10": (1, 1), "secret": (1, 0)}
    assert of_version(param)["instances", "public_instances"].rows() == [(3, 2)]


def test_tools_and_versions_stand_apart_and_together() -> None:
    shed = "shed.org/repos/owner/repository/name"
    tools = (("cat1", "1.0"), ("cat1", "1.1"), (f"{shed}/1", "1"), (f"{shed}/2", "2"), (f"{shed}/2", None))
    values = ("a", "b", "c", "d", "c")
    frames = [params([("p", value, False, "ok")], *tool) for tool, value in zip(tools, values, strict=True)]
    param, table = tables(a=partial_of(*frames[:3]), B=partial_of(*frames[3:]))
    assert param.drop("name").rows() == [
        ("cat1", "*", 2, 2, 2, 0, 1, 0), ("cat1", "1.0", 1, 1, 1, 0, 1, 0), ("cat1", "1.1", 1, 1, 1, 0, 1, 0),
        (shed, "*", 3, 2, 3, 0, 2, 1), (f"{shed}/1", "1", 1, 1, 1, 0, 1, 0), (f"{shed}/2", "", 1, 1, 1, 0, 1, 1),
        (f"{shed}/2", "2", 1, 1, 1, 0, 1, 1),
    ]  # fmt: skip
    assert by_value(table, "*") == {
        ("p", "a"): (1, 1, 0),
        ("p", "b"): (1, 1, 0),
        ("p", "c"): (2, 2, 0),
        ("p", "d"): (1, 1, 0),
    }


def test_a_job_counts_once_for_a_parameter_and_once_for_each_of_its_values() -> None:
    jobs: list[list[Row]] = [
        [("r|p", "a", False, "ok"), ("r|p", "b", False, "ok"), ("r|p", None, True, "ok")],
        [("r|p", None, True, "error"), ("r|p", "a", False, "error")],
    ]
    param, values = tables(a=partial_of(leaves(jobs)))
    assert by_name(param) == {"r|p": (2, 2, 3, 2)}
    assert by_value(values) == {("r|p", "a"): (2, 1, 1), ("r|p", "b"): (1, 1, 0)}


def test_no_parameters_give_no_rows() -> None:
    for made in (tables(), tables(a=partial_of(params([])))):
        assert [table.height for table in made] == [0, 0]


@pytest.mark.parametrize("most", [2, 3, 4])
def test_the_most_used_values_are_listed_and_of_more_than_those_none_of_a_single_job(most: int) -> None:
    rows = [("p", value, False, "ok") for value in ("c", "b", "b", "c", "a", "d", "d", "d")]
    param, values = tables(Config(popular_values=most), a=partial_of(params(rows)))
    listed = {2: ["b", "d"], 3: ["b", "c", "d"], 4: ["a", "b", "c", "d"]}[most]
    assert of_version(values)["value"].to_list() == listed
    assert by_name(param) == {"p": (8, 4, {2: 5, 3: 7, 4: 8}[most], 0)}


def test_of_a_great_many_values_the_popular_ones_stay() -> None:
    """Half of the jobs have a value of their own, a sixth have one, a third have another."""
    archives, size = 6, 6 * POPULAR.least
    parts = []
    for number in range(archives):
        rows = [("seed", "a" if i % 6 == 1 else "b" if i % 2 else f"{number} {i}", False, "ok") for i in range(size)]
        rows.append(("dbkey", f"{number}", False, "ok"))
        parts.append(partial_of(params(rows[: size // 3]), params(rows[size // 3 :])))
        assert parts[-1]["values"].height == 3
    jobs = archives * size
    param, values = tables(a=MODULE.gathered(parts[:4]), b=MODULE.gathered(parts[4:]))
    for version in ("1.0", "*"):
        assert by_value(of_version(values, version).filter(name="seed"), version) == {
            ("seed", "a"): (jobs // 6, jobs // 6, 0), ("seed", "b"): (jobs // 3, jobs // 3, 0)
        }  # fmt: skip
        found = by_name(param, version)
        assert found["dbkey"] == (archives, archives, archives, 0)
        assert found["seed"][0::2] == (jobs, jobs // 2)
        assert found["seed"][1] == pytest.approx(jobs / 2 + 2, rel=0.03)
    assert not values["at_least"].any()


@pytest.mark.parametrize("exponent", [1.05, 1.3, 2.0])
def test_each_value_of_one_percent_is_listed_within_one_percent(exponent: float) -> None:
    """Archives whose values become rarer by Zipf's law, each with favourites of its own."""
    random, true = np.random.default_rng(3), Counter[str]()
    parts = []
    for number in range(5):
        values = [f"{value if value % 3 else (value, number)}" for value in random.zipf(exponent, 8000)]
        true.update(values)
        parts.append(partial_of(params([("seed", value, False, "ok") for value in values])))
    param, table = tables(a=MODULE.gathered(parts[:3]), b=MODULE.gathered(parts[3:]))
    jobs = true.total()
    for version in ("1.0", "*"):
        found = of_version(table, version)
        assert 1 < found.height <= 100
        assert found["jobs"].min() > 1
        listed = {value: (known, at_least) for value, known, at_least in found["value", "jobs", "at_least"].iter_rows()}
        assert {value for value, count in true.items() if count * 100 >= jobs} <= listed.keys()
        for value, (known, at_least) in listed.items():
            assert known <= true[value] <= known + at_least * 0.0099 * jobs
        assert by_name(param, version)["seed"][1] == pytest.approx(len(true), rel=0.03)


def test_a_value_that_was_rare_for_a_while_has_at_least_so_many_jobs() -> None:
    own = 3 * POPULAR.least
    first = partial_of(params([("seed", f"{i}", False, "ok") for i in range(own)] + [("seed", "a", False, "ok")]))
    later = partial_of(params([("seed", "a", False, "error")] * 100))
    _, values = tables(a=MODULE.gathered([first, later]))
    assert of_version(values).select("value", "jobs", "at_least", "ok", "error").rows() == [("a", 100, True, 0, 100)]


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
    used = Counter(name for name, _ in jobs.elements())
    naming = Counter(name for name, _, names_data, _ in rows if names_data)
    assert by_name(one[0]) == {
        name: (count, sum(key[0] == name for key in jobs), used[name], naming[name])
        for name, count in Counter(row[0] for row in rows).items()
    }
