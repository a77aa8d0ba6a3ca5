"""Findings, and the guard around the probes that make them."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from grt_batch.core.errors import GrtError, Unforeseen


class Status(enum.StrEnum):
    """How a finding bears on a run."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the examination. `exit_code` is that of a run which a problem would stop."""

    status: Status
    subject: str
    found: str
    remedy: str = ""
    exit_code: int = 0


Probe = Callable[[], Iterable[Finding]]
"""Examines one subject. It may raise anything, or never return."""


SECONDS = 20.0
"""The time limit of a probe. The connections and processes that probes start have shorter limits."""


def ok(subject: str, found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Status.OK, subject, found)


def warning(subject: str, found: str, remedy: str) -> Finding:
    """Return a finding that does not stop a run."""
    return Finding(Status.WARNING, subject, found, remedy)


def problem(subject: str, error: GrtError) -> Finding:
    """Return the finding that a run would end with `error`."""
    return Finding(Status.PROBLEM, subject, error.happened, error.advice, error.exit_code)


def broken(subject: str, found: str) -> Finding:
    """Return the finding that a library is missing or damaged, without which the program fails."""
    remedy = "Install the program again: pip install --force-reinstall grt-batch."
    return Finding(Status.PROBLEM, subject, found, remedy, Unforeseen.exit_code)


def guarded(subject: str, probe: Probe, seconds: float = SECONDS) -> list[Finding]:
    """Return the findings of a probe. Its failure is a finding, and so is its silence after `seconds`.

    The probe runs in a thread, which is left behind when it hangs, for example in a call to a network file system.
    """
    findings: list[Finding] = []

    def work() -> None:
        try:
            for finding in probe():
                findings.append(finding)  # noqa: PERF402 (what a probe found before it hangs is kept)
        except GrtError as error:
            findings.append(problem(subject, error))
        except ImportError as error:
            findings.append(broken(subject, f"cannot be loaded: {error}"))
        except Exception as error:
            found = f"cannot be examined: {type(error).__name__}: {error}"
            findings.append(warning(subject, found, "Report this line."))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        remedy = "Check whether the network, a file system or a program it needs hangs."
        return [*findings, warning(subject, f"no answer within {seconds:g} seconds", remedy)]
    return findings


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code that a run would end with: its steps are in the order of the codes."""
    return min((found.exit_code for found in findings if found.exit_code), default=0)
