"""Joined records to partials: cut into tasks, and merged again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from operator import itemgetter

from grt_batch.core.config import Config
from grt_batch.modules.base import Module, wanted_by
from grt_batch.pipeline.tasks import AggregateTask, Partials, RunTasks
from grt_batch.schema.records import RECORDS, Job, Records

GATHERED_JOBS = 500_000
"""So many jobs of an archive at a time are counted exactly before a module may let go of anything. It bounds the
memory, and is no setting, because the results depend on it."""


def aggregate(
    records: Records, modules: Sequence[Module], since: date, config: Config, run_tasks: RunTasks
) -> Iterator[tuple[Module, bytes]]:
    """Yield the packed partials of joined records, which are cut into tasks between jobs, so that any cut gives the
    same.

    What a module lets go, it lets go of GATHERED_JOBS jobs together. To save memory, the pieces of a large archive are
    packed, and the records released before the pieces are merged: the caller must not hold them.
    """
    names = tuple(module.name for module in modules)
    jobs = records[Job].height
    borders = [
        begin
        for first in range(0, jobs, GATHERED_JOBS)
        for begin in range(first, min(first + GATHERED_JOBS, jobs), config.aggregate_jobs)
    ]
    tasks = _tasks(records, [*borders, jobs], modules, since, config)
    del records
    numbered = zip((begin // GATHERED_JOBS for begin in borders), run_tasks(tasks), strict=True)
    pieces: dict[str, list[bytes]] = {name: [] for name in names}
    for _, several in itertools.groupby(numbered, key=itemgetter(0)):
        parts: list[Partials] = [part for _, part in several]
        for module in modules:
            whole = module.merge([part.pop(module.name) for part in parts])
            pieces[module.name].append(module.pack(module.gathered([whole])))
    for module in modules:
        yield module, _united(module, pieces.pop(module.name))


def _tasks(
    records: Records, borders: Sequence[int], modules: Sequence[Module], since: date, config: Config
) -> Iterator[AggregateTask]:
    names = tuple(module.name for module in modules)
    kinds = (Job.kind, *wanted_by(modules))
    for begin, end in itertools.pairwise(borders):
        part = records.part(begin, end)
        yield AggregateTask(names, {kind: part.tables[RECORDS[kind]] for kind in kinds}, since, config.modules_dir)


def _united(module: Module, pieces: Sequence[bytes]) -> bytes:
    if len(pieces) == 1:
        return pieces[0]
    parts = [module.unpack(piece) for piece in pieces]
    return module.pack(module.gathered(parts or [module.empty()]))
