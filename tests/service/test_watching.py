"""New pairs are told of once, when they have settled; folders vanish and come back; a start takes up what it missed."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from cold_storage import freeze
from coming_and_going import Site

from grt_batch.core.config import Config
from grt_batch.core.logs import set_up
from grt_batch.service import watching
from grt_batch.service.watching import Lookout, watch

PATIENT = 30
"""Seconds after which a test that waits for a thread has failed."""


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    """Uploads of two archives."""
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work", reports=tmp_path / "reports",
                       database=database, watch_poll_seconds=1))  # fmt: skip
    site.write("a", "1", [1])
    site.write("a", "2", [2])
    return site


def test_a_start_takes_up_what_no_run_has_published(site: Site) -> None:
    told: list[int] = []
    lookout = Lookout(site.config, lambda: told.append(1))
    assert lookout.look() is None
    assert len(told) == 1
    lookout.look()
    assert len(told) == 1
    site.run(("tools", "instances"))
    lookout = Lookout(site.config, lambda: told.append(2))
    lookout.look()
    assert told == [1]
    site.write("a", "2", [2, 3])
    lookout.look()
    site.write("b", "1", [1])
    lookout.look()
    lookout.look()
    assert told == [1, 2, 2]


def test_a_pair_settles_first(tmp_path: Path) -> None:
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work", settle_seconds=60))
    tar = site.write("a", "1", [1])
    for file, moment in ((tar, 1000), (tar.with_name("1.json"), 1030)):
        os.utime(file, (moment, moment))
    told: list[float] = []
    now = [1040.0]
    lookout = Lookout(site.config, lambda: told.append(now[0]), now=lambda: now[0])
    assert lookout.look() == 50
    now[0] = 1090.0
    assert lookout.look() is None
    assert told == [1090.0]


def test_what_is_cold_is_nothing_new(site: Site) -> None:
    freeze(site.config.uploads / "a" / "archives" / "1.tar.gz")
    freeze(site.config.uploads / "a" / "archives" / "2.tar.gz")
    Lookout(site.config, pytest.fail).look()


def test_half_a_pair_is_none(tmp_path: Path) -> None:
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work"))
    site.write("a", "1", [1]).unlink()
    (tmp_path / "uploads" / "a" / "archives" / ".2.tar.gz").touch()
    (tmp_path / "uploads" / "a" / "archives" / "2.json").touch()
    Lookout(site.config, pytest.fail).look()


class Watching:
    """A watch in a thread, and what it told of."""

    def __init__(self, config: Config, *, polling: bool) -> None:
        self.told: SimpleQueue[None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=watch, args=(config, lambda: self.told.put(None), self._stop), kwargs={"polling": polling}
        )
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENT)
        assert not self._thread.is_alive()


@pytest.fixture(params=["kernel", "polling"])
def watched(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Site, Watching]]:
    """A folder without uploads that is watched; what depends on the kernel alone is not left to the clock."""
    monkeypatch.setattr(watching, "_TICK", 0.05)
    polling = request.param == "polling"
    monkeypatch.setattr(watching, "_AGAIN", 0.1)
    (tmp_path / "uploads").mkdir()
    site = Site(Config(uploads=tmp_path / "uploads", work=tmp_path / "work", watch_poll_seconds=1 if polling else 1000))
    found = Watching(site.config, polling=polling)
    yield site, found
    found.close()


def test_what_comes_in_is_told_of(watched: tuple[Site, Watching]) -> None:
    site, found = watched
    for name in ("1", "2"):
        site.write("a", name, [1])
        found.told.get(timeout=PATIENT)


def test_a_folder_that_vanishes_is_waited_for(watched: tuple[Site, Watching], tmp_path: Path) -> None:
    site, found = watched
    site.write("a", "1", [1])
    found.told.get(timeout=PATIENT)
    site.config.uploads.rename(tmp_path / "away")
    (tmp_path / "away" / "a" / "archives" / "1.json").touch()
    Site(Config(uploads=tmp_path / "away", work=tmp_path)).write("a", "2", [2])
    (tmp_path / "away").rename(site.config.uploads)
    found.told.get(timeout=PATIENT)
    # Another disk is mounted over it.
    other = Site(Config(uploads=tmp_path / "other", work=tmp_path))
    other.write("b", "1", [1])
    site.config.uploads.rename(tmp_path / "below")
    other.config.uploads.rename(site.config.uploads)
    found.told.get(timeout=PATIENT)
    site.write("b", "2", [1])
    found.told.get(timeout=PATIENT)
    shutil.rmtree(tmp_path / "below")


@pytest.mark.parametrize("problem", [None, OSError("OS file watch limit reached"), RuntimeError("internal")], ids=str)
def test_where_the_kernel_does_not_tell_the_clock_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.CaptureFixture[str], problem: Exception | None
) -> None:
    monkeypatch.setattr(watching, "_TICK", 0.01)
    set_up("text", "", "", "watch")

    def refuse(*_: object, **__: object) -> None:
        assert problem is not None
        raise problem

    monkeypatch.setitem(sys.modules, "watchfiles", None if problem is None else SimpleNamespace(watch=refuse))
    assert list(islice(watching._kernel(tmp_path, threading.Event()), 4)) == [True, False, False, False]
    said = log.readouterr().err
    assert "looking every now and then" in said
    assert ("pip install" if problem is None else str(problem)) in said
