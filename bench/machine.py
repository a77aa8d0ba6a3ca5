"""Virtual time: computations share cores, and reading shares the storage."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from grt_batch.core.timing import Stage


class Pool:
    """What computations share evenly: at most `capacity` of them run at full speed at a time."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._served = 0.0
        self._running: list[tuple[float, int, Callable[[], None]]] = []

    def add(self, seconds: float, number: int, then: Callable[[], None]) -> None:
        """Begin something of so many seconds at full speed."""
        heappush(self._running, (self._served + seconds, number, then))

    def next_in(self) -> float:
        """The seconds until the first of them is done."""
        return (self._running[0][0] - self._served) * self._slowness() if self._running else math.inf

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        if self._running:
            self._served += seconds / self._slowness()

    def pop(self) -> Callable[[], None]:
        """What comes after the first of them, which is done."""
        self._served, _, then = heappop(self._running)
        return then

    def _slowness(self) -> float:
        return max(1.0, len(self._running) / self.capacity)


class Machine:
    """Virtual time, in seconds. Events at equal times come in the order in which they were requested."""

    def __init__(self, cores: float, storage: float) -> None:
        """`storage` is how many ranks can read at full speed at a time."""
        self.now = 0.0
        self.cores, self.storage = Pool(cores), Pool(storage)
        self._numbers = count()
        self._later: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        """Do it in so many seconds."""
        heappush(self._later, (self.now + seconds, next(self._numbers), then))

    def compute(self, stage: Stage, seconds: float, then: Callable[[], None]) -> None:
        """Do it when a core, or the storage, has given it so many seconds."""
        (self.storage if stage is Stage.READ else self.cores).add(seconds, next(self._numbers), then)

    def run(self, done: Callable[[], bool]) -> None:
        """Let time pass until it is done."""
        while not done():
            pools = (self.cores, self.storage)
            waits = [pool.next_in() for pool in pools]
            passed = min(*waits, self._later[0][0] - self.now if self._later else math.inf)
            if passed == math.inf:
                raise RuntimeError("every rank waits, and no message is under way")
            for pool in pools:
                pool.pass_(passed)
            self.now += passed
            if passed in waits:
                pools[waits.index(passed)].pop()()
            else:
                heappop(self._later)[2]()
