"""Joined records of the sample, and the partials that modules make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from by_hand import counted_of

from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.modules.base import Counted, Module
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.records import RECORDS, ROW, Job, Record, Records
from grt_batch.uploads.scan import scan

SINCE = date(2018, 6, 1)
"""Some of the sample's jobs were created before, and some after."""


@pytest.fixture(scope="session")
def joined(sample: Path) -> Records:
    """Joined records of an archive of each instance, of all metadata versions; no job id stands twice."""
    tables: dict[type[Record], list[Columns]] = {record: [] for record in RECORDS.values()}
    wanted = tuple(kind for kind in RECORDS if kind != Job.kind)
    jobs = 0
    for number, instance in enumerate(scan(sample).instances):
        _, found, _ = read_archive(instance.archives[0].tar, Config(), wanted, run_here, Clock(), lambda _: None)
        assert found is not None
        for record, table in found.tables.items():
            if record is Job:
                own = {Job.job_id.name: table[Job.job_id.name] + number * 10**6}
            else:
                own = {ROW: table[ROW] + np.int32(jobs)}
            tables[record].append(table.extended(own))
        jobs += found[Job].height
    return Records({record: Columns.concat(parts) for record, parts in tables.items()}, SINCE)


@pytest.fixture(scope="session")
def jobs(joined: Records) -> pl.Series:
    """The ids of all jobs, in no order at all."""
    return pl.Series(joined[Job][Job.job_id.name]).sample(fraction=1.0, shuffle=True, seed=1)


@pytest.fixture(scope="session")
def partial_of(joined: Records) -> Callable[[Module, pl.Series], Counted]:
    """A module's partial of some jobs, with all that was recorded of them."""

    def aggregate(module: Module, ids: pl.Series) -> Counted:
        others = np.setdiff1d(joined[Job][Job.job_id.name], ids.to_numpy())
        needed = {record: joined.tables[record] for record in (Job, *module.needs)}
        return counted_of(module, replace(joined, tables=needed).without(others))

    return aggregate
