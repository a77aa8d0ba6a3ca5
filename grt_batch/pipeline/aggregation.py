"""Joined records to partials: cut into tasks, and merged again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from operator import itemgetter

import numpy as np
import polars as pl

from grt_batch.core.config import Config
from grt_batch.frames.composite_keys import Integers
from grt_batch.frames.dictionaries import with_own_texts
from grt_batch.modules.base import Module, Partial, wanted_by
from grt_batch.pipeline.tasks import AggregateTask, Frames, RunTasks
from grt_batch.schema.records import Job

GATHERED_JOBS = 500_000
"""So many jobs of an archive at a time are counted exactly before a module may let go of anything. It bounds the
memory, and is no setting, because the results depend on it."""


def aggregate(
    frames: dict[str, pl.DataFrame], modules: Sequence[Module], since: date, config: Config, run_tasks: RunTasks
) -> Iterator[tuple[Module, Partial]]:
    """Yield the partials of joined records, which are cut into tasks between jobs, so that any cut gives the same.

    What a module lets go, it lets go of GATHERED_JOBS jobs together. To save memory, `frames` is emptied before the
    first partial is yielded, and the pieces of each partial before the next.
    """
    needed = {Job.kind, *wanted_by(modules)}
    for kind in frames.keys() - needed:
        del frames[kind]
    names = tuple(module.name for module in modules)
    places = np.arange(frames[Job.kind].height)
    firsts = places[places % GATHERED_JOBS % config.aggregate_jobs == 0]
    tasks = (AggregateTask(names, part, since, config.modules_dir) for part in _cut(frames, firsts))
    numbered = zip((firsts // GATHERED_JOBS).tolist(), run_tasks(tasks), strict=True)
    found: dict[str, list[Partial]] = {name: [] for name in names}
    for _, several in itertools.groupby(numbered, key=itemgetter(0)):
        parts = [part for _, part in several]
        for module in modules:
            whole = module.merge([part.pop(module.name) for part in parts])
            found[module.name].append(module.gathered([whole]))
    for module in modules:
        yield module, module.gathered(found.pop(module.name) or [module.empty()])


def _cut(frames: dict[str, pl.DataFrame], firsts: Integers) -> Iterator[Frames]:
    """Yield the records of the jobs from each of these places to the next, with dictionaries of their own texts only.

    `frames` is emptied column by column, and each part is released once it is yielded, so that no record is in memory
    twice.
    """
    name = Job.job_id.name
    if len(firsts) == 1:
        # There is nothing to cut, and all texts are its own.
        whole = dict(frames)
        frames.clear()
        yield whole
        return
    parts = [{kind: list[pl.Series]() for kind in frames} for _ in firsts]
    ids = frames[Job.kind][name].to_numpy()[firsts]
    for kind in list(frames):
        frame = frames.pop(kind)
        bounds = [*np.searchsorted(frame[name].to_numpy(), ids).tolist(), frame.height]
        for column in frame.columns:
            values = frame.drop_in_place(column)
            for part, (begin, end) in zip(parts, itertools.pairwise(bounds), strict=True):
                part[kind].append(_copy(values[begin:end]))
    while parts:
        yield {kind: with_own_texts(pl.DataFrame(columns)) for kind, columns in parts.pop(0).items()}


def _copy(piece: pl.Series) -> pl.Series:
    """Return a piece of a column that does not hold the memory of the whole."""
    return pl.concat([piece[:1], piece[1:]], rechunk=True)
