"""The command after uploads: after a quiet time, one at a time, once more for what came in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from grt_batch.core.config import Config
from grt_batch.service.on_upload import FIRST_PAUSE, LONGEST_PAUSE, PATIENCE, Schedule, Starter, quiet_seconds, start

PATIENT = 30
"""Seconds after which a test that waits for a thread has failed."""


def test_each_upload_starts_the_quiet_time_anew() -> None:
    schedule = Schedule(10)
    assert schedule.due is None
    schedule.notice(100)
    schedule.notice(107)
    assert schedule.due == 117
    schedule.started()
    assert schedule.due is None


def test_uploads_without_end_delay_the_command_only_so_long() -> None:
    schedule = Schedule(10)
    for now in range(100, 1000):
        schedule.notice(now)
    assert schedule.due == 100 + PATIENCE * 10


def test_what_comes_while_it_runs_starts_it_once_more() -> None:
    schedule = Schedule(10)
    schedule.notice(0)
    schedule.started()
    schedule.notice(20)
    schedule.ended(0, 25)
    assert schedule.due == 30


def test_a_failure_is_tried_again_after_pauses_that_grow() -> None:
    schedule, now = Schedule(10), 0.0
    pauses = []
    for _ in range(10):
        schedule.started()
        schedule.ended(5, now)
        assert schedule.due is not None
        pauses.append(schedule.due - now)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    schedule.started()
    schedule.ended(1, now)
    assert schedule.due is None
    schedule.started()
    schedule.ended(5, now)
    assert schedule.due == now + FIRST_PAUSE


def test_it_waits_until_files_have_settled() -> None:
    assert quiet_seconds(Config(on_upload_quiet_seconds=5, settle_seconds=60)) == 60
    assert quiet_seconds(Config(on_upload_quiet_seconds=90, settle_seconds=60)) == 90


class Command:
    """A command that runs until it is told to end, and can be waited for."""

    def __init__(self) -> None:
        self.running, self.most = 0, 0
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.codes: SimpleQueue[int] = SimpleQueue()

    def __call__(self, command: str) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.put(command)
        code = self.codes.get(timeout=PATIENT)
        self.running -= 1
        return code


@pytest.fixture
def command() -> Command:
    return Command()


@pytest.fixture
def starter(command: Command) -> Iterator[Starter]:
    made = Starter("go", 0, command)
    yield made
    made.close()
    command.codes.put(0)


def test_one_runs_at_a_time_and_once_more_for_all_that_came(starter: Starter, command: Command) -> None:
    starter.notice()
    assert command.begun.get(timeout=PATIENT) == "go"
    for _ in range(20):
        starter.notice()
    assert command.begun.empty()
    command.codes.put(0)
    assert command.begun.get(timeout=PATIENT) == "go"
    assert starter.ended is not None and starter.ended.code == 0
    command.codes.put(1)
    assert command.most == 1
    assert command.begun.empty()


def test_closed_it_starts_nothing(command: Command) -> None:
    starter = Starter("go", 0, command)
    starter.close()
    starter.notice()
    for thread in threading.enumerate():
        if thread.name == "on_upload":
            thread.join(PATIENT)
    assert command.begun.empty()


def test_the_command_is_a_line_of_the_shell(tmp_path: Path) -> None:
    assert start(f"cd {tmp_path} && echo $((1 + 1)) > two && exit 7") == 7
    assert (tmp_path / "two").read_text() == "2\n"
