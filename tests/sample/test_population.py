"""The jobs of a sample: their times, states and datasets."""

from __future__ import annotations

from statistics import quantiles

import numpy as np
import polars as pl
import pytest
from sample_archives import Archive, values_of

from grt_batch.sample.catalogue import make_catalogue
from grt_batch.sample.population import ENDINGS, MAX_INPUTS, MAX_OUTPUTS, MAX_RUNTIME, NO_LIMIT, Jobs, draw_jobs

BEGIN, END = 1_700_000_000, 1_700_086_400


def test_runtimes(archives: list[Archive]) -> None:
    percentiles = quantiles(values_of(archives, "runtime_seconds"), n=100)
    assert 12 <= percentiles[49] <= 21
    assert 20 * 60 <= percentiles[94] <= 45 * 60


@pytest.fixture(scope="module")
def drawn() -> Jobs:
    catalogue = make_catalogue(np.random.default_rng(1))
    return draw_jobs(catalogue, np.random.default_rng(2), np.arange(100, 1100), BEGIN, END, END, 2)


def test_jobs_are_created_in_the_order_of_their_ids_and_then_start(drawn: Jobs) -> None:
    jobs = drawn.jobs
    assert jobs["id"].to_list() == [*range(100, 1100)]
    assert jobs.select(pl.col("created").is_between(BEGIN * 10**6, END * 10**6).all()).item()
    assert (jobs["created"] // 10**6).is_sorted()
    assert (jobs["start"] * 10**6 >= jobs["created"]).all()
    assert (jobs["settled"] >= jobs["end"]).all()
    assert (jobs["end"] - jobs["start"]).max() <= MAX_RUNTIME  # type: ignore[operator]
    assert {*jobs["ending"]} <= {*ENDINGS, "error"}
    assert {*jobs["cgroups"]} == {0, 2}


def test_a_job_has_outputs_of_its_own_and_inputs_of_earlier_jobs(drawn: Jobs) -> None:
    counts = drawn.datasets.filter(pl.col("param_name") != "input").group_by("id", "type").len()
    most = dict(counts.group_by("type").agg(pl.col("len").max()).iter_rows())
    assert most["input"] <= MAX_INPUTS and most["output"] <= MAX_OUTPUTS
    outputs = drawn.datasets.filter(type="output")
    assert {*outputs["id"]} == {*drawn.jobs["id"]}
    assert outputs["dataset_id"].is_unique().all()
    inputs = drawn.datasets.filter(type="input")
    assert (inputs["dataset_id"] < inputs["id"] * MAX_OUTPUTS).all()


def test_the_first_dataset_of_a_multiple_input_stands_there_twice(drawn: Jobs) -> None:
    inputs = drawn.datasets.filter(type="input")
    known = {(row["id"], row["param_name"]): (row["dataset_id"], row["file_size"]) for row in inputs.to_dicts()}
    assert len(known) == len(inputs)
    several = [job for job, name in known if name == "input"]
    same = [known[job, "input"] == known[job, "input1"] for job in several]
    assert 100 < len(several) < 600
    assert all(same)
    assert {name for _, name in known} == {"input", *(f"input{number}" for number in range(1, MAX_INPUTS + 1))}


def test_jobs_that_need_more_memory_than_they_may_use_are_killed() -> None:
    catalogue = make_catalogue(np.random.default_rng(1))
    for cgroups in (0, 1, 2):
        jobs = draw_jobs(catalogue, np.random.default_rng(2), np.arange(20_000), BEGIN, END, END, cgroups).jobs
        killed = jobs.filter("killed")
        assert 0 < killed.height < 400 if cgroups else killed.height == 0
        assert {*killed["ending"]} <= {"error"}
        assert (killed["memory"] == killed["limit"]).all()
        assert (jobs["memory"] <= jobs["limit"]).all()
        limited = (jobs["limit"] < NO_LIMIT).mean()
        assert limited == (0 if cgroups == 0 else pytest.approx(0.63 if cgroups == 1 else 0.95, abs=0.03))
        well = jobs.filter(pl.col("memory") == pl.col("limit"), ~pl.col("killed"))
        assert (0 < well.height < 400) if cgroups == 1 else well.height == 0


def test_a_state_follows_from_the_moment(drawn: Jobs) -> None:
    assert {*drawn.seen_at(BEGIN - 1)["state"]} == {"new"}
    assert {*drawn.seen_at(float(drawn.jobs["start"].min() - 1))["state"]} <= {"new", "queued"}  # type: ignore[operator]
    last = drawn.seen_at(float(drawn.jobs["settled"].max()))  # type: ignore[arg-type]
    assert last["state"].to_list() == last["ending"].to_list()


def test_the_newest_jobs_keep_their_datasets_alone(drawn: Jobs) -> None:
    newest = drawn.newest(10)
    assert newest.jobs["id"].to_list() == [*range(1090, 1100)]
    assert {*newest.datasets["id"]} == {*range(1090, 1100)}
