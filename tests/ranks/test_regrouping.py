"""Ranks are lost, whatever they were about to say: the others, threads without MPI, leave what one process leaves."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_ranks import SECONDS, Aborted, FakeTransport, Network

from grt_batch.core.config import Config
from grt_batch.core.errors import RankLost
from grt_batch.ranks.coordinator import Coordinator
from grt_batch.ranks.messages import Message, Tag, pack, unpack
from grt_batch.ranks.transport import RankLostError
from grt_batch.store.store import Store
from tests.ranks.test_coordinator import Expected, Group, content, orders_of, outcomes_of, serially

Parcel = tuple[int, int, int, bytes] | None


class Agreement(NamedTuple):
    """What all who lived agreed on: whether it is over, and what was lost until then."""

    over: bool
    age: int
    gone: frozenset[int]


@dataclass
class LossyNetwork(Network):
    """Loses as many ranks as it is told to, when they are about to send such a message, and says so to the others."""

    fatal: Tag = Tag.ASK
    losses: int = 1
    after: int = 0
    age: int = 0
    gone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.parcels: list[queue.SimpleQueue[Parcel]] = [queue.SimpleQueue() for _ in range(self.size)]
        self._there: dict[int, bool] = {}
        self._answers: dict[int, Agreement] = {}
        self._changed = threading.Condition()

    def is_lost(self, rank: int, tag: Tag) -> bool:
        """Whether this rank is lost here and now."""
        with self._changed:
            if tag is not self.fatal or rank == 0 or len(self.gone) == self.losses:
                return False
            self.after -= 1
            if self.after >= 0:
                return False
            self.gone.add(rank)
            self.age += 1
            for parcels in self.parcels:
                parcels.put(None)
            self._settle()
            return True

    def meet(self, rank: int, *, over: bool) -> Agreement:
        """What all who live agree on, once all have come. A rank that is lost before one of them is told is not in it:
        the next agreement is about that."""
        with self._changed:
            self._there[rank] = over
            self._settle()
            assert self._changed.wait_for(lambda: rank in self._answers, SECONDS), "a rank is stuck"
            return self._answers.pop(rank)

    def _settle(self) -> None:
        living = set(range(self.size)) - self.gone
        if self._there.keys() >= living:
            over = all(self._there[rank] for rank in living)
            self._answers |= dict.fromkeys(living, Agreement(over, self.age, frozenset(self.gone)))
            self._there.clear()
            self._changed.notify_all()


class LossyTransport(FakeTransport):
    """One rank's end of the queues. What was sent before all regrouped is not read any more."""

    network: LossyNetwork

    def __init__(self, network: LossyNetwork, rank: int) -> None:
        super().__init__(network, rank)
        self._age = 0
        self._gone: frozenset[int] = frozenset()
        self._agreed: Agreement | None = None

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        self._see()
        if self.network.is_lost(self.rank, tag):
            raise Aborted
        self.sent.append((to, tag))
        self.network.parcels[to].put((self._age, int(tag), self.rank, pack() if raw is None else raw))

    def receive(self) -> Message:
        while True:
            self._see()
            message = self._opened(self.network.parcels[self.rank].get(timeout=SECONDS))
            if message is not None:
                return message

    def poll(self) -> Message | None:
        self._see()
        try:
            return self._opened(self.network.parcels[self.rank].get_nowait())
        except queue.Empty:
            return None

    def finish(self, code: int = 0) -> None:
        self._see()
        if self.network.is_lost(self.rank, Tag.END):
            raise Aborted
        self._agreed = self.network.meet(self.rank, over=True)
        if not self._agreed.over:
            raise RankLostError
        super().finish(code)

    def regroup(self) -> Sequence[int]:
        agreed = self._agreed or self.network.meet(self.rank, over=False)
        self._agreed, self._age = None, agreed.age
        lost, self._gone = agreed.gone - self._gone, agreed.gone
        self.size = self.network.size - len(self._gone)
        return sorted(lost)

    def _see(self) -> None:
        if self.rank in self.network.gone:
            raise Aborted
        if self._age < self.network.age:
            raise RankLostError

    def _opened(self, parcel: Parcel) -> Message | None:
        if parcel is None or parcel[0] < self._age:
            return None
        _, tag, source, raw = parcel
        return unpack(tag, source, bytearray(raw))


