"""What a rank says of itself in its file, and when it ends itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from grt_batch.ranks import heartbeat
from grt_batch.ranks.heartbeat import STARTING, WAITING, WORKING, Heartbeat, Turns, note_patience, read_sign

ME = f"{os.getpid()} {socket.gethostname()}"


class Clock:
    """Time passes by naps, in each of which something may happen. A process that ends itself is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.naps = 0
        self.ended: list[int] = []
        self.happens: Callable[[int], None] = lambda nap: None
        monkeypatch.setattr(heartbeat.time, "sleep", self.sleep)
        monkeypatch.setattr(heartbeat.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(heartbeat.os, "_exit", self.ended.append)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps += 1
        self.happens(self.naps)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def begun(folder: Path, rank: int = 3) -> Heartbeat:
    """The heartbeat of a rank, which a test runs in its own thread."""
    beating = Heartbeat(folder, rank)
    (folder / str(rank)).write_text(f"{ME} {STARTING}")
    return beating


def test_a_rank_says_its_process_and_host_and_its_state(tmp_path: Path) -> None:
    beating = Heartbeat(tmp_path, 0)
    thread = beating.start()
    assert thread is not None
    sign = read_sign(tmp_path, 0)
    assert sign is not None
    assert (sign.process, sign.host, sign.started) == (os.getpid(), socket.gethostname(), False)
    beating.note_started()
    assert (tmp_path / "0").read_text() == f"{ME} {WORKING}"
    beating.sign_off(0)
    beating.sign_off(0)
    thread.join(timeout=600)
    assert not thread.is_alive()
    assert read_sign(tmp_path, 0) is None


def test_a_rank_waits_that_waits_from_one_beat_to_the_next(tmp_path: Path, clock: Clock) -> None:
    beating, seen = begun(tmp_path), []
    beating.note_started()

    def happens(nap: int) -> None:
        seen.append((tmp_path / "3").read_text().removeprefix(f"{ME} "))
        if nap == 4:
            with beating.turns.waiting():
                pass  # a message comes in
        if nap == 6:
            beating.sign_off(3)

    clock.happens = happens
    with beating.turns.waiting():
        beating._go_on()
    assert seen == [*[WAITING] * 4, WORKING, WAITING]
    assert clock.ended == []


def test_turns_within_turns_are_one() -> None:
    turns = Turns()
    assert turns.now() == (False, 0)
    with turns.waiting():
        outer = turns.now()
        with turns.waiting():
            assert turns.now()[0]
        assert turns.now()[0]
        assert turns.now() != outer
    assert not turns.now()[0]


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_a_rank_whose_file_is_gone_ends_itself(tmp_path: Path, clock: Clock, gone: str) -> None:
    folder = tmp_path / "launch"
    folder.mkdir()
    beating = begun(folder)

    def happens(nap: int) -> None:
        if nap == 3:
            (folder / "3").unlink()
            if gone == "folder":
                folder.rmdir()

    clock.happens = happens
    beating._go_on()
    assert (clock.naps, clock.ended) == (3, [6])


def test_an_outage_of_the_file_server_ends_no_rank(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def utime(path: Path) -> None:
        raise OSError(5, "Input/output error")

    beating = begun(tmp_path)
    clock.happens = lambda nap: beating.sign_off(3) if nap == 100 else None
    monkeypatch.setattr(heartbeat.os, "utime", utime)
    beating._go_on()
    assert (clock.naps, clock.ended) == (100, [])


def beats_of_rank_0(folder: Path, until: int) -> Callable[[int], None]:
    def happens(nap: int) -> None:
        if nap <= until:
            os.utime(folder / "0", ns=(nap, nap))

    return happens


def test_a_rank_that_hears_nothing_of_rank_0_ends_itself(tmp_path: Path, clock: Clock) -> None:
    note_patience(tmp_path, 30)
    (tmp_path / "0").write_text(f"1 node7 {WAITING}")
    clock.happens = beats_of_rank_0(tmp_path, 200)
    begun(tmp_path)._go_on()
    assert clock.ended == [6]
    assert 130 < clock.now - 1000 <= 140


@pytest.mark.parametrize(("patience", "state"), [(0, WORKING), (30, STARTING), (30, None)])
def test_it_waits_for_a_rank_0_that_starts_or_has_signed_off(
    tmp_path: Path, clock: Clock, patience: int, state: str | None
) -> None:
    note_patience(tmp_path, patience)
    if state:
        (tmp_path / "0").write_text(f"1 node7 {state}")
    beating = begun(tmp_path)
    clock.happens = lambda nap: beating.sign_off(3) if nap == 1000 else None
    beating._go_on()
    assert (clock.naps, clock.ended) == (1000, [])


def test_where_its_folder_is_not_to_be_seen_no_rank_begins(tmp_path: Path) -> None:
    assert Heartbeat(tmp_path / "gone", 0).start() is None


def test_a_rank_that_has_signed_off_has_no_file_again(tmp_path: Path) -> None:
    beating = begun(tmp_path)
    beating.sign_off(3)
    beating.note_started()
    assert not (tmp_path / "3").exists()
