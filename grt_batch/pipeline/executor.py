"""Executors carry out the orders of a run: here the serial one; over MPI the coordinator is another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from socket import gethostname
from typing import Any, Protocol, TypeVar

from grt_batch.core.config import Config
from grt_batch.core.memory import peak_memory
from grt_batch.core.timing import Clock
from grt_batch.pipeline.tasks import RunTasks, run_here
from grt_batch.store.store import Store

Made = TypeVar("Made")


Made_co = TypeVar("Made_co", covariant=True)


class Order(Protocol[Made_co]):
    """Work that any rank can carry out, also repeatedly. Results that take long to compute go into the store."""

    @property
    def bytes(self) -> int:
        """Return the bytes of tar.gz to process."""

    @property
    def place(self) -> str:
        """Return what the order is about, for error messages."""

    def carry_out(self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]) -> Made_co:
        """Carry it out, cut into tasks for `run_tasks`; call `progress` with the bytes just done."""


class Executor(Protocol):
    """This process alone, or the ranks of an MPI job. `clock` is that of this process."""

    clock: Clock

    def carry_out(
        self, orders: Sequence[Order[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Carry out the orders; outcomes come in any order."""

    def peak_memory(self) -> list[int]:
        """Return the peak memory of each rank in bytes."""

    def stages(self) -> list[Mapping[str, Any]]:
        """Return how each rank spent its time up to now, for run.json."""

    def ranks_lost(self) -> int:
        """Return the number of ranks that were lost while the others went on."""


class SerialExecutor:
    """The executor that does everything in this process."""

    def __init__(self) -> None:
        self.clock = Clock()

    def carry_out(
        self, orders: Sequence[Order[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Carry out the orders, one after another."""
        run_tasks = partial(run_here, clock=self.clock)
        return (order.carry_out(config, store, run_tasks, progress) for order in orders)

    def peak_memory(self) -> list[int]:
        """Return the peak memory of this process in bytes."""
        return [peak_memory()]

    def stages(self) -> list[Mapping[str, Any]]:
        """Return how this process spent its time up to now."""
        return [stages_of(0, "serial", gethostname(), self.clock.snapshot())]

    def ranks_lost(self) -> int:
        """Return 0."""
        return 0


def stages_of(rank: int, role: str, host: str, snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a rank spent its time, as in run.json; `snapshot` is that of its clock."""
    return {"rank": rank, "host": host, "role": role, **snapshot}
