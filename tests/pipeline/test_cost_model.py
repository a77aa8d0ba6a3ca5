"""The model: laws that hold for any costs, and the costs of a run found again in its run.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from build import examples
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.core.timing import Stage
from grt_batch.pipeline.cost_model import COSTS, Cost, Model, Work, model_of
from grt_batch.pipeline.request import RunSummary

SIZES = st.lists(st.integers(0, 2**36), min_size=1, max_size=5)
WORKS = st.dictionaries(st.sampled_from("abc"), SIZES, min_size=1, max_size=3).map(Work)


@examples(100)
@given(work=WORKS, ranks=st.integers(1, 2000))
def test_one_rank_more_never_makes_it_slower(work: Work, ranks: int) -> None:
    model = Model()
    assert model.seconds(work, ranks + 1) <= model.seconds(work, ranks)


@examples(100)
@given(work=WORKS, more=st.integers(0, 2**36), ranks=st.integers(1, 2000))
def test_one_archive_more_never_makes_it_faster(work: Work, more: int, ranks: int) -> None:
    model = Model()
    longer = Work({**work.new, "a": [*work.new.get("a", ()), more]})
    assert model.seconds(longer, ranks) >= model.seconds(work, ranks)
    assert model.busy(longer) > model.busy(work)


@examples(100)
@given(tar=st.integers(0, 2**40))
def test_help_makes_an_archive_faster_and_its_leader_is_still_needed(tar: int) -> None:
    model = Model()
    assert model.before(tar) < model.helped(tar, 500_000) <= model.alone(tar)


def test_with_nothing_new_there_is_only_the_start() -> None:
    model = Model()
    work = Work({}, {"a": [10**9]})
    assert model.seconds(work, 4) == model.start + model.prepare + model.warm


def test_what_is_known_is_not_read_again() -> None:
    model = Model()
    all_new, one_new = Work({"a": [10**8] * 10}), Work({"a": [10**8]}, {"a": [10**8] * 9})
    assert model.tables(all_new.instances) == model.tables(one_new.instances)
    assert model.seconds(one_new, 2) < model.seconds(all_new, 2) / 2


def numbers_of(model: Model, factor: float = 1.0) -> dict[str, Any]:
    """A run.json as the model has it, of a machine that takes `factor` times as long; rank 2 did half of the work."""
    sizes = {Stage.READ: 4e9, Stage.GUNZIP: 20e9, Stage.MERGE: 1e9, Stage.TABLES: 4e9}
    archives = 40
    seconds = {}
    for stage in COSTS:
        size = sizes.get(stage, sizes[Stage.TABLES] if stage in (Stage.TSV, Stage.COPY) else sizes[Stage.GUNZIP])
        times = 1 if stage in (Stage.READ, Stage.TABLES, Stage.TSV, Stage.COPY) else archives
        seconds[stage.value] = factor * model.seconds_of(stage, size, times)
    ranks = [
        {
            "seconds": {stage: value / 2 for stage, value in seconds.items()},
            "cpu_seconds": {stage: value / 2 for stage, value in seconds.items()},
            "bytes": {stage.value: size / 2 for stage, size in sizes.items()},
            "times": {Stage.JOIN.value: archives / 2},
        }
        for _ in range(2)
    ]
    return {"stages": ranks}


@pytest.mark.parametrize("factor", [1.0, 0.25, 7.0])
def test_the_costs_of_a_run_are_found_again(factor: float) -> None:
    fitted = Model().fitted(numbers_of(Model(), factor))
    assert fitted.text_per_byte == 5
    for stage in set(COSTS) - {Stage.REDUCE, Stage.SWAP, Stage.SEND, Stage.RECEIVE}:
        expected = COSTS[stage].slower(factor)
        assert (fitted.costs[stage].per_second, fitted.costs[stage].each) == pytest.approx(
            (expected.per_second, expected.each)
        ), stage


def test_a_stage_that_was_over_at_once_says_nothing() -> None:
    numbers = numbers_of(Model(), 5.0)
    for rank in numbers["stages"]:
        for what in ("seconds", "cpu_seconds", "bytes"):
            rank[what] = {stage: value / 1e6 for stage, value in rank[what].items()}
        rank["times"] = {}
    assert Model().fitted(numbers).costs == COSTS


def test_seconds_count_where_a_disk_is_waited_for_and_cpu_seconds_elsewhere() -> None:
    numbers = numbers_of(Model())
    for rank in numbers["stages"]:
        rank["seconds"] = {stage: 3 * value for stage, value in rank["seconds"].items()}
    fitted = Model().fitted(numbers)
    assert fitted.costs[Stage.STORE].each == pytest.approx(3 * COSTS[Stage.STORE].each)
    assert fitted.costs[Stage.JOIN].each == pytest.approx(COSTS[Stage.JOIN].each)


def test_the_newest_run_that_read_enough_counts(tmp_path: Path) -> None:
    for day, factor in (("2024-01-01", 9.0), ("2024-01-02", 2.0)):
        write(tmp_path / day, numbers_of(Model(), factor))
    write(tmp_path / "2024-01-03", {"stages": []})
    write(tmp_path / "2024-01-04", {"seconds": {}})
    for day in range(1, 29):
        write(tmp_path / f"2024-02-{day:02}", {**numbers_of(Model(), 9.0), "state": "backfilled"})
    (tmp_path / "2024-01-05").mkdir()
    (tmp_path / "2024-01-05" / "run.json").write_text("{")
    (tmp_path / "latest").symlink_to("2024-01-05")
    assert model_of(tmp_path).costs[Stage.JOIN].each == pytest.approx(2 * COSTS[Stage.JOIN].each)
    assert model_of(tmp_path / "none") == Model()


def write(folder: Path, numbers: dict[str, Any]) -> None:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(numbers))


def test_a_run_leaves_what_the_model_reads(config: Config, run_here: Callable[..., RunSummary]) -> None:
    numbers = json.loads(json.dumps(run_here(config).numbers))
    fitted = Model().fitted(numbers)
    assert fitted.text_per_byte == numbers["text_bytes"] / numbers["bytes"]
    # So little was read that no stage took long enough to tell.
    assert model_of(config.reports) in (Model(), fitted)


def test_costs_add_up() -> None:
    cost = Cost(100.0, 2.0)
    assert cost.of(50, 3) == 6.5
    assert cost.slower(2).of(50, 3) == 13
    assert replace(Model(), costs={Stage.READ: cost}).seconds_of(Stage.READ, 50) == 2.5
