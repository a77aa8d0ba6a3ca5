"""The tasks that an archive is cut into. A task holds all that it needs, so that any rank can carry it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Protocol

from grt_batch.aggregate.counting import counted
from grt_batch.columns.columns import Columns
from grt_batch.core.timing import Clock, Stage
from grt_batch.decode.columns import Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.left_out import without
from grt_batch.decode.redaction import Redaction, redacted
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.schema.records import RECORDS, Job, Records
from grt_batch.uploads.archive import Block

Partials = dict[str, Any]
"""A partial of each module, by its name: `Counted` of a report, the parts of an export."""


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
    """Aggregate the joined records of some jobs: `tables` of them by kind, and `since`, as in `Records`.

    `modules_dir` is as in the configuration, which a worker does not know.
    """

    modules: tuple[str, ...]
    tables: Mapping[str, Columns]
    since: date
    modules_dir: str = ""
    name: ClassVar[str] = "aggregate"

    @property
    def place(self) -> str:
        """Return the range of the job ids."""
        ids = self.tables[Job.kind][Job.job_id.name]
        return f"the jobs from {ids[0]} to {ids[-1]}"

    @property
    def bytes(self) -> int:
        """Return the size of the records in memory."""
        return sum(table.bytes for table in self.tables.values())

    def run(self) -> Partials:
        """Return the partial of each module, by its name."""
        known = discover(self.modules_dir)
        records = Records({RECORDS[kind]: table for kind, table in self.tables.items()}, self.since)
        return partials_of([known[name] for name in self.modules], records)


def partials_of(modules: Sequence[Module], records: Records) -> Partials:
    """Return a partial of the joined records for each module, by its name. All cubes are counted together."""
    cubes = {module.name: module.cubes for module in modules}
    found = iter(counted([cube for some in cubes.values() for cube in some], records))
    partials: Partials = {name: {cube.name: next(found) for cube in some} for name, some in cubes.items()}
    for module in modules:
        if isinstance(module, Export):
            partials[module.name] = list(module.parts(records))
    return partials


RunTasks = Callable[[Iterator[Task]], Iterator[Any]]


def run_here(tasks: Iterator[Task], clock: Clock | None = None) -> Iterator[Any]:
    """Carry out tasks one after another in this process."""
    clock = clock or Clock()
    return (timed(task, clock) for task in tasks)


def timed(task: Task, clock: Clock) -> Any:
    """Carry out a task, and count it to the stage of its name."""
    with clock.stage(Stage(task.name), task.bytes, task.place):
        return task.run()
