"""The serial executor carries out one order after another in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from grt_batch.core.config import Config
from grt_batch.core.timing import Clock
from grt_batch.pipeline.executor import SerialExecutor, stages_of
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.store.store import Store


@dataclass
class Twice:
    """A task that doubles a number."""

    number: int
    name: ClassVar[str] = "decode"
    place: str = "a number"

    @property
    def bytes(self) -> int:
        return self.number

    def run(self) -> int:
        return 2 * self.number


@dataclass
class Doubling:
    """An order of such tasks, which notes when it is carried out."""

    numbers: list[int]
    done: list[int]
    place: str = "numbers"

    @property
    def bytes(self) -> int:
        return sum(self.numbers)

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> list[int]:
        progress(self.bytes)
        self.done.append(self.bytes)
        return list(run_tasks(Twice(number) for number in self.numbers))


def test_orders_are_carried_out_in_their_order_when_they_are_asked_for(tmp_path: Path) -> None:
    executor, done, told = SerialExecutor(), list[int](), list[int]()
    orders = [Doubling([3, 1], done), Doubling([], done), Doubling([5], done)]
    outcomes = executor.carry_out(orders, Config(), Store(tmp_path), told.append)
    assert done == []
    assert next(outcomes) == [6, 2]
    assert done == told == [4]
    assert list(outcomes) == [[], [10]]
    assert told == [4, 0, 5]


def test_its_clock_counts_the_tasks(tmp_path: Path) -> None:
    executor = SerialExecutor()
    list(executor.carry_out([Doubling([3, 1], [])], Config(), Store(tmp_path), lambda _: None))
    (rank,) = executor.stages()
    assert (rank["rank"], rank["role"], rank["bytes"]["decode"]) == (0, "serial", 4)


def test_it_is_one_rank_which_is_never_lost() -> None:
    executor = SerialExecutor()
    assert executor.ranks_lost() == 0
    (memory,) = executor.peak_memory()
    assert memory > 0


def test_the_stages_of_a_rank_are_those_of_its_clock() -> None:
    snapshot = Clock().snapshot()
    assert stages_of(7, "worker", "node", snapshot) == {"rank": 7, "role": "worker", "host": "node", **snapshot}
