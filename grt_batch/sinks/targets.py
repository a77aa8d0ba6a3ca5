"""The targets of a run: the databases that it publishes to, each in a transaction of its own.

A target that fails is left out from then on, and told. What it lacks, the next run finds out and gives it. Where none
is left, the run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg2

from grt_batch.core.config_values import MAIN
from grt_batch.core.errors import OF_TARGETS, DatabaseRefused, GrtError, NoTarget
from grt_batch.core.logs import logger, without_passwords
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.export import ArchiveParts, Export
from grt_batch.schema.tables import Table
from grt_batch.sinks import fitness
from grt_batch.sinks.postgres import published_contents
from grt_batch.sinks.sink import Sink, TableText


@dataclass
class Target:
    """A database that a run publishes to: all tables, or those whose names are among `only`.

    `server` starts its server, if need be, and yields the `url`. `published` are the contents of the parts that it has,
    by table, once it was asked.
    """

    name: str
    server: Callable[[], AbstractContextManager[str]]
    only: Collection[str] | None = None
    url: str = ""
    published: Mapping[str, set[str]] = field(default_factory=dict)

    def wanted(self, tables: Iterable[Table]) -> list[Table]:
        """Return those of the tables that it gets."""
        return [table for table in tables if self.only is None or table.name in self.only]


class Targets:
    """The targets of a run: those that are `left`, and the errors of those that `failed`, by name. Inside a `with`
    block their servers run."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.left = list(targets)
        self.failed: dict[str, GrtError] = {}

    def __enter__(self) -> Self:
        with ExitStack() as servers:
            for target in self.each():
                with self.serving(target):
                    target.url = servers.enter_context(target.server())
            self._servers = servers.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._servers.__exit__(kind, error, trace)

    def each(self) -> Iterator[Target]:
        """Yield the targets that are left; they may fail meanwhile."""
        yield from tuple(self.left)

    @contextmanager
    def serving(self, target: Target) -> Iterator[None]:
        """Leave the target out if the block raises an error that is its own. Raises NoTarget where no other is left, or
        the error itself where there never was one but the main one."""
        try:
            yield
        except OF_TARGETS as error:
            self.failed[target.name] = error
            self.left.remove(target)
            if self.failed.keys() == {MAIN} and not self.left:
                raise
            if not self.left:
                reasons = (f"{name}: {failure.happened.removesuffix('.')}" for name, failure in self.failed.items())
                raise NoTarget(what="; ".join(reasons)) from None
            what = "target %s is left out, and gets what it lacks by the next run: %s"
            logger.error(what, target.name, error.happened)

    def check(self) -> None:
        """Leave out the targets that could not take the tables. One that does not answer may do so by the time that
        there is something to publish; until then what a run computes is kept."""
        alone = len(self.left) == 1
        for target in self.each():
            with self.serving(target):
                try:
                    fitness.check(target.url)
                except DatabaseRefused as error:
                    if not alone:
                        logger.warning("target %s cannot be asked now, and is tried again: %s", target.name, error.what)

    def ask(self, tables: Sequence[Table]) -> None:
        """Ask each target what it has of these tables."""
        for target in self.each():
            with self.serving(target):
                target.published = published_contents(target.url, target.wanted(tables))

    def contents(self, table: Table) -> list[set[str]] | None:
        """Return what each target that gets a table has of it; None where one has no such table."""
        found = [target.published.get(table.name) for target in self.left if target.wanted([table])]
        there = [contents for contents in found if contents is not None]
        return there if len(there) == len(found) else None

    @property
    def outcome(self) -> dict[str, dict[str, str | None]]:
        """Return the state of each target, `published` or `failed`, and the reason, for run.json."""
        states: dict[str, dict[str, str | None]] = {
            target.name: {"state": "published", "reason": None} for target in self.left
        }
        for name, error in self.failed.items():
            states[name] = {"state": "failed", "reason": without_passwords(error.happened)}
        return states


class Databases(Sink):
    """The targets of a run as one sink. Each gets its tables, and an error of one holds back no other.

    All have everything before the first one shows it. Then one after another exchanges its tables and commits: readers
    of one need not wait until another is ready.
    """

    def __init__(
        self, targets: Targets, sink_of: Callable[[Target], Sink], committed: Callable[[], None] = lambda: None
    ) -> None:
        """`sink_of` makes the sink of a target; `committed` is called once the first one has committed."""
        self._targets, self._sink_of, self._committed = targets, sink_of, committed
        self._sinks: dict[str, Sink] = {}

    def __enter__(self) -> Self:
        try:
            for target in self._targets.each():
                with self._targets.serving(target):
                    self._sinks[target.name] = self._sink_of(target).__enter__()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack = ExitStack()
        for sink in self._sinks.values():
            stack.push(sink)
        stack.__exit__(kind, error, trace)

    def write_table(self, table: Table, text: TableText, fingerprint: str) -> None:
        """Write a table to the targets that get it."""
        for target, sink in self._each():
            with self._serving(target):
                if target.wanted([table]):
                    sink.write_table(table, text, fingerprint)

    def write_export(self, export: Export, archives: Sequence[ArchiveParts], ledger: Ledger) -> None:
        """Write an export to the targets that get its tables."""
        for target, sink in self._each():
            with self._serving(target):
                if target.wanted(export.tables):
                    sink.write_export(export, archives, ledger)

    def wait(self) -> None:
        """Wait until every target has everything."""
        for target, sink in self._each():
            with self._serving(target):
                sink.wait()

    def prepare(self, run: Mapping[str, Any]) -> None:
        """Prepare the first target that can be."""
        self._run, self._prepared = run, ""
        for target, sink in self._each():
            if not self._prepared:
                with self._serving(target):
                    sink.prepare(run)
                    self._prepared = target.name

    def publish(self) -> None:
        """Publish to each target, and raise only where none took the tables."""
        shown = False
        for target, sink in self._each():
            with self._serving(target):
                if target.name != self._prepared:
                    sink.prepare(self._run)
                sink.publish()
                if not shown:
                    self._committed()
                shown = True

    def _each(self) -> Iterator[tuple[Target, Sink]]:
        for target in self._targets.each():
            yield target, self._sinks[target.name]

    @contextmanager
    def _serving(self, target: Target) -> Iterator[None]:
        """As `Targets.serving`, and undo what a target that fails has got so far."""
        with self._targets.serving(target):
            try:
                yield
            except (psycopg2.Error, *OF_TARGETS) as error:
                # It raises an error of the program in place of one of psycopg2.
                self._sinks.pop(target.name).__exit__(type(error), error, error.__traceback__)
                raise
