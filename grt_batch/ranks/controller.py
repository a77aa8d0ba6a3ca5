"""A controller: carries out an order, gives its tasks to workers, and puts their results together."""

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
"""Tasks that a worker has at a time: one in progress, and one to go on with."""


class Controller:
    """Carries out one order. Its workers come and go; without workers it does all tasks itself."""

    def __init__(self, transport: Transport, order: LeadOrder) -> None:
        self.transport = transport
        self.order = order
        self._unreported = 0
        self._in_flight: dict[int, int] = {}
        self._results: dict[int, Any] = {}

    def lead(self, config: Config) -> None:
        """Carry out the order and send its outcome to the coordinator."""
        store = Store(config.work / "store", self.transport.clock)
        outcome = self.order.carry_out(config, store, self.run_tasks, self._report)
        self._report_now()
        self.transport.send(COORDINATOR, Tag.DONE, pack_outcome(outcome))

    def run_tasks(self, tasks: Iterator[Task]) -> Iterator[Any]:
        """Yield the results in the order of the tasks. A task goes to a worker with room, or is done here.

        At the end, also after an error, no result is on its way and all workers are free.
        """
        given = yielded = 0
        more = True
        try:
            while more or yielded < given:
                self._handle_all()
                if yielded in self._results:
                    yield self._results.pop(yielded)
                    yielded += 1
                    continue
                # Results wait here for earlier ones; do not run far ahead of the slowest.
                ahead = given - yielded < (IN_FLIGHT + 1) * (len(self._in_flight) + 1)
                task = next(tasks, None) if more and ahead else None
                if task is not None:
                    self._give(given, task)
                    given += 1
                elif more and ahead:
                    more = False
                else:
                    self._handle(self.transport.receive())
        finally:
            # After the loss of a rank the workers are free anyway. The next message, if not this one, reports it again.
            with suppress(RankLostError):
                while any(self._in_flight.values()):
                    self._handle(self.transport.receive())
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

    def _handle_all(self) -> None:
        while (message := self.transport.poll()) is not None:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        if message.tag is Tag.READY:
            self._in_flight[message.source] = 0
        elif message.tag is Tag.RESULT:
            with self.transport.clock.stage(Stage.RECEIVE):
                index, result = unpack_result(message)
            self._in_flight[message.source] -= 1
            self._results[index] = result
        else:
            raise AssertionError(f"a controller got {message.tag.name} from rank {message.source}")

    def _report(self, done: int) -> None:
        self._unreported += done
        if is_worth_reporting(self._unreported, self.order.bytes):
            self._report_now()

    def _report_now(self) -> None:
        if self._unreported:
            self.transport.send(COORDINATOR, Tag.PROGRESS, pack(self._unreported))
        self._unreported = 0
