"""What every step of a run works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from grt_batch.core.config import Config
from grt_batch.ledger.people import Person
from grt_batch.modules.base import Module
from grt_batch.pipeline.executor import Executor, Made, Order
from grt_batch.pipeline.request import RunRequest
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store


class DamagedEntries(Exception):
    """Entries of the store are missing or damaged. They were dropped, and must be computed again."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        super().__init__()


@dataclass(frozen=True)
class RunContext:
    """A run under way: its request, its modules, the store, index and executor that it uses, and what is known of the
    owners of instances."""

    request: RunRequest
    modules: Sequence[Module]
    store: Store
    index: ArchiveIndex
    executor: Executor
    people: Mapping[str, Person] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """Return the configuration of the run."""
        return self.request.config

    @property
    def as_of(self) -> date:
        """Return the last day of the windows."""
        return self.request.as_of

    @property
    def earliest(self) -> date:
        """Return the first as-of day that the partials of this run serve."""
        return self.request.beside.earliest if self.request.beside else self.as_of

    @property
    def again(self) -> bool:
        """Return whether partial results of earlier runs are to be ignored."""
        return self.request.recalculate

    def carry_out(
        self, orders: Sequence[Order[Made]], progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Made]:
        """Carry out orders by the executor; the outcomes come in any order."""
        return self.executor.carry_out(orders, self.config, self.store, progress)
