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
from grt_batch.ranks.messages import Message, Tag, pack
from grt_batch.ranks.scheduling import Load, controllers, most_loaded
from grt_batch.ranks.serialization import Ask, Help, RunSettings, pack_lead, unpack_outcome
from grt_batch.ranks.transport import RankLostError, Transport
from grt_batch.store.store import Store


class Coordinator:
    """The executor of an MPI job. Ranks ask when they are idle; they are answered when there is work, or at the end."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.clock = transport.clock
        self.settings = RunSettings()
        self._idle: set[int] = set()
        self._said: dict[int, Ask] = {}
        self._asked: dict[int, float] = {}
        self._lost = 0
        self._leading: dict[int, Order[Any]] = {}
        self._left: dict[int, int] = {}
        self._helping: dict[int, int] = {}

    def carry_out(
        self, orders: Sequence[Order[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Hand out the orders, in their order; outcomes come in any order. At the end all ranks have asked again."""
        todo = list(reversed(orders))
        while todo or self._leading or self._said.keys() - self._idle:
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
        """Tell every rank, as it asks, that the run is over, and where its profile goes. Where one is still at work,
        all are ended with `code`."""
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
        """The peak memory of each rank in bytes."""
        return [peak_memory(), *(said.memory for said in self._said.values())]

    def stages(self) -> list[Mapping[str, Any]]:
        """What each rank that has asked did with its time up to now: since then it waits."""
        ranks = [stages_of(self.transport.rank, "coordinator", socket.gethostname(), self.clock.snapshot())]
        for rank, said in sorted(self._said.items()):
            told = said.snapshot
            waited = told["seconds"].get(Stage.WAITING, 0.0) + time.perf_counter() - self._asked[rank]
            seconds = told["seconds"] | {Stage.WAITING.value: round(waited, 4)}
            ranks.append(stages_of(rank, "worker", said.host, told | {"seconds": seconds}))
        return ranks

    def ranks_lost(self) -> int:
        """How many ranks were lost, as far as rank 0 has been told."""
        return self._lost

    def _regroup(self, todo: list[Order[Any]], progress: Callable[[int], None]) -> None:
        """Take back what was given to any rank, to be given again in the same order, and what was told of it. Raises
        RankLost."""
        for rank, order in self._leading.items():
            progress(self._left[rank] - order.bytes)
        todo += reversed(self._leading.values())
        self._note_losses()
        if self.transport.size == 1:
            raise RankLost(what="all ranks but the first")

    def _note_losses(self) -> None:
        """Begin anew with the ranks that are left: each of them will ask."""
        for rank in self.transport.regroup():
            self._lost += 1
            order = self._leading.get(self._helping.get(rank, rank))
            doing = f" at work on {order.place}" if order else ""
            said = self._said.pop(rank, None)
            host = f" on {said.host}" if said else ""
            logger.warning("rank %d%s was lost%s; the run goes on with %d", rank, host, doing, self.transport.size)
        self._idle.clear()
        for given in (self._leading, self._left, self._helping):
            given.clear()

    def _ask(self, message: Message) -> None:
        self._idle.add(message.source)
        self._helping.pop(message.source, None)
        self._said[message.source] = message.read(Ask)
        self._asked[message.source] = time.perf_counter()

    def _assign(self, todo: list[Order[Any]], config: Config) -> None:
        """Give idle ranks something to do: orders first, then helping where there are bytes to read."""
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
