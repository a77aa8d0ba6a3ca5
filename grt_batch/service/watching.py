"""What lies in the uploads and is in no table yet: found at start, and whenever the kernel or the clock says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.service.mounts import file_system, is_network
from grt_batch.uploads.scan import Pair, glance

_TICK = 1.0
"""Seconds between two glances at whether the folder is still there."""


_AGAIN = 2.0
"""Seconds after a change to look again: files in a folder that is as new as they are come without a word."""


Stamp = tuple[int, int, int]


class Lookout:
    """Finds the pairs that the tables do not have, and tells of each once, as long as its files stay as they are."""

    def __init__(self, config: Config, notice: Callable[[], None], now: Callable[[], float] = time.time) -> None:
        """Compare with what the last run published: what came in while nobody looked is told of first."""
        self._config, self._notice, self._now = config, notice, now
        self._told = published_stamps(config)

    def look(self) -> float | None:
        """Call `notice` if there is anything new. Return the seconds until the next pair has settled, None for none."""
        now, settle = self._now(), self._config.settle_seconds
        pairs = {name: pair for name, pair in glance(self._config.uploads).items() if not pair.is_cold}
        new = {name: pair for name, pair in pairs.items() if self._told.get(name) != pair.stamp}
        settled = {name: pair for name, pair in new.items() if pair.changed + settle <= now}
        if settled:
            logger.info("%s came in, such as %s", counted(len(settled), "archive"), "/".join(min(settled)))
            self._told |= {name: pair.stamp for name, pair in settled.items()}
            self._notice()
        return min((_rest(pair, settle, now) for name, pair in new.items() if name not in settled), default=None)


def published_stamps(config: Config) -> dict[tuple[str, str], Stamp]:
    """Return the files whose numbers are in the tables, by instance and archive."""
    from grt_batch.store.archive_index import ArchiveIndex

    return {
        (instance_id, name): known.stamp
        for own, instance_id, archives in ArchiveIndex(config.work, config.uploads).instances()
        for name, known in archives.items()
        if own and known.document is not None
    }


def _rest(pair: Pair, settle: float, now: float) -> float:
    return max(pair.changed + settle - now, 0.0)


def watch(config: Config, notice: Callable[[], None], stop: threading.Event, *, polling: bool = False) -> None:
    """Call `notice` whenever the uploads have something new, until `stop` is set.

    The kernel tells of changes, unless it cannot, or `polling` is true; the clock tells in any case, every
    `watch_poll_seconds`. A folder that vanishes is waited for.
    """
    root, lookout, there = config.uploads, Lookout(config, notice), True
    while not stop.is_set():
        if (_identity(root) is not None) != there:
            there = not there
            logger.warning("%s is %s", root, "there again" if there else "not there; waiting for it")
        if there:
            looks = polling or is_network(file_system(root))
            logger.info("watches %s%s", root, f" every {config.watch_poll_seconds} s" if looks else "")
            _follow(config, lookout, _signs(root, _clock(stop) if looks else _kernel(root, stop)))
        else:
            stop.wait(_TICK)


def _follow(config: Config, lookout: Lookout, signs: Iterable[bool]) -> None:
    """Look at each sign of a change, and when the clock says so."""
    due = time.monotonic()
    for changed in signs:
        now = time.monotonic()
        if changed or now >= due:
            waits = (lookout.look(), _AGAIN if changed else None, config.watch_poll_seconds)
            due = now + min(wait for wait in waits if wait is not None)


def _signs(root: Path, signs: Iterable[bool]) -> Iterator[bool]:
    """Yield whether something has changed, every second or more often; end once the folder is another, or missing."""
    before = _identity(root)
    for changed in signs:
        if before is None or _identity(root) != before:
            return
        yield changed


def _clock(stop: threading.Event) -> Iterator[bool]:
    while not stop.is_set():
        yield False
        stop.wait(_TICK)


def _kernel(root: Path, stop: threading.Event) -> Iterator[bool]:
    """Yield whether the kernel tells of changes; where it cannot, leave it to the clock."""
    # What changes before the kernel is asked is found by the second look.
    yield True
    try:
        from watchfiles import watch as changes

        for found in changes(
            root,
            watch_filter=None,
            stop_event=stop,
            rust_timeout=int(1000 * _TICK),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            # Hidden files are uploads that the service is still receiving.
            yield any(not Path(path).name.startswith(".") for _, path in found)
    except ImportError:
        logger.info("watchfiles is not installed (pip install 'grt-batch[serve]'): looking every now and then")
    except (OSError, RuntimeError) as error:
        logger.warning("the kernel does not tell of changes (%s): looking every now and then", error)
    yield from _clock(stop)


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        stat = root.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
