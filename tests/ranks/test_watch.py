"""Who is silent for too long is lost; who ended, and a time in which nobody looked, are not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from grt_batch.ranks import watch
from grt_batch.ranks.heartbeat import STARTING, WAITING, WORKING, state_of
from grt_batch.ranks.watch import START_SECONDS, STOPPED, Watch

HERE = socket.gethostname()


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch.time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


class Ranks:
    """Two ranks on another host, as they are seen in the folder, and who watches them with 5 seconds of patience."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self.touches = 0
        self.watch = Watch(folder, 2, os.getpid(), 5)

    def begin(self, rank: int, process: int = 1, host: str = "node7", state: str = STARTING) -> None:
        (self.folder / str(rank)).write_text(f"{process} {host} {state}")

    def start(self, rank: int, process: int = 1, host: str = "node7") -> None:
        self.begin(rank, process, host, WORKING)

    def wait(self, rank: int, host: str = "node7") -> None:
        self.begin(rank, 1, host, WAITING)

    def pass_seconds(self, seconds: int, *touching: int) -> str | None:
        """In words, who is lost after so many looks, one a second, in which some ranks touch their files."""
        for _ in range(seconds):
            self.clock.now += 1
            self.touches += 1
            for rank in touching:
                # A clock that is an hour slow.
                os.utime(self.folder / str(rank), ns=(self.touches, self.touches))
            lost = self.watch.lost()
            if lost:
                return lost.what
        return None


@pytest.fixture
def ranks(tmp_path: Path, clock: Clock) -> Ranks:
    return Ranks(tmp_path, clock)


def test_a_rank_that_touches_its_file_is_not_lost_whatever_its_clock_says(ranks: Ranks) -> None:
    ranks.start(0)
    ranks.start(1)
    assert ranks.pass_seconds(100, 0, 1) is None


def test_one_that_is_silent_is_named_with_its_host(ranks: Ranks) -> None:
    ranks.start(0)
    ranks.start(1)
    assert ranks.pass_seconds(20, 0, 1) is None
    assert ranks.pass_seconds(5, 0) is None
    assert ranks.pass_seconds(1, 0) == "rank 1 on node7 gave no sign of life for 6 seconds"


def test_one_that_starts_slowly_is_not_lost(ranks: Ranks) -> None:
    ranks.start(0)
    assert ranks.pass_seconds(int(START_SECONDS), 0) is None
    ranks.begin(1)
    assert ranks.pass_seconds(int(START_SECONDS), 0) is None
    ranks.start(1)
    assert ranks.pass_seconds(5, 0) is None
    assert ranks.pass_seconds(2, 0) == "rank 1 on node7 gave no sign of life for 6 seconds"


def test_one_that_does_not_start_is_named(ranks: Ranks) -> None:
    ranks.start(0)
    assert ranks.pass_seconds(1000, 0) == "rank 1 has not started within 601 seconds"


def test_one_that_hangs_while_it_starts_is_named(ranks: Ranks) -> None:
    ranks.start(0)
    ranks.begin(1)
    assert ranks.pass_seconds(1000, 0) == "rank 1 on node7 gave no sign of life for 601 seconds"


def test_one_that_is_stopped_while_it_starts_is_stuck(ranks: Ranks, sleeper: subprocess.Popen[bytes]) -> None:
    ranks.start(0)
    ranks.begin(1, sleeper.pid, HERE)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    assert ranks.pass_seconds(100, 0) == f"rank 1 on {HERE} gave no sign of life for 6 seconds"


def test_a_time_in_which_nobody_looked_does_not_count(ranks: Ranks) -> None:
    ranks.start(0)
    ranks.start(1)
    assert ranks.pass_seconds(1, 0, 1) is None
    ranks.clock.now += 3600
    assert ranks.pass_seconds(3) is None


def test_where_one_has_stopped_it_is_named_and_not_those_that_wait_for_it(
    ranks: Ranks, sleeper: subprocess.Popen[bytes]
) -> None:
    ranks.start(0)
    ranks.start(1, sleeper.pid, HERE)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    assert state_of(sleeper.pid) == STOPPED
    lost = ranks.pass_seconds(10)
    assert lost == f"rank 1 on {HERE} gave no sign of life for 6 seconds"


