"""The time of a rank by stage: seconds, CPU seconds, bytes and counts, and for a profile every single span."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """The stages of the work. Parentheses name the bytes that are counted."""

    PLAN = "plan"
    """looking up in folders and the store what is known of each archive"""
    REDUCE = "reduce"
    """rank 0: handing out archives, and finding the jobs that newer ones replace"""
    LEAD = "lead"
    """a controller's work on an archive that is in no other stage: putting results of tasks together"""
    HELP = "help"
    """a worker's, likewise"""
    READ = "read"
    """reading a tar.gz, and its hash (of the file)"""
    GUNZIP = "gunzip"
    """unpacking it, and cutting it into blocks (of text)"""
    DECODE = "decode"
    """blocks into columns, redacted (of text)"""
    JOIN = "join"
    """the members of an archive, by job (of text)"""
    AGGREGATE = "aggregate"
    """joined records into partials (of the records in memory)"""
    STORE = "store"
    """packing and writing entries of the store (packed)"""
    LOAD = "load"
    """reading entries of the store (packed)"""
    MERGE = "merge"
    """partials of archives into one (of partials, packed)"""
    TABLES = "tables"
    """rows, and their text (of text)"""
    TSV = "tsv"
    """writing reports (of text)"""
    EXPORT = "export"
    """writing the folders of exports"""
    COPY = "copy"
    """filling new partitions, in a thread of its own (of text)"""
    GATE = "gate"
    """deciding whether the run may publish"""
    SWAP = "swap"
    """exchanging the partitions"""
    SEND = "send"
    """packing and sending messages (of them)"""
    RECEIVE = "receive"
    """receiving and unpacking messages (of them)"""
    WAITING = "waiting"
    """for a message; rank 0 also for the previous COPY"""


@dataclass(frozen=True)
class Span:
    """One visit to a stage: its subject, and its beginning in Unix seconds. `thread` is 0 for the main thread."""

    stage: Stage
    of: str
    begin: float
    seconds: float
    thread: int = 0


class Clock:
    """The time of one thread by stage. A stage interrupts the one around it, so that no second counts twice.

    `whole` has the seconds of outermost stages, interruptions included; `spans` are recorded if `recording` is set.
    """

    def __init__(self, cpu: Callable[[], float] = time.process_time) -> None:
        """`cpu` returns CPU seconds: those of the process with all its threads, or time.thread_time."""
        self.seconds: dict[Stage, float] = defaultdict(float)
        self.cpu_seconds: dict[Stage, float] = defaultdict(float)
        self.bytes: dict[Stage, int] = defaultdict(int)
        self.times: dict[Stage, int] = defaultdict(int)
        self.whole: dict[Stage, float] = defaultdict(float)
        self.spans: list[Span] = []
        self.recording = False
        self._cpu = cpu
        self._open: list[Stage] = []
        self._since = 0.0, 0.0
        self._epoch = time.time() - time.perf_counter()

    @contextmanager
    def stage(self, stage: Stage, size: int = 0, of: str = "") -> Iterator[None]:
        """Count the time of the block for a stage, and `size` bytes. `of` is its subject in a profile."""
        self.bytes[stage] += size
        if self._open[-1:] == [stage]:
            yield
            return
        begin = self._turn()
        self._open.append(stage)
        self.times[stage] += 1
        try:
            yield
        finally:
            end = self._turn()
            self._open.pop()
            if not self._open:
                self.whole[stage] += end - begin
            if self.recording:
                self.spans.append(Span(stage, of, self._epoch + begin, end - begin))

    def count(self, stage: Stage, size: int) -> None:
        """Count bytes for a stage, whichever stage is open."""
        self.bytes[stage] += size

    def add(self, other: Clock) -> None:
        """Add the counts of another thread."""
        for mine, others in zip(self._counts(), other._counts(), strict=True):
            for stage, value in others.items():
                mine[stage] += value
        self.spans += (Span(span.stage, span.of, span.begin, span.seconds, 1) for span in other.spans)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return all counts so far, for run.json."""
        self._turn()
        names = ("seconds", "cpu_seconds", "bytes", "times")
        return {
            name: {stage.value: round(value, 4) for stage, value in counts.items() if value}
            for name, counts in zip(names, self._counts()[: len(names)], strict=True)
        }

    def _counts(self) -> tuple[dict[Stage, Any], ...]:
        return self.seconds, self.cpu_seconds, self.bytes, self.times, self.whole

    def _turn(self) -> float:
        """Count the time since the last turn for the open stage, and return the present time."""
        now, cpu = time.perf_counter(), self._cpu()
        if self._open:
            begun, cpu_begun = self._since
            self.seconds[self._open[-1]] += now - begun
            self.cpu_seconds[self._open[-1]] += cpu - cpu_begun
        self._since = now, cpu
        return now
