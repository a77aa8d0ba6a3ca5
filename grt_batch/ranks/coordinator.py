"""Rank 0: hands out the orders, sends idle ranks to help, and collects what comes back."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from grt_batch.core.config import Config
from grt_batch.core.errors import RankLost
from grt_batch.core.logs import logger
from grt_batch.core.memory import peak_memory
from grt_batch.core.timing import Stage
from grt_batch.pipeline.executor import Made, Order, stages_of
from grt_batch.ranks.messages import Ask, Help, Message, RunSettings, Tag, pack
from grt_batch.ranks.scheduling import Load, controllers, most_loaded
from grt_batch.ranks.serialization import pack_lead, unpack_outcome
from grt_batch.ranks.transport import RankLostError, Transport
from grt_batch.store.store import Store


class Coordinator:
    """The executor over MPI. Idle ranks ask for work, and get an answer when there is some, or at the end."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.clock = transport.clock
        self.settings = RunSettings()
        self._idle: set[int] = set()
        self._asks: dict[int, Ask] = {}
        self._asked_at: dict[int, float] = {}
        self._lost = 0
        self._leading: dict[int, Order[Any]] = {}
        self._left: dict[int, int] = {}
        self._helping: dict[int, int] = {}

    def carry_out(
        self, orders: Sequence[Order[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Hand out the orders in sequence, and yield outcomes as they come. At the end all ranks have asked again."""
        todo = list(reversed(orders))
        while todo or self._leading or self._asks.keys() - self._idle:
            try:
                self._assign(todo, config)
                message = self.transport.receive()
            except RankLostError:
                self._regroup(todo, progress)
                continue
            if message.tag is Tag.ASK:
                self._ask(message)
            elif message.tag is Tag.PROGRESS:
                done = message.read(int)
                self._left[message.source] -= done
                progress(done)
            elif message.tag is Tag.DONE:
                del self._leading[message.source], self._left[message.source]
                yield unpack_outcome(message)

    def end(self, code: int) -> None:
        """Answer every rank that the run is over, once it asks. If a rank is still at work, end all with `code`."""
        if self._leading:
            self.transport.abort(code)
        while True:
            try:
                while len(self._idle) < self.transport.size - 1:
                    message = self.transport.receive()
                    if message.tag is Tag.ASK:
                        self._ask(message)
                for rank in sorted(self._idle):
                    self.transport.send(rank, Tag.END, pack(self.settings))
                return self.transport.finish(code)
            except RankLostError:
                self._note_losses()

    def peak_memory(self) -> list[int]:
        """Return the peak memory of each rank in bytes."""
        return [peak_memory(), *(ask.memory for ask in self._asks.values())]

    def stages(self) -> list[Mapping[str, Any]]:
        """Return the time that each rank spent at each stage so far. A rank waits since it has asked."""
        ranks = [stages_of(self.transport.rank, "coordinator", socket.gethostname(), self.clock.snapshot())]
        for rank, ask in sorted(self._asks.items()):
            snapshot = ask.snapshot
            waited = snapshot["seconds"].get(Stage.WAITING, 0.0) + time.perf_counter() - self._asked_at[rank]
            seconds = snapshot["seconds"] | {Stage.WAITING.value: round(waited, 4)}
            ranks.append(stages_of(rank, "worker", ask.host, snapshot | {"seconds": seconds}))
        return ranks

    def ranks_lost(self) -> int:
        """Return the number of lost ranks that rank 0 knows of."""
        return self._lost

    def _regroup(self, todo: list[Order[Any]], progress: Callable[[int], None]) -> None:
        """Take back all orders, to be given out again in the same sequence, and the progress reported for them.

        Raises RankLost if no other rank is left."""
        for rank, order in self._leading.items():
            progress(self._left[rank] - order.bytes)
        todo += reversed(self._leading.values())
        self._note_losses()
        if self.transport.size == 1:
            raise RankLost(what="all ranks but the first")

    def _note_losses(self) -> None:
        """Go on with the ranks that are left: each of them will ask again."""
        for rank in self.transport.regroup():
            self._lost += 1
            order = self._leading.get(self._helping.get(rank, rank))
            work = f" at work on {order.place}" if order else ""
            ask = self._asks.pop(rank, None)
            host = f" on {ask.host}" if ask else ""
            logger.warning("rank %d%s was lost%s; the run goes on with %d", rank, host, work, self.transport.size)
        self._idle.clear()
        for given in (self._leading, self._left, self._helping):
            given.clear()

    def _ask(self, message: Message) -> None:
        self._idle.add(message.source)
        self._helping.pop(message.source, None)
        self._asks[message.source] = message.read(Ask)
        self._asked_at[message.source] = time.perf_counter()

    def _assign(self, todo: list[Order[Any]], config: Config) -> None:
        """Give work to idle ranks: orders first, then the role of a worker where there are bytes to read."""
        helped = Counter(self._helping.values())
        for rank in sorted(self._idle):
            if todo and len(self._leading) < controllers(self.transport.size, len(self._leading) + len(todo)):
                order = todo.pop()
                self._leading[rank], self._left[rank] = order, order.bytes
                self.transport.send(rank, Tag.LEAD, pack_lead(order, config, self.settings))
            else:
                loads = {
                    lead: Load(left, helped[lead]) for lead, left in self._left.items() if self._leading[lead].bytes
                }
                leader = most_loaded(loads)
                if leader is None:
                    return
                self._helping[rank] = leader
                helped[leader] += 1
                self.transport.send(rank, Tag.HELP, pack(Help(self.settings, leader)))
            self._idle.remove(rank)
