"""Compiles all kernels before the first run."""

from __future__ import annotations

from datetime import date

import numpy as np

from grt_batch.aggregate.grouping import Groups
from grt_batch.columns.columns import Columns
from grt_batch.core.config import Config
from grt_batch.decode.columns import WANTED
from grt_batch.decode.decoder import decode
from grt_batch.join.jobs import Joiner
from grt_batch.kernels.cache import remove_outdated, share_all
from grt_batch.kernels.fields import line_ends
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import concat_instances
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.tasks import partials_of
from grt_batch.schema.members import Kind, layout_of
from grt_batch.schema.records import Records
from grt_batch.uploads.archive import Block
from grt_batch.uploads.metadata import InstanceMetadata

_DAY = date(2020, 1, 1)


_LINES = {
    Kind.JOBS: b"1\ttool\t1.0\tok\t2020-01-01 00:00:00\n",
    Kind.METRIC_NUM: b"1\tcore\truntime_seconds\t1.0\n1\tcore\tgalaxy_slots\t1.0\n1\tcgroup\tcpu.stat.usage_usec\t5\n",
    Kind.METRIC_TXT: b"1\tcore\tname\tvalue\n",
    Kind.PARAMS: b"1\tname\tvalue\n",
    Kind.DATASETS: b"1\t1\tbam\t1\tinput1\tinput\n",
}


def compile_kernels() -> None:
    """Compile all kernels and keep them on disk, so that no rank of a run has to; for all users, if this one may write
    to the installation."""
    remove_outdated()
    modules, records = chosen(()), _records()
    partials = [partials_of(modules, records) for _ in range(2)]
    ledger = Ledger(_DAY, Config(), (InstanceEntry("1", InstanceMetadata(), ()),))
    for module in modules:
        merged = module.gathered([partial[module.name] for partial in partials])
        module.all_rows(concat_instances(module.cubes, {"1": merged}), ledger)
    _group_many()
    share_all()


def _records() -> Records:
    """Decode and join a job with one record of each kind."""
    joiner = Joiner(WANTED)
    for kind, lines in _LINES.items():
        # The last line is broken, which compiles the kernels for salvaging too.
        text = memoryview(lines + b"1\t" + lines)
        line_ends(np.frombuffer(text, np.uint8))
        block = Block(layout_of(kind, [lines.splitlines(keepends=True)[0]])[0], 0, text)
        decode(block)
        joiner.add(decode(block, WANTED))
    records, _ = joiner.join()
    return records


def _group_many() -> None:
    """Group so many rows that they are sorted, and measure what no report does."""
    values = np.random.default_rng(1).integers(0, 1 << 60, 100_000)
    Groups.of(Columns({"value": values}), ["value"]).squares(values)
