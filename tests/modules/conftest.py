"""Joined records of the sample, and the partials that modules make of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pytest

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.join.child_records import attached
from grt_batch.modules.base import Module, Partial
from grt_batch.pipeline.read import read_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.records import RECORDS, Job, Metric, Record, Records
from grt_batch.uploads.scan import scan

Joined = dict[type[Record], pl.DataFrame]
SINCE = date(2018, 6, 1)
"""Some of the sample's jobs were created before, and some after."""


@pytest.fixture(scope="session")
def joined(sample: Path) -> Joined:
    """Joined records of an archive of each instance, of all metadata versions; no job id stands twice."""
    frames: dict[type[Record], list[pl.DataFrame]] = {record: [] for record in RECORDS.values()}
    wanted = tuple(kind for kind in RECORDS if kind != Job.kind)
    for number, instance in enumerate(scan(sample).instances):
        _, found, _ = read_archive(instance.archives[0].tar, Config(), wanted, run_here, Clock(), lambda _: None)
        assert found is not None
        for kind, record in RECORDS.items():
            frame = found[kind] if record is Job else attached(found[Job.kind], found[kind])
            frames[record].append(
                frame.with_columns(pl.col(Job.job_id.name) + number * 10**6, cs.enum().cast(pl.String))
            )
    return {record: _as_read(pl.concat(parts)) for record, parts in frames.items()}


def _as_read(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts of the types that they have out of an archive: with a dictionary, but for those of metrics."""
    texts = [name for name in frame.select(cs.string()).columns if Metric.plugin.name not in frame.columns]
    return frame.with_columns(pl.col(name).cast(pl.Enum(frame[name].drop_nulls().unique())) for name in texts)


@pytest.fixture(scope="session")
def jobs(joined: Joined) -> pl.Series:
    """The ids of all jobs, in no order at all."""
    return joined[Job][Job.job_id.name].sample(fraction=1.0, shuffle=True, seed=1)


@pytest.fixture(scope="session")
def partial_of(joined: Joined) -> Callable[[Module, pl.Series], Partial]:
    """A module's partial of some jobs, with all that was recorded of them."""

    def aggregate(module: Module, ids: pl.Series) -> Partial:
        some = pl.col(Job.job_id.name).is_in(ids.implode())
        return module.aggregate(Records({record: joined[record].filter(some) for record in module.needs}, SINCE))

    return aggregate