class LossyGroup(Group):
    """A coordinator in this thread, and others in theirs, some of which are lost."""

    network: LossyNetwork

    def __init__(self, network: LossyNetwork) -> None:
        self.network = network
        transports = [LossyTransport(network, rank) for rank in range(network.size)]
        self.transports = list[FakeTransport](transports)
        self.coordinator = Coordinator(self.transports[0])
        self._threads = [threading.Thread(target=self._serve, args=[rank]) for rank in range(1, network.size)]
        for thread in self._threads:
            thread.start()

    def living_ended_in_peace(self) -> bool:
        return self.network.finished == set(range(self.network.size)) - self.network.gone


def config_of(work: Path) -> Config:
    """Blocks and tasks so small that there are many of them, even of small archives."""
    return Config(work=work, block_bytes=4000, aggregate_jobs=30)


@pytest.fixture(scope="module")
def small(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What one process makes of small uploads."""
    work = tmp_path_factory.mktemp("serial")
    orders = orders_of(good)
    return Expected(orders, serially(orders, config_of(work)), content(work))


def reduced(group: LossyGroup, small: Expected, work: Path) -> None:
    """Let the group reduce the uploads, and see that nothing is missing."""
    told: list[int] = []
    found = group.coordinator.carry_out(small.orders, config_of(work), Store(work / "store"), told.append)
    assert outcomes_of(found) == small.outcomes
    assert content(work) == small.content
    assert sum(told) == sum(order.bytes for order in small.orders)


TAGS = (Tag.ASK, Tag.READY, Tag.PROGRESS, Tag.TASK, Tag.RESULT, Tag.RELEASE, Tag.DONE)


@pytest.mark.parametrize("fatal", TAGS, ids=lambda tag: tag.name)
def test_what_a_lost_rank_was_at_the_others_do(
    small: Expected, tmp_path: Path, log: pytest.CaptureFixture[str], fatal: Tag
) -> None:
    group = LossyGroup(LossyNetwork(6, fatal=fatal, after=1))
    reduced(group, small, tmp_path)
    group.coordinator.end(0)
    group.join()
    assert group.living_ended_in_peace()
    (lost,) = group.network.gone
    assert group.coordinator.ranks_lost() == 1
    (line,) = [line for line in log.readouterr().err.splitlines() if "was lost" in line]
    assert f"rank {lost} " in line
    assert line.endswith("the run goes on with 5")
    if fatal in (Tag.TASK, Tag.RESULT, Tag.PROGRESS, Tag.DONE):
        assert any(f"at work on {order.place};" in line for order in small.orders)


def test_several_may_be_lost(small: Expected, tmp_path: Path, log: pytest.CaptureFixture[str]) -> None:
    group = LossyGroup(LossyNetwork(6, fatal=Tag.PROGRESS, losses=4))
    reduced(group, small, tmp_path)
    group.coordinator.end(0)
    group.join()
    assert group.coordinator.ranks_lost() == 4
    assert group.living_ended_in_peace()


def test_without_any_other_rank_the_run_ends(small: Expected, tmp_path: Path, log: pytest.CaptureFixture[str]) -> None:
    group = LossyGroup(LossyNetwork(3, fatal=Tag.PROGRESS, losses=2))
    with pytest.raises(RankLost, match="all ranks but the first"):
        reduced(group, small, tmp_path)
    group.coordinator.end(RankLost.exit_code)
    group.join()
    assert group.living_ended_in_peace()


@pytest.mark.parametrize("after", [0, 3])
def test_one_that_is_lost_at_the_end_keeps_nobody_from_it(
    small: Expected, tmp_path: Path, log: pytest.CaptureFixture[str], after: int
) -> None:
    group = LossyGroup(LossyNetwork(5, fatal=Tag.END, after=after))
    reduced(group, small, tmp_path)
    group.coordinator.end(0)
    group.join()
    assert len(group.network.gone) == 1
    assert group.living_ended_in_peace()
