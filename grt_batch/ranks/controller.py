"""A controller: carries out an order, serves the tasks that it is cut into to the workers that ask, and puts together
what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from grt_batch.core.config import Config
from grt_batch.core.timing import Stage
from grt_batch.pipeline.tasks import Task, timed
from grt_batch.ranks.messages import Message, Tag, pack
from grt_batch.ranks.scheduling import COORDINATOR, is_worth_reporting
from grt_batch.ranks.serialization import LeadOrder, pack_outcome, pack_task, unpack_result
from grt_batch.ranks.transport import RankLostError, Transport
from grt_batch.store.store import Store

IN_FLIGHT = 2
"""Tasks that a worker has at a time: one that it works at, and one that is there when it is done."""


class Controller:
    """Carries out one order. Its workers come and go; without any it does all tasks itself."""

    def __init__(self, transport: Transport, order: LeadOrder) -> None:
        self.transport = transport
        self.order = order
        self._untold = 0
        self._in_flight: dict[int, int] = {}
        self._results: dict[int, Any] = {}

    def lead(self, config: Config) -> None:
        """Carry out the order and tell the coordinator what came of it."""
        store = Store(config.work / "store", self.transport.clock)
        outcome = self.order.carry_out(config, store, self.run_tasks, self._tell)
        self._tell_now()
        self.transport.send(COORDINATOR, Tag.DONE, pack_outcome(outcome))

    def run_tasks(self, tasks: Iterator[Task]) -> Iterator[Any]:
        """The results of the tasks, in their order. A task goes to a worker that has room, else it is done here.

        However this ends, no result is under way afterwards, and all workers are free.
        """
        given = taken = 0
        more = True
        try:
            while more or taken < given:
                self._hear_all()
                if taken in self._results:
                    yield self._results.pop(taken)
                    taken += 1
                    continue
                # Results wait here for those before them; do not run far ahead of the slowest.
                ahead = given - taken < (IN_FLIGHT + 1) * (len(self._in_flight) + 1)
                task = next(tasks, None) if more and ahead else None
                if task is not None:
                    self._give(given, task)
                    given += 1
                elif more and ahead:
                    more = False
                else:
                    self._hear(self.transport.receive())
        finally:
            # Where a rank was lost its workers are free. The next message, if not this one, says it again.
            with suppress(RankLostError):
                while any(self._in_flight.values()):
                    self._hear(self.transport.receive())
                for worker in self._in_flight:
                    self.transport.send(worker, Tag.RELEASE)
            self._in_flight.clear()
            self._results.clear()

    def _give(self, index: int, task: Task) -> None:
        worker = min(self._in_flight, key=lambda rank: (self._in_flight[rank], rank), default=None)
        if worker is None or self._in_flight[worker] >= IN_FLIGHT:
            self._results[index] = timed(task, self.transport.clock)
            return
        place = f"{self.order.place}, {task.place}"
        self._in_flight[worker] += 1
        with self.transport.clock.stage(Stage.SEND):
            self.transport.send(worker, Tag.TASK, pack_task(index, place, task))

    def _hear_all(self) -> None:
        while (message := self.transport.poll()) is not None:
            self._hear(message)

    def _hear(self, message: Message) -> None:
        if message.tag is Tag.READY:
            self._in_flight[message.source] = 0
        elif message.tag is Tag.RESULT:
            with self.transport.clock.stage(Stage.RECEIVE):
                index, result = unpack_result(message)
            self._in_flight[message.source] -= 1
            self._results[index] = result
        else:
            raise AssertionError(f"a controller was told {message.tag.name} by rank {message.source}")

    def _tell(self, done: int) -> None:
        self._untold += done
        if is_worth_reporting(self._untold, self.order.bytes):
            self._tell_now()

    def _tell_now(self) -> None:
        if self._untold:
            self.transport.send(COORDINATOR, Tag.PROGRESS, pack(self._untold))
        self._untold = 0
