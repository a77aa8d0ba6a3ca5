"""Joined records of the sample, and what modules count of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from exporting import records_of

from grt_batch.columns.columns import Columns
from grt_batch.modules.base import Counted, Module
from grt_batch.pipeline.tasks import partials_of
from grt_batch.schema.records import RECORDS, ROW, Job, Records

Ids = npt.NDArray[np.int64]
SINCE = date(2018, 6, 1)
"""Some of the sample's jobs were created before, and some after."""


@pytest.fixture(scope="session")
def joined(sample: Path) -> Records:
    """Joined records of an archive of each instance, of all metadata versions; no job id stands twice."""
    first = dict(reversed(records_of(sample)))
    tables: dict[str, list[Columns]] = {kind: [] for kind in RECORDS}
    height = 0
    for number, records in enumerate(first.values()):
        for kind, record in RECORDS.items():
            table, name = records.tables[record], Job.job_id.name if record is Job else ROW
            moved = table[name] + table[name].dtype.type(number * 10**6 if record is Job else height)
            tables[kind].append(table.extended({name: moved}))
        height += records[Job].height
    return Records({RECORDS[kind]: Columns.concat(parts) for kind, parts in tables.items()}, SINCE)


@pytest.fixture(scope="session")
def jobs(joined: Records) -> Ids:
    """The ids of all jobs, in no order at all."""
    ids: Ids = np.random.default_rng(1).permutation(joined[Job][Job.job_id.name])
    return ids


@pytest.fixture(scope="session")
def partial_of(joined: Records) -> Callable[[Module, Ids], Counted]:
    """What a module counts of some jobs, with all that was recorded of them."""

    def count(module: Module, ids: Ids) -> Counted:
        records = joined.without(np.setdiff1d(joined[Job][Job.job_id.name], ids))
        needed = replace(records, tables={record: records.tables[record] for record in {Job, *module.needs}})
        counted: Counted = partials_of([module], needed)[module.name]
        return counted

    return count
