"""The ranks without MPI: threads that talk through queues do what one process does, and end whatever happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from build import line, write_archive
from fake_ranks import SECONDS, Aborted, FakeTransport, Network
from stored import said

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, RankLost
from grt_batch.modules.registry import discover
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome, reduce_archive
from grt_batch.pipeline.tasks import DecodeTask, run_here
from grt_batch.ranks.coordinator import Coordinator
from grt_batch.ranks.messages import Ask, RunSettings, Tag, pack
from grt_batch.ranks.scheduling import controllers
from grt_batch.ranks.worker import Rank
from grt_batch.sample import write_sample
from grt_batch.schema.members import Kind
from grt_batch.store.store import Store
from grt_batch.uploads.scan import scan


class Group:
    """A coordinator in this thread, and `ranks` others in threads of their own."""

    def __init__(self, ranks: int) -> None:
        self.network = Network(1 + ranks)
        self.transports = [FakeTransport(self.network, rank) for rank in range(1 + ranks)]
        self.coordinator = Coordinator(self.transports[0])
        self._threads = [threading.Thread(target=self._serve, args=[rank]) for rank in range(1, 1 + ranks)]
        for thread in self._threads:
            thread.start()

    def _serve(self, rank: int) -> None:
        with suppress(Aborted):
            Rank(self.transports[rank]).serve()

    def join(self) -> None:
        """Wait until every rank has returned."""
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "a rank is stuck"

    def ended_in_peace(self) -> bool:
        """Whether every rank came to its end by itself."""
        return self.network.finished == set(range(self.network.size)) and not self.network.aborted


@contextmanager
def group_of(ranks: int) -> Iterator[Group]:
    """Ranks that are ended, whatever the test does."""
    group = Group(ranks)
    try:
        yield group
    except BaseException:
        for other in group.network.queues:
            other.put(None)
        raise
    finally:
        group.join()


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
    """What all entries of the store say."""
    store = Store(work / "store")
    entries: dict[str, object] = {}
    for file in store.root.rglob("*"):
        if file.is_file():
            kind, key = file.relative_to(store.root).parts[0], file.name
            raw = store.get(kind, key)
            assert raw is not None, f"{file} is damaged"
            entries[f"{kind}/{key}"] = said(kind, raw)
    return entries


def config_of(work: Path) -> Config:
    """Blocks and tasks so small that there are many of them."""
    return Config(work=work, block_bytes=6000, aggregate_jobs=50)


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
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    work = tmp_path_factory.mktemp("serial")
    write_sample(work / "uploads", jobs=1200, seed=5)
    orders = orders_of(work / "uploads")
    return Expected(orders, serially(orders, config_of(work)), content(work))


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_a_group_leaves_what_one_process_leaves(expected: Expected, tmp_path: Path, ranks: int) -> None:
    config = config_of(tmp_path)
    told: list[int] = []
    with group_of(ranks) as group:
        found = group.coordinator.carry_out(expected.orders, config, Store(tmp_path / "store"), told.append)
        assert outcomes_of(found) == expected.outcomes
        assert content(tmp_path) == expected.content
        assert sum(told) == sum(order.bytes for order in expected.orders)
        assert len(group.coordinator.peak_memory()) == 1 + ranks
        # All have asked again by now, so that nothing they did is missing.
        told = group.coordinator.stages()
        assert [rank["rank"] for rank in told] == list(range(1 + ranks))
        text = sum(outcome.account.text_bytes for outcome in expected.outcomes)
        assert sum(rank["bytes"].get("gunzip", 0) for rank in told) == text
        group.coordinator.end(1)
    assert group.ended_in_peace()
    leading = {to for to, tag in group.transports[0].sent if tag is Tag.LEAD}
    assert len(leading) >= controllers(1 + ranks, len(expected.orders))
    if ranks > 1:
        assert any(tag is Tag.RESULT for transport in group.transports for _, tag in transport.sent), "nobody helped"


def test_orders_may_come_in_several_rounds_or_none(expected: Expected, tmp_path: Path) -> None:
    config, store = config_of(tmp_path), Store(tmp_path / "store")
    with group_of(3) as group:
        rounds = (expected.orders[:1], [], expected.orders[1:], expected.orders)
        found = [list(group.coordinator.carry_out(orders, config, store, lambda _: None)) for orders in rounds]
        group.coordinator.end(0)
    assert outcomes_of(outcome for part in found[:3] for outcome in part) == expected.outcomes
    assert outcomes_of(iter(found[3])) == expected.outcomes
    assert content(tmp_path) == expected.content


def test_a_group_without_work_ends(tmp_path: Path) -> None:
    with group_of(4) as group:
        group.coordinator.end(3)
    assert group.ended_in_peace()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three archives: the gzip of one is cut off in its middle, the tar of another stops after some members."""
    folder = tmp_path_factory.mktemp("damaged")
    jobs = b"".join(line(i, "tool", "1", "ok", "2020-01-01 00:00:00") for i in range(800))
    metrics = b"".join(line(i, "core", "runtime_seconds", f"{i}.5") for i in range(800))
    members = {Kind.JOBS: jobs, Kind.METRIC_NUM: metrics}
    tars = [write_archive(folder / "3" / "archives", name, members) for name in ("1", "2")]
    write_archive(folder / "3" / "archives", "3", members, entries=b"no header" * 100)
    tars[1].write_bytes(tars[1].read_bytes()[: tars[1].stat().st_size // 2])
    return folder


@pytest.fixture(scope="module")
def broken(damaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    work = tmp_path_factory.mktemp("broken")
    orders = orders_of(damaged)
    return Expected(orders, serially(orders, config_of(work)), content(work))


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_an_archive_that_breaks_off_leaves_no_rank_stuck(broken: Expected, tmp_path: Path, ranks: int) -> None:
    orders = broken.orders
    assert [bool(outcome.account.quarantine) for outcome in broken.outcomes] == [False, True, True]
    told: list[int] = []
    with group_of(ranks) as group:
        config = config_of(tmp_path / "group")
        found = group.coordinator.carry_out(orders, config, Store(config.work / "store"), told.append)
        assert outcomes_of(found) == broken.outcomes
        group.coordinator.end(0)
    assert group.ended_in_peace()
    assert content(tmp_path / "group") == broken.content
    assert sum(told) == sum(order.bytes for order in orders)


def test_a_task_that_fails_ends_all_ranks_and_says_where(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.CaptureFixture[str]
) -> None:
    def fail(task: DecodeTask) -> None:
        raise ZeroDivisionError(f"a fault in block {task.number}")

    monkeypatch.setattr(DecodeTask, "run", fail)
    with group_of(3) as group, pytest.raises(Aborted):
        list(group.coordinator.carry_out(orders_of(damaged), config_of(tmp_path), Store(tmp_path), lambda _: None))
    assert set(group.network.aborted) == {RankLost.exit_code}
    assert not group.network.finished
    complaint = log.readouterr().err.splitlines()[0]
    assert " failed at 3/" in complaint
    assert "ZeroDivisionError: a fault in block " in complaint


@pytest.mark.parametrize("debug", [False, True])
def test_ranks_log_in_the_form_that_the_run_was_asked_for(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.CaptureFixture[str], debug: bool
) -> None:
    monkeypatch.setattr(DecodeTask, "run", lambda _: 1 // 0)
    with group_of(2) as group, pytest.raises(Aborted):
        group.coordinator.settings = RunSettings("a run", "json", debug)
        list(group.coordinator.carry_out(orders_of(damaged), config_of(tmp_path), Store(tmp_path), lambda _: None))
    text = log.readouterr().err
    (complaint, *_) = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert (complaint["run"], complaint["role"] in ("controller", "worker")) == ("a run", True)
    assert ("Traceback" in text) == debug


def test_ranks_record_a_profile_where_the_run_was_asked_for_one(damaged: Path, tmp_path: Path) -> None:
    with group_of(2) as group:
        group.coordinator.settings = RunSettings(profiles=tmp_path / "profiles")
        store = Store(tmp_path / "store")
        list(group.coordinator.carry_out(orders_of(damaged), config_of(tmp_path), store, lambda _: None))
        group.coordinator.end(0)
    assert {file.name for file in (tmp_path / "profiles").iterdir()} == {"rank-1.json", "rank-2.json"}
    assert all(b'"decode"' in file.read_bytes() for file in (tmp_path / "profiles").iterdir())


def test_an_error_that_is_told_to_people_keeps_its_exit_code(
    damaged: Path, tmp_path: Path, log: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").write_text("a file where the folder should be")
    config = config_of(tmp_path / "work")
    with group_of(2) as group, pytest.raises(Aborted):
        list(group.coordinator.carry_out(orders_of(damaged), config, Store(tmp_path), lambda _: None))
    assert set(group.network.aborted) == {CannotWrite.exit_code}
    assert "cannot be written" in log.readouterr().err


def test_a_coordinator_that_ends_early_ends_ranks_that_are_at_work(damaged: Path, tmp_path: Path) -> None:
    network = Network(2)
    coordinator = Coordinator(FakeTransport(network, 0))
    FakeTransport(network, 1).send(0, Tag.ASK, pack(Ask(1, "node7", {})))
    FakeTransport(network, 1).send(0, Tag.PROGRESS, pack(1))

    def fail(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(coordinator.carry_out(orders_of(damaged), config_of(tmp_path), Store(tmp_path), fail))
    with pytest.raises(Aborted):
        coordinator.end(6)
    assert network.aborted == [6]
