"""Ranks in virtual time: the coordinator is the program's own, and the others do as `grt_batch.ranks.worker` and
`grt_batch.ranks.controller` do, but instead of computing they let the seconds pass that the model says.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from bench.machine import Machine
from grt_batch.core.config import Config
from grt_batch.core.timing import Clock, Stage
from grt_batch.ledger.account import Account
from grt_batch.pipeline.cost_model import SHARES, Model, Work
from grt_batch.pipeline.executor import Order
from grt_batch.pipeline.merge import MergeOrder, MergeOutcome
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.pipeline.render import Rendering, RenderOrder, RenderOutcome
from grt_batch.ranks.controller import IN_FLIGHT
from grt_batch.ranks.coordinator import Coordinator
from grt_batch.ranks.messages import Ask, Help, Message, Tag, pack, unpack
from grt_batch.ranks.scheduling import is_worth_reporting
from grt_batch.ranks.serialization import pack_outcome, unpack_lead
from grt_batch.store.store import Store

_LITTLE = 200
"""Bytes of a message without buffers."""
_SOME_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class SimulatedMessage:
    """A message: packed where the coordinator is its sender or receiver; a task with its number between the others."""

    tag: Tag
    source: int
    content: Any = None

    def unpacked(self) -> Message:
        """Return the message as the program reads it."""
        return unpack(self.tag, self.source, bytearray(self.content))


@dataclass(frozen=True)
class SimulatedTask:
    """A task: what it costs who makes it, who does it and who takes its result in, and the sizes of its messages."""

    made: tuple[tuple[Stage, float], ...]
    done: tuple[Stage, float]
    taken: tuple[Stage, float]
    bytes: float
    result_bytes: float
    progress: float = 0.0


Passing = Generator[tuple[Stage, float] | None, None, Any]
"""What a rank does: seconds at a stage, or None where it waits for a message."""


@dataclass
class SimulatedRun:
    """What became of a simulated run: its seconds, those until the first archive was handed out, until all archives
    were reduced and until all was merged, and by rank and stage the seconds that it was busy; of these those of
    reducing."""

    seconds: float
    begun: float
    reduced: float
    merged: float
    busy: dict[int, Counter[Stage]]
    busy_reducing: dict[int, float]

    @property
    def idle(self) -> float:
        """The share of the workers' time that they waited while there were archives."""
        workers = [seconds for rank, seconds in self.busy_reducing.items() if rank]
        return 1 - sum(workers) / ((self.reduced - self.begun) * len(workers)) if workers else 0.0

    @property
    def coordinating(self) -> float:
        """The share of that time that rank 0 was busy."""
        return self.busy_reducing[0] / (self.reduced - self.begun)

    @property
    def cpu_seconds(self) -> float:
        """The seconds of all ranks."""
        return sum(sum(stages.values()) for stages in self.busy.values())


