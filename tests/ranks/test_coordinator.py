"""The ranks without MPI: threads that talk through queues do what one process does, and end whatever happens."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
from build import HEADERS, line, write_archive

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, RankLost
from grt_batch.core.timing import Clock
from grt_batch.frames.ipc import unpack_frames
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import PARTIAL
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome, reduce_archive
from grt_batch.pipeline.tasks import DecodeTask, Task, run_here, timed
from grt_batch.ranks.coordinator import Coordinator
from grt_batch.ranks.messages import Message, Tag, pack, unpack
from grt_batch.ranks.scheduling import controllers
from grt_batch.ranks.serialization import pack_task
from grt_batch.ranks.worker import Rank
from grt_batch.schema.members import Kind, layout_of
from grt_batch.store.store import Store
from grt_batch.uploads.archive import Block
from grt_batch.uploads.scan import scan

SECONDS = 60
"""Nobody waits so long unless a rank is stuck."""
Sent = tuple[int, int, bytes]


class Aborted(BaseException):
    """What MPI's Abort does to a rank."""


@dataclass
class Office:
    """The queues of all ranks; `aborted` are the codes that ranks ended the run with, `finished` who left in peace."""

    size: int
    aborted: list[int] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.queues: list[queue.SimpleQueue[Sent | None]] = [queue.SimpleQueue() for _ in range(self.size)]


class FakeWire:
    """One rank's end of the queues; what it sent is kept."""

    def __init__(self, office: Office, rank: int) -> None:
        self.office = office
        self.rank = rank
        self.size = office.size
        self.sent: list[tuple[int, Tag]] = []
        self.clock = Clock()

    def send(self, to: int, tag: Tag, raw: bytes | None = None) -> None:
        self.sent.append((to, tag))
        self.office.queues[to].put((int(tag), self.rank, pack({}) if raw is None else raw))

    def receive(self) -> Message:
        return self._message(self.office.queues[self.rank].get(timeout=SECONDS))

    def poll(self) -> Message | None:
        try:
            return self._message(self.office.queues[self.rank].get_nowait())
        except queue.Empty:
            return None

    def finish(self, code: int = 0) -> None:
        self.office.finished.add(self.rank)

    def abort(self, code: int) -> None:
        self.office.aborted.append(code)
        for other in self.office.queues:
            other.put(None)
        raise Aborted

    def _message(self, sent: Sent | None) -> Message:
        if sent is None:
            raise Aborted
        tag, source, raw = sent
        return unpack(tag, source, bytearray(raw))


class Crew:
    """A coordinator in this thread, and `ranks` others in threads of their own."""

    def __init__(self, ranks: int) -> None:
        self.office = Office(1 + ranks)
        self.wires = [FakeWire(self.office, rank) for rank in range(1 + ranks)]
        self.coordinator = Coordinator(self.wires[0])
        self._threads = [threading.Thread(target=self._serve, args=[rank]) for rank in range(1, 1 + ranks)]
        for thread in self._threads:
            thread.start()

    def _serve(self, rank: int) -> None:
        with suppress(Aborted):
            Rank(self.wires[rank], "text", debug=False).serve()

    def join(self) -> None:
        """Wait until every rank has returned."""
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "a rank is stuck"

    def ended_in_peace(self) -> bool:
        """Whether every rank came to its end by itself."""
        return self.office.finished == set(range(self.office.size)) and not self.office.aborted


@contextmanager
def crew_of(ranks: int) -> Iterator[Crew]:
    """A executor that is ended, whatever the test does."""
    executor = Crew(ranks)
    try:
        yield executor
    except BaseException:
        for other in executor.office.queues:
            other.put(None)
        raise
    finally:
        executor.join()


def orders_of(uploads: Path) -> list[ReduceOrder]:
    return [
        ReduceOrder(
            archive.instance_id, archive.name, str(archive.tar), archive.bytes, tuple(discover()), date(2018, 1, 1)
        )
        for archive in scan(uploads).archives
    ]


def outcomes_of(outcomes: Iterator[ReduceOutcome]) -> list[ReduceOutcome]:
    """Outcomes in one order."""
    return sorted(outcomes, key=lambda outcome: (outcome.instance_id, outcome.archive))


def content(work: Path) -> dict[str, object]:
    """All entries of the store. Of partials the rows: two calls of polars lay out equal texts in different bytes."""
    store = Store(work / "store")
    entries: dict[str, object] = {}
    for file in store.root.rglob("*"):
        if file.is_file():
            kind, key = file.relative_to(store.root).parts[0], file.name
            raw = store.get(kind, key)
            assert raw is not None, f"{file} is damaged"
            entries[f"{kind}/{key}"] = rows_of(raw) if kind == PARTIAL else raw
    return entries


