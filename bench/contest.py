"""The contenders, and what each of them takes: wall time, CPU time of all its processes, memory, bytes on the disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

THREADS = 2
"""of the others; and so many archives are unpacked at a time"""

_STOPWATCH = Path(__file__).with_name("stopwatch.py")


class Failed(Exception):
    """The comparison cannot go on; the message is one line."""


class Killed(Failed):
    """A contender was killed, as the system does for want of memory."""


@dataclass(frozen=True)
class Setting:
    """What all contenders share: a folder, a server, the end of the windows, and the ranks of our runs."""

    scratch: Path
    url: str
    as_of: date
    ranks: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    seconds: float
    cpu_seconds: float
    """user and system, of all processes of the command"""
    peak_bytes: int
    """of memory"""
    work_bytes: int = 0
    """of the work folder afterwards"""


@dataclass(frozen=True)
class Contender:
    """One line of the comparison: a command that runs in the folder `home`, after `prepare`.

    `check` returns errors in the results, one line each. `complete` adds to the costs what the contender tells of them.
    """

    name: str
    does: str
    command: tuple[str, ...]
    home: Path
    check: Callable[[], list[str]]
    prepare: Callable[[], None] = lambda: None
    complete: Callable[[Cost], Cost] = lambda cost: cost

    def run(self, environment: Mapping[str, str]) -> Cost:
        """Run it once, measured, and check what came out. Raises Failed."""
        self.prepare()
        self.home.mkdir(parents=True, exist_ok=True)
        cost = measure(self.command, self.home / "log", environment)
        wrong = self.check()
        if wrong:
            raise Failed(f"{self.name} came to other results, so its time says nothing: {wrong[0][:500]}")
        return self.complete(cost)


def measure(command: tuple[str, ...], log: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command in the folder of `log`, which receives its output; the memory is that of its largest process.

    Raises Failed if it fails, and Killed if it was killed.
    """
    stopwatch = [sys.executable, "-I", "-S", str(_STOPWATCH), str(log), *command]
    done = subprocess.run(stopwatch, cwd=log.parent, env=environment, stdout=subprocess.PIPE, check=True)
    took = json.loads(done.stdout)
    code = took.pop("code")
    if code:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
        line = next((line for line in reversed(said) if "Error" in line or "Exception" in line), said[-1])
        failure = Killed if code == -signal.SIGKILL else Failed
        raise failure(f"{' '.join(command)[:200]} ended with code {code} and said: {line[:300]}")
    return Cost(**took)