@dataclass
class Simulation:
    """A run of some work with so many ranks."""

    work: Work
    ranks: int
    model: Model = field(default_factory=Model)
    cores: float = math.inf
    storage: float = math.inf
    """bytes of tar.gz that all ranks together can read in a second"""
    config: Config = field(default_factory=Config)

    def __post_init__(self) -> None:
        readers = self.storage / self.model.costs[Stage.READ].per_second
        self.machine = Machine(self.cores, readers)
        self.inboxes: list[deque[SimulatedMessage]] = [deque() for _ in range(self.ranks)]
        self.busy: dict[int, Counter[Stage]] = {rank: Counter() for rank in range(self.ranks)}
        self._listening: set[int] = set()
        self._warm: set[int] = set()
        self._coordinator = Coordinator(SimulatedTransport(self))
        self._lives: dict[int, Passing] = {rank: self._life(rank) for rank in range(1, self.ranks)}

    def run(self) -> SimulatedRun:
        """Let it happen."""
        self.spend(Stage.PLAN, self.model.prepare)
        begun = self.machine.now
        if self.ranks == 1:
            self.spend(Stage.LEAD, self.model.warm + sum(map(self.model.alone, self.work.archives)))
        else:
            for rank in self._lives:
                self._go_on(rank)
            for _ in self._carry_out(self._orders()):
                self.spend(Stage.REDUCE, self.model.seconds_of(Stage.REDUCE, 0))
        reduced, busy = self.machine.now, {rank: stages.total() for rank, stages in self.busy.items()}
        busy[0] -= self.model.prepare
        self._merge()
        merged = self.machine.now
        self._publish()
        return SimulatedRun(self.machine.now, begun, reduced, merged, self.busy, busy)

    def spend(self, stage: Stage, seconds: float) -> None:
        """Let rank 0 be busy, and the others go on."""
        done: list[bool] = []
        self.busy[0][stage] += seconds
        self.machine.compute(stage, seconds, lambda: done.append(True))
        self.machine.run(lambda: bool(done))

    def send(self, source: int, to: int, tag: Tag, content: Any = None) -> None:
        """Send a message, which arrives a moment later. What the coordinator sends or gets is packed."""
        self.machine.after(self.model.latency, partial(self._deliver, to, SimulatedMessage(tag, source, content)))

    def _orders(self) -> list[ReduceOrder]:
        """The largest first, as in a run."""
        orders = [
            ReduceOrder(instance_id, str(number), "", size, (), _SOME_DAY)
            for instance_id, sizes in self.work.new.items()
            for number, size in enumerate(sizes)
        ]
        return sorted(orders, key=lambda order: (-order.bytes, order.instance_id, order.archive))

    def _carry_out(self, orders: Sequence[Order[Any]]) -> Iterator[Any]:
        """By the coordinator of the program."""
        return self._coordinator.carry_out(orders, self.config, Store(self.config.work), lambda _: None)

    def _merge(self) -> None:
        """Merge what each module counts in each instance."""
        each = self.model.merging(self.work)
        if self.ranks == 1:
            self.spend(Stage.MERGE, sum(each.values()))
        else:
            deque(self._carry_out([MergeOrder(name, module, (), ()) for module in SHARES for name in each]), 0)

    def _publish(self) -> None:
        """Make the tables of each module; and what rank 0 does with them: reports, and one COPY after another, beside
        all else, which takes a core of its own."""
        if not any(True for _ in self.work.archives):
            return
        size, copies = self.model.tables(self.work.instances), deque[float]()

        def copy() -> None:
            self.machine.compute(Stage.COPY, self.model.seconds_of(Stage.COPY, copies[0]), copied)

        def copied() -> None:
            copies.popleft()
            if copies:
                copy()

        for module in self._rendered(size):
            copies.append(size * SHARES[module])
            if len(copies) == 1:
                copy()
            self.spend(Stage.TSV, self.model.seconds_of(Stage.TSV, copies[-1]))
        self.machine.run(lambda: not copies)
        self.spend(Stage.SWAP, self.model.seconds_of(Stage.SWAP, 0))

    def _rendered(self, size: float) -> Iterator[str]:
        """The modules whose tables are made, the smallest first, as they come."""
        if self.ranks == 1:
            for module, share in reversed(SHARES.items()):
                self.spend(Stage.TABLES, self.model.seconds_of(Stage.TABLES, size * share))
                yield module
            return
        for outcome in self._carry_out(
            [RenderOrder(module, (), _SOME_DAY, {}, (), Rendering("")) for module in reversed(SHARES)]
        ):
            self.spend(Stage.RECEIVE, self.model.seconds_of(Stage.RECEIVE, size * SHARES[outcome.module]))
            yield outcome.module

    def _deliver(self, to: int, message: SimulatedMessage) -> None:
        self.inboxes[to].append(message)
        if to in self._listening:
            self._listening.remove(to)
            self._go_on(to)

    def _go_on(self, rank: int) -> None:
        """Let a rank do what it does next."""
        for wish in self._lives[rank]:
            if wish is not None and wish[1] > 0:
                stage, seconds = wish
                self.busy[rank][stage] += seconds
                self.machine.compute(stage, seconds, partial(self._go_on, rank))
                return
            if wish is None and not self.inboxes[rank]:
                self._listening.add(rank)
                return

    def _life(self, rank: int) -> Passing:
        """As `Rank`."""
        roles = {Tag.LEAD: self._lead, Tag.HELP: self._help}
        while True:
            self.send(rank, 0, Tag.ASK, pack(Ask(0, "", {})))
            message = yield from self._receive(rank)
            if message.tag is Tag.END:
                return
            if rank not in self._warm:
                self._warm.add(rank)
                yield Stage.DECODE, self.model.warm
            yield from roles[message.tag](rank, message)

    def _receive(self, rank: int) -> Generator[tuple[Stage, float] | None, None, SimulatedMessage]:
        """Return a message. A worker that arrives after the order is done gets RELEASE."""
        while True:
            while not self.inboxes[rank]:
                yield None
            message = self.inboxes[rank].popleft()
            yield Stage.RECEIVE, self.model.seconds_of(Stage.RECEIVE, _LITTLE)
            if message.tag is not Tag.READY:
                return message
            self.send(rank, message.source, Tag.RELEASE)

    def _help(self, rank: int, message: SimulatedMessage) -> Passing:
        leader = message.unpacked().read(Help).leader
        self.send(rank, leader, Tag.READY)
        while (message := (yield from self._receive(rank))).tag is not Tag.RELEASE:
            _, task = message.content
            yield Stage.RECEIVE, self.model.seconds_of(Stage.RECEIVE, task.bytes)
            yield task.done
            yield Stage.SEND, self.model.seconds_of(Stage.SEND, task.result_bytes)
            self.send(rank, leader, Tag.RESULT, message.content)

    def _lead(self, rank: int, message: SimulatedMessage) -> Passing:
        """Act as `Controller.lead`."""
        order, _, _ = unpack_lead(message.unpacked())
        match order:
            case ReduceOrder():
                yield from self._reduce(rank, order)
            case MergeOrder():
                yield from self._merge_one(rank, order)
            case RenderOrder():
                yield from self._render(rank, order)

    def _merge_one(self, rank: int, order: MergeOrder) -> Passing:
        yield Stage.MERGE, self.model.merging(self.work)[order.instance_id] * SHARES[order.module]
        self.send(rank, 0, Tag.DONE, pack_outcome(MergeOutcome()))

    def _render(self, rank: int, order: RenderOrder) -> Passing:
        size = self.model.tables(self.work.instances) * SHARES[order.module]
        yield Stage.TABLES, self.model.seconds_of(Stage.TABLES, size)
        yield Stage.SEND, self.model.seconds_of(Stage.SEND, size)
        self.send(rank, 0, Tag.DONE, pack_outcome(RenderOutcome(order.module, ())))

    def _reduce(self, rank: int, order: ReduceOrder) -> Passing:
        """Act as `reduce_archive`."""
        model = self.model
        text = model.text(order.bytes)
        yield from self._run_tasks(rank, order.bytes, self._decoding(order.bytes))
        yield Stage.JOIN, model.seconds_of(Stage.JOIN, text)
        yield Stage.STORE, model.seconds_of(Stage.STORE, text)
        yield from self._run_tasks(rank, order.bytes, self._aggregating(order.bytes))
        outcome = ReduceOutcome(order.instance_id, order.archive, "", Account("", order.bytes))
        self.send(rank, 0, Tag.DONE, pack_outcome(outcome))

    def _decoding(self, tar: int) -> Iterator[SimulatedTask]:
        model, text = self.model, self.model.text(tar)
        blocks = math.ceil(text / self.config.block_bytes)
        for _ in range(blocks):
            share = text / blocks
            read = (Stage.READ, model.seconds_of(Stage.READ, tar) / blocks)
            unpacked = (Stage.GUNZIP, model.seconds_of(Stage.GUNZIP, text) / blocks)
            yield SimulatedTask(
                made=(read, unpacked),
                done=(Stage.DECODE, model.seconds_of(Stage.DECODE, text) / blocks),
                taken=(Stage.LEAD, model.seconds_of(Stage.LEAD, text) / blocks),
                bytes=share,
                result_bytes=share * model.decoded_per_text,
                progress=tar / blocks,
            )

    def _aggregating(self, tar: int) -> Iterator[SimulatedTask]:
        model, text = self.model, self.model.text(tar)
        pieces = math.ceil(text / (self.config.aggregate_jobs * model.text_per_job)) or 1
        for _ in range(pieces):
            yield SimulatedTask(
                made=(),
                done=(Stage.AGGREGATE, model.seconds_of(Stage.AGGREGATE, text / pieces)),
                taken=(Stage.LEAD, 0.0),
                bytes=text / pieces * model.records_per_text,
                result_bytes=model.partials(tar / pieces),
            )

    def _run_tasks(self, rank: int, size: int, tasks: Iterator[SimulatedTask]) -> Passing:
        """As `Controller.run_tasks`."""
        inbox, in_flight, results = self.inboxes[rank], Counter[int](), dict[int, SimulatedTask]()
        given, taken, more, untold = 0, 0, True, 0.0
        while more or taken < given:
            while inbox:
                yield from self._hear(inbox.popleft(), in_flight, results)
            if taken in results:
                yield results.pop(taken).taken
                taken += 1
                continue
            ahead = given - taken < (IN_FLIGHT + 1) * (len(in_flight) + 1)
            task = next(tasks, None) if more and ahead else None
            if task is not None:
                yield from task.made
                untold += task.progress
                if task.progress and is_worth_reporting(int(untold), size):
                    self.send(rank, 0, Tag.PROGRESS, pack(int(untold)))
                    untold = 0.0
                worker = min(in_flight, key=lambda other: (in_flight[other], other), default=None)
                if worker is None or in_flight[worker] >= IN_FLIGHT:
                    yield task.done
                    results[given] = task
                else:
                    in_flight[worker] += 1
                    yield Stage.SEND, self.model.seconds_of(Stage.SEND, task.bytes)
                    self.send(rank, worker, Tag.TASK, (given, task))
                given += 1
            elif more and ahead:
                more = False
            elif not inbox:
                yield None
        if untold:
            self.send(rank, 0, Tag.PROGRESS, pack(int(untold)))
        for worker in in_flight:
            self.send(rank, worker, Tag.RELEASE)

    def _hear(self, message: SimulatedMessage, in_flight: Counter[int], results: dict[int, SimulatedTask]) -> Passing:
        if message.tag is Tag.READY:
            in_flight[message.source] = 0
        else:
            index, task = message.content
            results[index] = task
            in_flight[message.source] -= 1
            yield Stage.RECEIVE, self.model.seconds_of(Stage.RECEIVE, task.result_bytes)


class SimulatedTransport:
    """The transport of the coordinator: to wait for a message is to let time pass."""

    rank = 0

    def __init__(self, simulation: Simulation) -> None:
        self.size = simulation.ranks
        self.clock = Clock()
        self._simulation = simulation

    def send(self, to: int, tag: Tag, raw: bytes) -> None:
        """Pack and send."""
        simulation = self._simulation
        simulation.spend(Stage.SEND, simulation.model.seconds_of(Stage.SEND, len(raw)))
        simulation.send(0, to, tag, raw)

    def receive(self) -> Message:
        """The next message."""
        simulation = self._simulation
        simulation.machine.run(lambda: bool(simulation.inboxes[0]))
        simulation.spend(Stage.RECEIVE, simulation.model.seconds_of(Stage.RECEIVE, _LITTLE))
        return simulation.inboxes[0].popleft().unpacked()