def test_one_that_ended_is_not_lost(ranks: Ranks, sleeper: subprocess.Popen[bytes]) -> None:
    ranks.start(0)
    ranks.start(1, sleeper.pid, HERE)
    sleeper.kill()
    sleeper.wait()
    assert ranks.pass_seconds(20, 0) is None


def test_under_a_tolerant_mpirun_one_that_ended_must_have_signed_off(
    ranks: Ranks, sleeper: subprocess.Popen[bytes]
) -> None:
    ranks.watch = Watch(ranks.folder, 2, os.getpid(), 5, tolerant=True)
    ranks.start(0)
    ranks.start(1, sleeper.pid, HERE)
    sleeper.kill()
    sleeper.wait()
    assert ranks.pass_seconds(20, 0) == f"rank 1 on {HERE} gave no sign of life for 6 seconds"
    lost = ranks.watch.lost()
    assert lost is not None
    assert (lost.rank, lost.process) == (1, None)
    (ranks.folder / "1").unlink()
    assert ranks.pass_seconds(20, 0) is None


def test_one_that_is_stuck_is_told_with_its_process_and_may_be_forgiven(
    ranks: Ranks, sleeper: subprocess.Popen[bytes]
) -> None:
    ranks.start(0)
    ranks.start(1, sleeper.pid, HERE)
    assert ranks.pass_seconds(20, 0) is not None
    lost = ranks.watch.lost()
    assert lost is not None
    assert (lost.rank, lost.process) == (1, sleeper.pid)
    ranks.watch.forgive(1)
    assert ranks.pass_seconds(5, 0) is None
    assert ranks.pass_seconds(1, 0) == f"rank 1 on {HERE} gave no sign of life for 6 seconds"


def test_an_mpirun_that_is_stopped_is_named(tmp_path: Path, clock: Clock, sleeper: subprocess.Popen[bytes]) -> None:
    ranks = Ranks(tmp_path, clock)
    ranks.watch = Watch(tmp_path, 1, sleeper.pid, 5)
    ranks.start(0)
    assert ranks.pass_seconds(20, 0) is None
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    assert ranks.pass_seconds(20, 0) == f"mpirun on {HERE} is stopped for 6 seconds"


def test_where_mpirun_is_stopped_it_is_named_and_not_the_ranks_that_wait_for_it(
    tmp_path: Path, clock: Clock, sleeper: subprocess.Popen[bytes]
) -> None:
    ranks = Ranks(tmp_path, clock)
    ranks.watch = Watch(tmp_path, 2, sleeper.pid, 5)
    ranks.start(0)
    ranks.start(1)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    assert ranks.pass_seconds(20) == f"mpirun on {HERE} is stopped for 6 seconds"


def test_ranks_that_all_wait_are_lost_to_each_other(ranks: Ranks) -> None:
    ranks.wait(0)
    ranks.wait(1, "node8")
    assert ranks.pass_seconds(5, 0, 1) is None
    lost = ranks.pass_seconds(1, 0, 1)
    assert lost == "all wait for a message, which was lost between node7, node8, for 6 seconds"


def test_those_that_wait_for_one_at_work_are_not(ranks: Ranks) -> None:
    ranks.wait(0)
    ranks.start(1)
    assert ranks.pass_seconds(100, 0, 1) is None
    ranks.wait(1)
    assert ranks.pass_seconds(5, 0, 1) is None
    ranks.start(0)
    assert ranks.pass_seconds(1, 0, 1) is None
    ranks.wait(0)
    assert ranks.pass_seconds(5, 0, 1) is None
    assert ranks.pass_seconds(1, 0, 1) == "all wait for a message, which was lost on node7, for 6 seconds"


def test_who_has_signed_off_is_not_waited_for(ranks: Ranks) -> None:
    ranks.start(0)
    ranks.wait(1)
    assert ranks.pass_seconds(1, 0, 1) is None
    (ranks.folder / "0").unlink()
    (ranks.folder / "1").unlink()
    assert ranks.pass_seconds(100) is None
