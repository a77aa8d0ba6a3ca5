"""Findings, and the guard around the probes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from grt_batch.core.errors import Locked, RankLost, Unforeseen
from grt_batch.doctor.findings import Finding, Status, broken, exit_code, guarded, ok, problem, warning


def test_a_probe_that_fails_or_hangs_is_a_finding() -> None:
    def fail() -> Iterator[Finding]:
        yield ok("it", "begins")
        raise ZeroDivisionError("a fault")

    def lose() -> Iterator[Finding]:
        raise RankLost(what="gone")
        yield

    def missing() -> Iterator[Finding]:
        raise ImportError("no numba")
        yield

    end = threading.Event()

    def hang() -> Iterator[Finding]:
        yield ok("it", "begins")
        end.wait()

    assert [found.status for found in guarded("it", fail)] == ["ok", "warning"]
    assert [(found.status, found.exit_code) for found in guarded("it", lose)] == [("problem", 6)]
    assert [(found.status, found.exit_code) for found in guarded("it", missing)] == [("problem", 6)]
    assert [found.status for found in guarded("it", hang, seconds=0.5)] == ["ok", "warning"]
    end.set()


def test_the_exit_code_is_that_of_the_first_step_that_fails() -> None:
    codes = [0, 6, 3, 4]
    assert exit_code([Finding(Status.PROBLEM, "it", "", "", code) for code in codes]) == 3
    assert exit_code([ok("it", "")]) == 0


def test_a_finding_says_what_was_found_and_what_to_do() -> None:
    error = Locked(holder="process 7", work=Path("work"))
    assert ok("it", "is there") == Finding(Status.OK, "it", "is there", "", 0)
    assert warning("it", "is old", "Update it.") == Finding(Status.WARNING, "it", "is old", "Update it.", 0)
    assert problem("it", error) == Finding(Status.PROBLEM, "it", error.happened, error.advice, Locked.exit_code)
    assert broken("it", "is gone").exit_code == Unforeseen.exit_code


def test_a_probe_that_answers_is_as_it_says() -> None:
    findings = [ok("it", "begins"), warning("it", "is slow", "Wait.")]
    assert guarded("it", lambda: findings) == findings
    assert guarded("it", list) == []
