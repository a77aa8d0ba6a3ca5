"""The advice is held against jobs that it has not seen."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from places import REAL
from tpv_rules import faults

from bench.advice import evidence_of, growing, held_against, jobs_of, table
from grt_batch.advice.advice import advise
from grt_batch.advice.rule import Rule
from grt_batch.advice.tools_yml import written

UPLOADS = REAL / "exporter" / "uploads"


@pytest.fixture(scope="module")
def jobs() -> pl.DataFrame:
    return growing(12_000, 5)


def test_memory_that_grows_is_advised_by_size(jobs: pl.DataFrame) -> None:
    tools, count, found = held_against(jobs)
    assert (tools, count > 5000) == (60, True)
    fits = {rule: share for rule, share, _, _ in found}
    hours = {rule: given for rule, _, given, _ in found}
    assert fits["advice"] > 0.95 and fits["advice, --any-fall"] > 0.95
    assert hours["advice, --any-fall"] < 0.8 * hours["99th percentile"]
    assert hours["advice"] < hours["advice, one value for a tool"] < 0.7 * hours["maximum × 1.2"]
    assert len({needed for *_, needed in found}) == 1


def test_a_version_that_needs_less_gets_less(jobs: pl.DataFrame) -> None:
    old = (pl.col("job_id") % 3 == 0) & (pl.col("state") == "ok")
    jobs = jobs.with_columns(memory=pl.when(old).then(pl.col("memory") // 6).otherwise("memory"))
    alike, apart = (
        {rule: (share, given) for rule, share, given, _ in held_against(some)[2]}
        for some in (jobs, jobs.with_columns(tool_version=pl.when(old).then(pl.lit("0.9")).otherwise("tool_version")))
    )
    assert apart["advice, --any-fall"][1] < 0.9 * alike["advice, --any-fall"][1]
    assert apart["advice, --any-fall"][0] > 0.95
    assert apart["advice, one value for a tool"] == alike["advice, one value for a tool"]


def test_the_jobs_of_archives_are_those_of_the_newest(sample: Path) -> None:
    found = jobs_of(sample)
    assert found.height == found.select("instance_id", "job_id").n_unique()
    assert found.filter(pl.col("oom")).height > 0
    lines = table({"the sample": found})
    assert lines[2].startswith("| the sample | ")
    assert len(lines) == 8


@pytest.mark.skipif(not UPLOADS.is_dir(), reason="no real archives beside the project")
def test_the_advice_of_real_archives_is_a_file_for_tpv() -> None:
    jobs = jobs_of(UPLOADS)
    advices = advise(evidence_of(jobs), Rule())
    measured = jobs.filter((pl.col("state") == "ok") & pl.col("memory").is_not_null() & (pl.col("tool_id") != ""))
    assert sum(advice.evidence.jobs for advice in advices) == measured.height > 10_000
    text = written(advices, Rule())
    assert faults(text) == []
    assert text.count("# grt: ") == sum(advice.memory is not None for advice in advices) > 50
    assert "devteam/bwa/bwa_mem/.*:\n    # grt: " in text
