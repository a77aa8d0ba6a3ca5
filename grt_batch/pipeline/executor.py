"""What carries out the orders of a run: here the serial executor, over MPI the coordinator."""

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
    """Something that any rank can do, and do again: it puts what takes long to compute into the store."""

    @property
    def bytes(self) -> int:
        """How many bytes of tar.gz there are to deal with."""

    @property
    def place(self) -> str:
        """What it is about, for the error that it may end in."""

    def carry_out(self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]) -> Made_co:
        """Do it. `run_tasks` carries out the tasks that it is cut into, `progress` is told the bytes dealt with."""


class Executor(Protocol):
    """Those who do the work: this process alone, or the ranks of an MPI job. `clock` is that of this process."""

    clock: Clock

    def carry_out(
        self, orders: Sequence[Order[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Carry out the orders; outcomes come in any order."""

    def peak_memory(self) -> list[int]:
        """The peak memory of each rank in bytes."""

    def stages(self) -> list[Mapping[str, Any]]:
        """What each rank did with its time up to now, for run.json."""

    def ranks_lost(self) -> int:
        """How many ranks were lost while the others went on."""


class SerialExecutor:
    """A executor of one: everything in this process."""

    def __init__(self) -> None:
        self.clock = Clock()

    def carry_out(
        self, orders: Sequence[Order[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Carry out the orders, one after another."""
        run_tasks = partial(run_here, clock=self.clock)
        return (order.carry_out(config, store, run_tasks, progress) for order in orders)

    def peak_memory(self) -> list[int]:
        """The peak memory of this process in bytes."""
        return [peak_memory()]

    def stages(self) -> list[Mapping[str, Any]]:
        """What this process did with its time up to now."""
        return [stages_of(0, "serial", gethostname(), self.clock.snapshot())]

    def ranks_lost(self) -> int:
        """None can be."""
        return 0


def stages_of(rank: int, role: str, host: str, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a rank did with its time, as run.json has it; `told` as by its clock."""
    return {"rank": rank, "host": host, "role": role, **told}
