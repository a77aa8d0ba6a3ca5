"""The command that is started after uploads: the service and `grt-batch watch` start it in the same way."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from logging import INFO, WARNING

from grt_batch.core.config import Config
from grt_batch.core.logs import logger, without_passwords

PATIENCE = 10
"""Archives that never stop coming delay the command at most so many times the quiet time."""


FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds until a command that failed is started again; the pause doubles with each failure."""


DONE = (0, 1)
"""The exit codes of a run that published; any other command that ends well has the first of them."""


def quiet_seconds(config: Config) -> int:
    """Return how long nothing has come in when the command starts: a run leaves files that have not settled."""
    return max(config.on_upload_quiet_seconds, config.settle_seconds)


class Schedule:
    """When a command is to start: a quiet time after what was noticed last. All times are seconds of one clock."""

    def __init__(self, quiet_seconds: float) -> None:
        self.due: float | None = None
        self._quiet = quiet_seconds
        self._first: float | None = None
        self._pause = FIRST_PAUSE

    def notice(self, now: float) -> None:
        """Something came in."""
        self._first = now if self._first is None else self._first
        self.due = min(now + self._quiet, self._first + PATIENCE * self._quiet)

    def started(self) -> None:
        """The command has started; what comes in from now on starts it once more."""
        self._first = self.due = None

    def ended(self, code: int, now: float) -> None:
        """The command has ended. One that failed is due again after a pause, or before, for what came in meanwhile."""
        if code in DONE:
            self._pause = FIRST_PAUSE
            return
        self.due = now + self._pause if self.due is None else self.due
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


@dataclass(frozen=True)
class Ended:
    """The last command that ended: its exit code, and when, in Unix seconds."""

    code: int
    moment: float


def start(command: str) -> int:
    """Run a command line of the shell, as cron would, and return its exit code.

    It has a session of its own: what stops this process does not stop a run.
    """
    return subprocess.run(
        ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, start_new_session=True, check=False
    ).returncode


class Starter:
    """Starts a command once nothing was noticed for a quiet time, never twice at once."""

    def __init__(self, command: str, quiet_seconds: float, start: Callable[[str], int] = start) -> None:
        """`start` carries the command out and returns its exit code."""
        self.ended: Ended | None = None
        self._command, self._start = command, start
        self._schedule = Schedule(quiet_seconds)
        self._changed = threading.Condition()
        self._closed = False
        # As a daemon: a thread that waits for a run must not keep the process from ending.
        threading.Thread(target=self._serve, name="on_upload", daemon=True).start()

    def notice(self) -> None:
        """Note that something came in. Returns at once."""
        with self._changed:
            self._schedule.notice(time.monotonic())
            self._changed.notify()

    def close(self) -> None:
        """Start nothing more. A command that runs goes on by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _serve(self) -> None:
        while self._wait():
            logger.info("on_upload starts: %s", without_passwords(self._command))
            try:
                code = self._start(self._command)
            except OSError as error:
                logger.error("on_upload cannot be started: %s", error)
                code = -1
            with self._changed:
                now = time.monotonic()
                self._schedule.ended(code, now)
                self.ended = Ended(code, time.time())
                due = self._schedule.due
            again = "" if due is None else f"; it starts again in {max(due - now, 0):.0f} s"
            logger.log(INFO if code in DONE else WARNING, "on_upload ended with code %d%s", code, again)

    def _wait(self) -> bool:
        """Wait until the command is due; return False once this is closed."""
        with self._changed:
            while not self._closed:
                due = self._schedule.due
                rest = None if due is None else due - time.monotonic()
                if rest is not None and rest <= 0:
                    self._schedule.started()
                    return True
                self._changed.wait(rest)
            return False
