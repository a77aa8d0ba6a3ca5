"""The tasks that an archive is cut into. A task holds all that it needs, so that any rank can carry it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Protocol

import polars as pl

from grt_batch.core.timing import Clock, Stage
from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.left_out import without
from grt_batch.decode.redaction import Redaction, redacted
from grt_batch.frames.dictionaries import filled
from grt_batch.join.child_records import attached
from grt_batch.modules.base import Module, Partial
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.schema.records import NEVER_NULL, RECORDS, Job, Records
from grt_batch.uploads.archive import Block

Frames = Mapping[str, pl.DataFrame]
"""Joined records by their kind."""


class Task(Protocol):
    """A piece of work that holds all that it needs: any rank can carry it out, also repeatedly."""

    name: ClassVar[str]

    @property
    def place(self) -> str:
        """Return what the task is about, for error messages."""

    @property
    def bytes(self) -> int:
        """Return the amount of data it processes."""

    def run(self) -> Any:
        """Carry it out."""


@dataclass(frozen=True)
class DecodeTask:
    """Decode one block, without what is left out by the patterns of names, and redact it."""

    block: Block
    number: int
    wanted: tuple[str, ...]
    redaction: Redaction = field(default_factory=Redaction)
    left_out: tuple[str, ...] = ()
    name: ClassVar[str] = "decode"

    @property
    def place(self) -> str:
        """Return the kind of member and the block's number in the archive."""
        return f"{self.block.layout.kind.value}, block {self.number}"

    @property
    def bytes(self) -> int:
        """Return the size of the block."""
        return len(self.block.data)

    def run(self) -> Decoded:
        """Return the columns and rejects of the block."""
        return redacted(without(decode(self.block, self.wanted), self.left_out), self.redaction)


@dataclass(frozen=True)
class AggregateTask:
    """Aggregate the joined records of some jobs, given by kind.

    `since` is as in `Records`, `modules_dir` as in the configuration, which a worker does not know.
    """

    modules: tuple[str, ...]
    frames: Mapping[str, pl.DataFrame]
    since: date
    modules_dir: str = ""
    name: ClassVar[str] = "aggregate"

    @property
    def place(self) -> str:
        """Return the range of the job ids."""
        ids = self.frames[Job.kind][Job.job_id.name]
        return f"the jobs from {ids[0]} to {ids[-1]}"

    @property
    def bytes(self) -> int:
        """Return the size of the records in memory."""
        return sum(int(frame.estimated_size()) for frame in self.frames.values())

    def run(self) -> dict[str, Partial]:
        """Return the partial of each module, by its name."""
        known = discover(self.modules_dir)
        return partials_of([known[name] for name in self.modules], self.frames, self.since)


def partials_of(modules: Sequence[Module], frames: Frames, since: date) -> dict[str, Partial]:
    """Return a partial of the joined records for each module, by its name."""
    partials: dict[str, Partial] = {}
    for exports in (False, True):
        some = [module for module in modules if isinstance(module, Export) is exports]
        if some:
            records = _records(frames, since, never_null=not exports)
            partials |= {module.name: module.aggregate(records) for module in some}
    return {module.name: partials[module.name] for module in modules}


def _records(frames: Frames, since: date, *, never_null: bool) -> Records:
    """Return the records.

    Reports take a null text for an empty one, which is filled in once for all of them; exports tell the two apart.
    """
    jobs = frames[Job.kind]
    if never_null:
        jobs = jobs.with_columns(filled(jobs[field.name]) for field in NEVER_NULL)
    joined = {RECORDS[kind]: jobs if kind == Job.kind else attached(jobs, frame) for kind, frame in frames.items()}
    return Records(joined, since)


RunTasks = Callable[[Iterator[Task]], Iterator[Any]]


def run_here(tasks: Iterator[Task], clock: Clock | None = None) -> Iterator[Any]:
    """Carry out tasks one after another in this process."""
    clock = clock or Clock()
    return (timed(task, clock) for task in tasks)


def timed(task: Task, clock: Clock) -> Any:
    """Carry out a task, and count it to the stage of its name."""
    with clock.stage(Stage(task.name), task.bytes, task.place):
        return task.run()
