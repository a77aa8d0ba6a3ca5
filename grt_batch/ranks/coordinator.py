"""Rank 0: hands out the orders, sends idle ranks to help, and collects what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grt_batch.config import Config
from grt_batch.memory import peak_memory
from grt_batch.partials import Store
from grt_batch.ranks.codecs import pack_lead, unpack_outcome
from grt_batch.ranks.layout import Load, controllers, neediest
from grt_batch.ranks.messages import Message, Tag, pack
from grt_batch.ranks.wire import Wire
from grt_batch.reduction import AnyOrder, Made


class Coordinator:
    """The crew of an MPI job. Ranks ask when they are idle; they are answered when there is work, or at the end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.run_id = ""
        self._idle: set[int] = set()
        self._memory: dict[int, int] = {}
        self._leading: dict[int, AnyOrder[Any]] = {}
        self._left: dict[int, int] = {}
        self._helping: dict[int, int] = {}

    def carry_out(
        self, orders: Sequence[AnyOrder[Made]], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Made]:
        """Hand out the orders, in their order; outcomes come in any order."""
        todo = list(reversed(orders))
        while todo or self._leading:
            self._assign(todo, config)
            message = self.wire.receive()
            if message.tag is Tag.ASK:
                self._ask(message)
            elif message.tag is Tag.PROGRESS:
                done = message.header["bytes"]
                self._left[message.source] -= done
                progress(done)
            elif message.tag is Tag.DONE:
                del self._leading[message.source], self._left[message.source]
                yield unpack_outcome(message)

    def end(self, code: int) -> None:
        """Tell every rank, as it asks, that the run is over. Where one is still at work, all are ended with `code`."""
        if self._leading:
            self.wire.abort(code)
        while len(self._idle) < self.wire.size - 1:
            message = self.wire.receive()
            if message.tag is Tag.ASK:
                self._ask(message)
        for rank in sorted(self._idle):
            self.wire.send(rank, Tag.END)
        self.wire.finish()

    def peak_memory(self) -> list[int]:
        """The peak memory of each rank in bytes."""
        return [peak_memory(), *self._memory.values()]

    def _ask(self, message: Message) -> None:
        self._idle.add(message.source)
        self._helping.pop(message.source, None)
        self._memory[message.source] = message.header["memory"]

    def _assign(self, todo: list[AnyOrder[Any]], config: Config) -> None:
        """Give idle ranks something to do: orders first, then helping where there are bytes to read."""
        for rank in sorted(self._idle):
            if todo and len(self._leading) < controllers(self.wire.size, len(self._leading) + len(todo)):
                order = todo.pop()
                self._leading[rank], self._left[rank] = order, order.bytes
                self.wire.send(rank, Tag.LEAD, pack_lead(order, config, self.run_id))
            else:
                helped = list(self._helping.values())
                loads = {
                    lead: Load(left, helped.count(lead))
                    for lead, left in self._left.items()
                    if self._leading[lead].bytes
                }
                leader = neediest(loads)
                if leader is None:
                    return
                self._helping[rank] = leader
                self.wire.send(rank, Tag.HELP, pack({"leader": leader}))
            self._idle.remove(rank)
