"""What every module inherits: its cubes merged and packed, and put together with their instances."""

from __future__ import annotations

from datetime import date

import pytest
from by_hand import counted_of, records, same

from grt_batch.aggregate.measures import Count, Cube, JobRows, Sum
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import (
    ALL_INSTANCES,
    INSTANCE,
    Counted,
    Module,
    Partial,
    concat_instances,
    of_instances,
    wanted_by,
)
from grt_batch.schema.records import Dataset, Job, Param

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


def counted(*states: str) -> Counted:
    """What is counted of jobs in these states."""
    rows = [{"job_id": i, "tool_id": "cut", "state": state, "runtime": 5} for i, state in enumerate(states)]
    return counted_of(States(), records(rows))


def test_nothing_is_counted_of_no_jobs() -> None:
    assert same(States(), States().empty(), counted())


def test_cubes_that_all_parts_have_are_merged() -> None:
    module, one, other = States(), counted("ok"), counted("ok", "new")
    merged = module.merge([one, other])
    assert STATES.frame(merged["states"]).rows() == [("new", 1), ("ok", 2)]
    assert TOOLS.frame(merged["tools"]).rows() == [("cut", "new", 1, 5), ("cut", "ok", 2, 10)]
    assert list(module.merge([one, {"states": other["states"]}])) == ["states"]
    assert same(module, module.gathered([one, other]), merged)


def test_what_was_packed_is_unpacked_whole_or_in_part() -> None:
    module, found = States(), counted("ok", "new")
    raw = module.pack(found)
    assert same(module, module.unpack(raw), found)
    assert same(module, module.unpack(raw, ["tools"]), {"tools": found["tools"]})


def test_a_module_looks_back_if_a_cube_has_a_window() -> None:
    assert not States().looks_back
    assert Recent().looks_back


def test_a_module_that_says_nothing_of_its_rows_has_none() -> None:
    with pytest.raises(NotImplementedError):
        States().rows(concat_instances(States.cubes, {}), Ledger(date(2024, 6, 30), Config(), ()))


def test_the_kinds_that_modules_need_are_each_named_once_without_the_jobs() -> None:
    assert wanted_by([]) == wanted_by([States()]) == ()
    wanted = wanted_by([Recent(), States(), Recent()])
    assert sorted(wanted) == sorted([Param.kind, Dataset.kind])
    assert wanted == wanted_by([States(), Recent()])


def test_cubes_of_instances_have_one_dictionary_for_each_column() -> None:
    together = concat_instances(States.cubes, {"b": counted("ok"), "a": counted("new", "error")})
    assert together["states"].rows() == [("a", "error", 1), ("a", "new", 1), ("b", "ok", 1)]
    assert together["tools"].rows() == [
        ("a", "cut", "error", 1, 5),
        ("a", "cut", "new", 1, 5),
        ("b", "cut", "ok", 1, 5),
    ]
    assert together["states"].schema[INSTANCE].categories.to_list() == [ALL_INSTANCES, "a", "b"]  # type: ignore[attr-defined]
    assert together["states"]["state"].dtype == together["tools"]["state"].dtype
    assert together.columns["states"].texts["state"].names.to_list() == ["error", "new", "ok"]


def test_without_instances_there_are_no_rows() -> None:
    together = concat_instances(States.cubes, {})
    assert {name: frame.height for name, frame in together.items()} == {"states": 0, "tools": 0}
    assert len(together) == 2
    assert INSTANCE in together["states"].columns


def test_a_frame_is_made_once() -> None:
    together = concat_instances(States.cubes, {"a": counted("ok")})
    assert together["states"] is together["states"]
    with pytest.raises(KeyError):
        together["others"]


def test_a_partial_is_of_cubes_with_their_instance() -> None:
    rows = concat_instances([STATES], {"a": counted("ok")}).columns
    assert of_instances(STATES).key_names == [INSTANCE, "state"]
    assert Partial([STATES], rows)["states"].rows() == [("a", "ok", 1)]
