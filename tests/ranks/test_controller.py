"""A controller gives tasks to workers as they come, and has the results in the order of the tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from build import HEADERS, line
from fake_ranks import FakeTransport, Network

from grt_batch.core.config import Config
from grt_batch.pipeline.merge import MergeOrder, MergeOutcome
from grt_batch.pipeline.tasks import DecodeTask, RunTasks
from grt_batch.ranks.controller import IN_FLIGHT, Controller
from grt_batch.ranks.messages import Message, Tag, unpack
from grt_batch.ranks.serialization import pack_result, unpack_outcome, unpack_task
from grt_batch.schema.members import Kind, layout_of
from grt_batch.store.store import Store
from grt_batch.uploads.archive import Block

ORDER = MergeOrder("a", "tools", (), ())


def task(lines: int) -> DecodeTask:
    """A task whose result tells which one it was."""
    data = b"".join(line(i, "tool", "1", "ok", "2024-06-02 10:00:00") for i in range(lines))
    return DecodeTask(Block(layout_of(Kind.JOBS, [HEADERS[Kind.JOBS].rstrip(b"\n")])[0], 0, data), lines, ())


class Helped(FakeTransport):
    """Rank 1, whose workers answer only when it waits for them, the task given last first."""

    def __init__(self, workers: int) -> None:
        super().__init__(Network(2 + workers), 1)
        self.answers: list[tuple[int, bytes]] = []
        self.most: Counter[int] = Counter()
        for worker in range(2, 2 + workers):
            FakeTransport(self.network, worker).send(1, Tag.READY)

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        super().send(to, tag, raw)
        if tag is Tag.TASK and raw is not None:
            index, _, given = unpack_task(unpack(int(tag), 1, bytearray(raw)))
            self.answers.append((to, pack_result(index, given, given.run())))
            self.most[to] = max(self.most[to], sum(worker == to for worker, _ in self.answers))

    def receive(self) -> Message:
        if self.answers and self.network.queues[1].empty():
            worker, raw = self.answers.pop()
            FakeTransport(self.network, worker).send(1, Tag.RESULT, raw)
        return super().receive()

    def tags(self) -> Counter[Tag]:
        return Counter(tag for _, tag in self.sent)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    transport = Helped(workers)
    results = Controller(transport, ORDER).run_tasks(task(lines) for lines in range(20))
    assert [decoded.lines for decoded in results] == list(range(20))
    assert transport.tags()[Tag.RELEASE] == workers
    assert transport.tags().keys() <= {Tag.TASK, Tag.RELEASE}
    assert all(most == IN_FLIGHT for most in transport.most.values())
    assert len(transport.most) == workers


def test_without_tasks_workers_are_free_at_once() -> None:
    transport = Helped(2)
    assert list(Controller(transport, ORDER).run_tasks(iter(()))) == []
    assert transport.tags() == {Tag.RELEASE: 2}


def test_after_an_error_nothing_is_on_its_way_and_all_workers_are_free() -> None:
    def tasks() -> Iterator[DecodeTask]:
        yield from map(task, range(3))
        raise ZeroDivisionError

    transport = Helped(2)
    with pytest.raises(ZeroDivisionError):
        list(Controller(transport, ORDER).run_tasks(tasks()))
    assert transport.answers == []
    assert transport.tags() == {Tag.TASK: 3, Tag.RELEASE: 2}


def test_a_controller_that_is_told_nonsense_says_so() -> None:
    transport = Helped(0)
    FakeTransport(transport.network, 0).send(1, Tag.END)
    with pytest.raises(AssertionError, match="a controller got END from rank 0"):
        list(Controller(transport, ORDER).run_tasks(iter([task(1)])))


class Telling(MergeOrder):
    """Tells of its bytes one after another."""

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> MergeOutcome:
        for _ in range(self.bytes):
            progress(1)
        return MergeOutcome(("a key",))


def test_progress_is_told_now_and_then_and_the_outcome_at_the_end(tmp_path: Path) -> None:
    transport = Helped(0)
    Controller(transport, Telling("a", "tools", (), (), bytes=10)).lead(Config(work=tmp_path))
    messages = []
    while not transport.network.queues[0].empty():
        sent = transport.network.queues[0].get()
        assert sent is not None
        messages.append(unpack(sent[0], sent[1], bytearray(sent[2])))
    *told, done = messages
    assert {message.tag for message in told} == {Tag.PROGRESS}
    assert sum(message.read(int) for message in told) == 10
    assert len(told) < 10
    assert done.tag is Tag.DONE
    assert unpack_outcome(done) == MergeOutcome(("a key",))
