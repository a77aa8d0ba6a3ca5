"""What every module inherits: its cubes counted and merged, and put together with their instances."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from grt_batch.aggregate.measures import Count, Cube, JobRows, Sum
from grt_batch.core.config import Config
from grt_batch.frames.dictionaries import categories
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE, Module, concat_instances, wanted_by
from grt_batch.schema.records import Dataset, Job, Param, Records

STATES = Cube("states", (Job.state,), (Count("jobs"),))
TOOLS = Cube("tools", (Job.tool_id, Job.state), (Count("jobs"), Sum("runtime", Job.runtime)))


class States(Module):
    """Which states do jobs have?"""

    name = "states"
    cubes = (STATES, TOOLS)


class Recent(Module):
    """Which jobs are of the last days?"""

    name = "recent"
    needs = (Param, Dataset)
    cubes = (JobRows(name="recent", fields=(Job.day,), windowed=True),)


def records(*states: str) -> Records:
    schema = {field.name: field.type for field in Job.fields()}
    rows = [{"job_id": i, "tool_id": "cut", "state": state, "runtime": 5} for i, state in enumerate(states)]
    texts = [pl.col("state").cast(pl.Enum(sorted({*states}))), pl.col("tool_id").cast(pl.Enum(["cut"]))]
    return Records({Job: pl.DataFrame(rows, schema=schema).with_columns(texts)})


def test_a_module_counts_all_its_cubes() -> None:
    partial = States().aggregate(records("ok", "error", "ok"))
    assert partial["states"].rows() == [("error", 1), ("ok", 2)]
    assert partial["tools"].rows() == [("cut", "error", 1, 5), ("cut", "ok", 2, 10)]
    assert States().empty().keys() == partial.keys()


def test_cubes_that_all_partials_have_are_merged() -> None:
    module = States()
    one, other = module.aggregate(records("ok")), module.aggregate(records("ok", "new"))
    assert module.merge([one, other])["states"].rows() == [("new", 1), ("ok", 2)]
    without = {"states": other["states"]}
    assert list(module.merge([one, without])) == ["states"]


def test_a_module_looks_back_if_a_cube_has_a_window() -> None:
    assert not States().looks_back
    assert Recent().looks_back


def test_a_module_that_says_nothing_of_its_rows_has_none() -> None:
    with pytest.raises(NotImplementedError):
        States().rows(States().empty(), Ledger(date(2024, 6, 30), Config(), ()))


def test_the_kinds_that_modules_need_are_each_named_once_without_the_jobs() -> None:
    assert wanted_by([]) == wanted_by([States()]) == ()
    wanted = wanted_by([Recent(), States(), Recent()])
    assert sorted(wanted) == sorted([Param.kind, Dataset.kind])
    assert wanted == wanted_by([States(), Recent()])


def test_cubes_of_instances_have_one_dictionary_for_each_column() -> None:
    partials = {"b": States().aggregate(records("ok")), "a": States().aggregate(records("new", "error"))}
    together = concat_instances(States.cubes, partials)
    assert together["states"].rows() == [("b", "ok", 1), ("a", "error", 1), ("a", "new", 1)]
    assert categories(together["states"][INSTANCE]).to_list() == [ALL_INSTANCES, "a", "b"]
    assert together["states"]["state"].dtype == together["tools"]["state"].dtype
    assert categories(together["states"]["state"]).to_list() == ["error", "new", "ok"]