def rows_of(raw: bytes) -> dict[str, tuple[object, object]]:
    return {name: (frame.schema, frame.rows()) for name, frame in unpack_frames(raw).items()}


def config_of(work: Path) -> Config:
    """Blocks and tasks so small that there are many of them."""
    return Config(work=work, block_bytes=20_000, aggregate_jobs=100)


def serially(orders: Sequence[ReduceOrder], config: Config) -> list[ReduceOutcome]:
    store = Store(config.work / "store")
    return outcomes_of(reduce_archive(order, config, store, run_here, lambda _: None) for order in orders)


@dataclass(frozen=True)
class Expected:
    """What one process makes of some uploads."""

    orders: list[ReduceOrder]
    outcomes: list[ReduceOutcome]
    content: dict[str, object]


@pytest.fixture(scope="module")
def expected(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    work = tmp_path_factory.mktemp("serial")
    orders = orders_of(sample)
    return Expected(orders, serially(orders, config_of(work)), content(work))


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_a_crew_leaves_what_one_process_leaves(expected: Expected, tmp_path: Path, ranks: int) -> None:
    config = config_of(tmp_path)
    told: list[int] = []
    with crew_of(ranks) as executor:
        found = executor.coordinator.carry_out(expected.orders, config, Store(tmp_path / "store"), told.append)
        assert outcomes_of(found) == expected.outcomes
        assert content(tmp_path) == expected.content
        assert sum(told) == sum(order.bytes for order in expected.orders)
        assert len(executor.coordinator.peak_memory()) == 1 + ranks
        # All have asked again by now, so that nothing they did is missing.
        told = executor.coordinator.stages()
        assert [rank["rank"] for rank in told] == list(range(1 + ranks))
        text = sum(outcome.account.text_bytes for outcome in expected.outcomes)
        assert sum(rank["bytes"].get("gunzip", 0) for rank in told) == text
        executor.coordinator.end(1)
    assert executor.ended_in_peace()
    leading = {to for to, tag in executor.wires[0].sent if tag is Tag.LEAD}
    assert len(leading) >= controllers(1 + ranks, len(expected.orders))
    if ranks > 1:
        assert any(tag is Tag.RESULT for transport in executor.wires for _, tag in transport.sent), "nobody helped"


def test_orders_may_come_in_several_rounds_or_none(expected: Expected, tmp_path: Path) -> None:
    config, store = config_of(tmp_path), Store(tmp_path / "store")
    with crew_of(3) as executor:
        rounds = (expected.orders[:1], [], expected.orders[1:], expected.orders)
        found = [list(executor.coordinator.carry_out(orders, config, store, lambda _: None)) for orders in rounds]
        executor.coordinator.end(0)
    assert outcomes_of(outcome for part in found[:3] for outcome in part) == expected.outcomes
    assert outcomes_of(iter(found[3])) == expected.outcomes
    assert content(tmp_path) == expected.content


def test_a_crew_without_work_ends(tmp_path: Path) -> None:
    with crew_of(4) as executor:
        executor.coordinator.end(3)
    assert executor.ended_in_peace()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three archives: the gzip of one is cut off in its middle, the tar of another stops after some members."""
    folder = tmp_path_factory.mktemp("damaged")
    jobs = b"".join(line(i, "tool", "1", "ok", "2020-01-01 00:00:00") for i in range(4000))
    metrics = b"".join(line(i, "core", "runtime_seconds", f"{i}.5") for i in range(4000))
    members = {Kind.JOBS: jobs, Kind.METRIC_NUM: metrics}
    tars = [write_archive(folder / "3" / "archives", name, members) for name in ("1", "2")]
    write_archive(folder / "3" / "archives", "3", members, entries=b"no header" * 100)
    tars[1].write_bytes(tars[1].read_bytes()[: tars[1].stat().st_size // 2])
    return folder


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_an_archive_that_breaks_off_leaves_no_rank_stuck(damaged: Path, tmp_path: Path, ranks: int) -> None:
    orders = orders_of(damaged)
    wanted = serially(orders, config_of(tmp_path / "serial"))
    assert [bool(outcome.account.quarantine) for outcome in wanted] == [False, True, True]
    told: list[int] = []
    with crew_of(ranks) as executor:
        config = config_of(tmp_path / "executor")
        found = executor.coordinator.carry_out(orders, config, Store(config.work / "store"), told.append)
        assert outcomes_of(found) == wanted
        executor.coordinator.end(0)
    assert executor.ended_in_peace()
    assert content(tmp_path / "executor") == content(tmp_path / "serial")
    assert sum(told) == sum(order.bytes for order in orders)


def test_a_task_that_fails_ends_all_ranks_and_says_where(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.CaptureFixture[str]
) -> None:
    def fail(task: DecodeTask) -> None:
        raise ZeroDivisionError(f"a fault in block {task.number}")

    monkeypatch.setattr(DecodeTask, "run", fail)
    with crew_of(3) as executor, pytest.raises(Aborted):
        list(executor.coordinator.carry_out(orders_of(damaged), config_of(tmp_path), Store(tmp_path), lambda _: None))
    assert set(executor.office.aborted) == {RankLost.exit_code}
    assert not executor.office.finished
    complaint = log.readouterr().err.splitlines()[0]
    assert " failed at 3/" in complaint
    assert "ZeroDivisionError: a fault in block " in complaint


def test_an_error_that_is_told_to_people_keeps_its_exit_code(
    damaged: Path, tmp_path: Path, log: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    config = config_of(tmp_path / "work")
    with crew_of(2) as executor, pytest.raises(Aborted):
        list(executor.coordinator.carry_out(orders_of(damaged), config, Store(tmp_path), lambda _: None))
    assert set(executor.office.aborted) == {CannotWrite.exit_code}
    assert "cannot be written" in log.readouterr().err


def test_a_coordinator_that_ends_early_ends_ranks_that_are_at_work(damaged: Path, tmp_path: Path) -> None:
    office = Office(2)
    coordinator = Coordinator(FakeWire(office, 0))
    FakeWire(office, 1).send(0, Tag.ASK, pack({"memory": 1, "host": "node7"}))
    FakeWire(office, 1).send(0, Tag.PROGRESS, pack({"bytes": 1}))

    def fail(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(coordinator.carry_out(orders_of(damaged), config_of(tmp_path), Store(tmp_path), fail))
    with pytest.raises(Aborted):
        coordinator.end(6)
    assert office.aborted == [6]


def test_a_worker_that_comes_too_late_is_sent_back(log: pytest.CaptureFixture[str]) -> None:
    office = Office(4)
    transport = FakeWire(office, 1)
    for late in (3, 2):
        FakeWire(office, late).send(1, Tag.READY)
    FakeWire(office, 0).send(1, Tag.END)
    Rank(transport, "text", debug=False).serve()
    assert office.finished == {1}
    assert transport.sent == [(0, Tag.ASK), (3, Tag.RELEASE), (2, Tag.RELEASE)]


def test_a_worker_keeps_no_message_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(3)
    transport = FakeWire(office, 1)
    task = DecodeTask(Block(layout_of(Kind.JOBS, [HEADERS[Kind.JOBS]])[0], 0, b""), 1, ())
    FakeWire(office, 0).send(1, Tag.HELP, pack({"leader": 2}))
    for index in range(2):
        FakeWire(office, 2).send(1, Tag.TASK, pack_task(index, "", task))
    FakeWire(office, 2).send(1, Tag.RELEASE)
    FakeWire(office, 0).send(1, Tag.END)
    messages: list[weakref.ref[Message]] = []
    kept: list[int] = []

    def receive() -> Message:
        message = FakeWire.receive(transport)
        messages.append(weakref.ref(message))
        return message

    def watched(task: Task, clock: Clock) -> object:
        kept.append(sum(message() is not None for message in messages[1:]))
        return timed(task, clock)

    monkeypatch.setattr(transport, "receive", receive)
    monkeypatch.setattr("grt_batch.ranks.worker.timed", watched)
    Rank(transport, "text", debug=False).serve()
    assert kept == [0, 0]
    assert transport.sent == [(0, Tag.ASK), (2, Tag.READY), (2, Tag.RESULT), (2, Tag.RESULT), (0, Tag.ASK)]


def test_a_rank_that_is_told_nonsense_says_so(log: pytest.CaptureFixture[str]) -> None:
    office = Office(2)
    FakeWire(office, 0).send(1, Tag.PROGRESS)
    with pytest.raises(Aborted):
        Rank(FakeWire(office, 1), "text", debug=False).serve()
    assert "an idle rank was told PROGRESS by rank 0" in log.readouterr().err
