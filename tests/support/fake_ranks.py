"""Ranks whose messages go through queues, without MPI."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

import grt_batch.ranks.controller
import grt_batch.ranks.serialization  # noqa: F401  (imported late by ranks: here all are in one process)
from grt_batch.core.timing import Clock
from grt_batch.ranks.messages import Message, Tag, pack, unpack

SECONDS = 600
"""Nobody waits so long unless a rank is stuck."""


Sent = tuple[int, int, bytes]


class Aborted(BaseException):
    """What MPI's Abort does to a rank."""


@dataclass
class Network:
    """The queues of all ranks; `aborted` are the codes that ranks ended the run with, `finished` who left in peace."""

    size: int
    aborted: list[int] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.queues: list[queue.SimpleQueue[Sent | None]] = [queue.SimpleQueue() for _ in range(self.size)]


class FakeTransport:
    """One rank's end of the queues; what it sent is kept."""

    def __init__(self, network: Network, rank: int) -> None:
        self.network = network
        self.rank = rank
        self.size = network.size
        self.sent: list[tuple[int, Tag]] = []
        self.clock = Clock()

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        self.sent.append((to, tag))
        self.network.queues[to].put((int(tag), self.rank, pack() if raw is None else raw))

    def receive(self) -> Message:
        return self._message(self.network.queues[self.rank].get(timeout=SECONDS))

    def poll(self) -> Message | None:
        try:
            return self._message(self.network.queues[self.rank].get_nowait())
        except queue.Empty:
            return None

    def finish(self, code: int = 0) -> None:
        self.network.finished.add(self.rank)

    def abort(self, code: int) -> None:
        self.network.aborted.append(code)
        for other in self.network.queues:
            other.put(None)
        raise Aborted

    def _message(self, sent: Sent | None) -> Message:
        if sent is None:
            raise Aborted
        tag, source, raw = sent
        return unpack(tag, source, bytearray(raw))
