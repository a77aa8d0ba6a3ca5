"""A model of how long a run takes: the cost of each stage, shared by ranks.

`grt-batch plan` advises by it, and bench/simulator.py runs the ranks' own code on its costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from grt_batch.core.config import Config
from grt_batch.core.timing import Stage
from grt_batch.pipeline.planned import Planned
from grt_batch.pipeline.request import BACKFILLED


@dataclass(frozen=True)
class Cost:
    """Seconds of one core: bytes at a rate of `per_second`, and `each` time on top."""

    per_second: float = math.inf
    each: float = 0.0

    def of(self, size: float, times: float = 1) -> float:
        """Return the seconds for `size` bytes in `times` pieces."""
        return size / self.per_second + times * self.each

    def slower(self, factor: float) -> Cost:
        """Return the cost on a machine that takes `factor` times as long."""
        return Cost(self.per_second / factor, self.each * factor)


COSTS: Mapping[Stage, Cost] = MappingProxyType(
    {
        # Of an archive: bytes of tar.gz for READ, of text for the others.
        Stage.READ: Cost(1_520e6),
        Stage.GUNZIP: Cost(1_320e6, 0.0013),
        Stage.DECODE: Cost(1_350e6, 0.0011),
        Stage.LEAD: Cost(1_750e6, 0.0085),
        Stage.JOIN: Cost(4_950e6, 0.0012),
        Stage.AGGREGATE: Cost(2_320e6, 0.0049),
        Stage.STORE: Cost(2_170e6, 0.005),
        Stage.REDUCE: Cost(each=0.00043),
        # Of all modules together: bytes of partials, and archives.
        Stage.MERGE: Cost(106e6, 0.0019),
        # Of all tables together: bytes of text.
        Stage.TABLES: Cost(59.9e6),
        Stage.TSV: Cost(541e6, 0.057),
        Stage.COPY: Cost(91.2e6, 0.69),
        Stage.SWAP: Cost(each=0.052),
        # Of a message.
        Stage.SEND: Cost(2_000e6, 40e-6),
        Stage.RECEIVE: Cost(2_000e6, 40e-6),
    }
)
"""Measured costs; docs/scaling.md says when, where and how."""


SHARES: Mapping[str, float] = MappingProxyType(
    {"metrics": 0.40, "params": 0.22, "inputs": 0.17, "errors": 0.10, "tools": 0.10, "instances": 0.01}
)
"""The share of each module in merging and rendering, measured in the same way."""


IN_AND_OUT = frozenset({Stage.READ, Stage.STORE, Stage.TSV, Stage.COPY, Stage.SWAP})
"""Stages that wait for a disk or a server: their wall time counts, for others the CPU time."""


_ENOUGH_SECONDS = 0.5


_RUNS_LOOKED_AT = 20


@dataclass(frozen=True)
class Work:
    """The work of a run: by instance the bytes of tar.gz of each archive that must be read, and of those known."""

    new: Mapping[str, Sequence[int]]
    known: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def archives(self) -> Iterator[int]:
        """Yield the bytes of the archives that must be read."""
        return (size for sizes in self.new.values() for size in sizes)

    @property
    def instances(self) -> Mapping[str, int]:
        """Return the bytes of all archives of each instance."""
        both = (self.new, self.known)
        return {name: sum(sum(part.get(name, ())) for part in both) for part in both for name in part}


@dataclass(frozen=True)
class Model:
    """Costs, and how much data each step makes of its input. Seconds are those of one core without other load."""

    costs: Mapping[Stage, Cost] = field(default_factory=lambda: COSTS)
    start: float = 0.5
    """seconds until all ranks are there, with all that they import"""
    prepare: float = 0.15
    """seconds for the database and the plan"""
    warm: float = 0.3
    """seconds of each rank until its first block is decoded: what was compiled is loaded"""
    latency: float = 5e-4
    """seconds until a rank that sleeps sees a message"""
    text_per_byte: float = 5.25
    """bytes of text for a byte of tar.gz"""
    records_per_text: float = 0.27
    """bytes of joined records in memory for a byte of text"""
    decoded_per_text: float = 0.5
    """bytes of columns for a byte of text"""
    text_per_job: float = 769
    partial_factor: float = 32
    partial_power: float = 0.651
    """partials of all modules of an archive are partial_factor × text ** partial_power bytes"""
    waited_for: float = 0.1
    """the share of COPY that nothing runs beside: that of the last tables"""
    table_factor: float = 157_000
    table_power: float = 0.282
    """the same of all tables, by the text of an instance; summed over the instances"""

    def seconds_of(self, stage: Stage, size: float, times: float = 1) -> float:
        """Return the seconds of a stage."""
        return self.costs[stage].of(size, times)

    def text(self, tar: float) -> float:
        """Return the bytes of text in `tar` bytes of tar.gz."""
        return tar * self.text_per_byte

    def partials(self, tar: float) -> float:
        """Return the bytes of the partials of an archive."""
        return float(self.partial_factor * self.text(tar) ** self.partial_power)

    def tables(self, instances: Mapping[str, int]) -> float:
        """Return the bytes of all tables."""
        return float(self.table_factor * sum(self.text(size) ** self.table_power for size in instances.values()))

    def before(self, tar: float) -> float:
        """Return the seconds that the controller of an archive works alone, to unpack and to join it."""
        text = self.text(tar)
        stages = (Stage.GUNZIP, Stage.LEAD, Stage.JOIN)
        return self.seconds_of(Stage.READ, tar) + sum(self.seconds_of(stage, text) for stage in stages)

    def alone(self, tar: float) -> float:
        """Return the seconds of one rank for an archive, from tar.gz to partials."""
        text = self.text(tar)
        rest = (Stage.DECODE, Stage.STORE, Stage.AGGREGATE)
        return self.before(tar) + sum(self.seconds_of(stage, text) for stage in rest)

    def helped(self, tar: float, jobs_at_once: int) -> float:
        """Return the same with as many workers as there is work for: decoding is free, aggregation takes one task."""
        text = self.text(tar)
        longest = min(text, jobs_at_once * self.text_per_job)
        return self.before(tar) + self.seconds_of(Stage.STORE, text) + self.seconds_of(Stage.AGGREGATE, longest)

    def merging(self, work: Work) -> Mapping[str, float]:
        """Return the seconds to merge, by instance: the partials of new archives with those merged before."""
        return {
            name: self.seconds_of(
                Stage.MERGE, self.partials(sum(work.known.get(name, ()))) + sum(map(self.partials, sizes)), len(sizes)
            )
            for name, sizes in work.new.items()
            if sizes
        }

    def merged(self, work: Work, ranks: int) -> float:
        """Return the seconds to merge with all ranks; each module of an instance is merged by one of them."""
        each = self.merging(work)
        return _spread(sum(each.values()), max(each.values(), default=0.0) * max(SHARES.values()), ranks)

    def publishing(self, work: Work, ranks: int) -> float:
        """Return the seconds to render and publish; each module is rendered by one rank. 0 where nothing is new."""
        if not any(True for _ in work.archives):
            return 0.0
        size = self.tables(work.instances)
        rows = self.seconds_of(Stage.TABLES, size)
        made = _spread(rows, rows * max(SHARES.values()), ranks) + self.seconds_of(Stage.TSV, size)
        copied = self.seconds_of(Stage.COPY, size)
        return max(made + self.waited_for * copied, copied) + self.seconds_of(Stage.SWAP, 0)

    def seconds(self, work: Work, ranks: int, jobs_at_once: int = 500_000) -> float:
        """Return the seconds of a run with `ranks` ranks, each on a core of its own."""
        sizes = list(work.archives)
        together = sum(map(self.alone, sizes))
        longest = max((self.helped(size, jobs_at_once) for size in sizes), default=0.0)
        reading = max(together / max(1, ranks - 1), longest) + self.seconds_of(Stage.REDUCE, 0, len(sizes))
        return self.start + self.prepare + self.warm + reading + self.merged(work, ranks) + self.publishing(work, ranks)

    def busy(self, work: Work, jobs_at_once: int = 500_000) -> int:
        """Return the number of ranks that all archives together keep busy, besides rank 0."""
        return sum(max(1, int(self.alone(size) / self.helped(size, jobs_at_once))) for size in work.archives)

    def fitted(self, numbers: Mapping[str, Any]) -> Model:
        """Return the model fitted to the machine of a run: each stage that took long enough gets the factor seen there.

        `numbers` are a run.json. Raises KeyError or TypeError for one without stages.
        """
        size, times, seconds = (_summed(numbers["stages"], what) for what in ("bytes", "times", "seconds"))
        cpu = _summed(numbers["stages"], "cpu_seconds")
        read, text, rendered = size.get(Stage.READ, 0), size.get(Stage.GUNZIP, 0), size.get(Stage.TABLES, 0)
        archives = times.get(Stage.JOIN, 0)
        of_archives = (Stage.GUNZIP, Stage.DECODE, Stage.LEAD, Stage.JOIN, Stage.AGGREGATE, Stage.STORE)
        expected = {stage: self.seconds_of(stage, text, archives) for stage in of_archives}
        expected |= {stage: self.seconds_of(stage, rendered) for stage in (Stage.TABLES, Stage.TSV, Stage.COPY)}
        expected[Stage.READ] = self.seconds_of(Stage.READ, read)
        expected[Stage.MERGE] = self.seconds_of(Stage.MERGE, size.get(Stage.MERGE, 0), archives)
        costs = dict(self.costs)
        for stage, wanted in expected.items():
            found = (seconds if stage in IN_AND_OUT else cpu).get(stage, 0.0)
            if min(wanted, found) > _ENOUGH_SECONDS:
                costs[stage] = costs[stage].slower(found / wanted)
        return replace(self, costs=costs, text_per_byte=text / read if read else self.text_per_byte)


def _spread(total: float, longest: float, ranks: int) -> float:
    """Return the seconds of work that all ranks but the first share, given the longest piece."""
    return max(total / max(1, ranks - 1), longest)


def _summed(stages: Sequence[Mapping[str, Any]], what: str) -> dict[str, float]:
    """Return the sum over all ranks, by stage."""
    found: dict[str, float] = {}
    for rank in stages:
        for stage, value in rank[what].items():
            found[stage] = found.get(stage, 0) + value
    return found


def model_of(reports: Path) -> Model:
    """Return the model fitted to the newest run in `reports` that read enough, or the model of COSTS."""
    model = Model()
    files = sorted(reports.glob("[0-9]*/run.json"), key=lambda file: file.parent.name, reverse=True)
    # The times of a set of a backfill are those of all sets before it, too.
    runs = (numbers for numbers in map(_numbers, files) if numbers.get("state") != BACKFILLED)
    for numbers in islice(runs, _RUNS_LOOKED_AT):
        try:
            if _summed(numbers["stages"], "cpu_seconds").get(Stage.DECODE, 0) > 2 * _ENOUGH_SECONDS:
                return model.fitted(numbers)
        except (KeyError, TypeError, AttributeError):
            # A run.json of another version, or a damaged one, is of no use; the advice is generous anyway.
            continue
    return model


def _numbers(file: Path) -> dict[str, Any]:
    """Return a run.json, nothing of one that cannot be read."""
    try:
        numbers = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return numbers if isinstance(numbers, dict) else {}


@dataclass(frozen=True)
class Advice:
    """How to start a run: the number of MPI ranks, the expected seconds, and the minutes to ask a batch system for."""

    bytes_to_read: int
    ranks: int
    seconds: int
    minutes: int


def work_of(planned: Sequence[Planned]) -> Work:
    """Return the work of planned archives."""
    new: dict[str, list[int]] = {}
    known: dict[str, list[int]] = {}
    for item in planned:
        if item.must_be_read or item.counts:
            by_instance = new if item.must_be_read else known
            by_instance.setdefault(item.archive.instance_id, []).append(item.archive.bytes)
    return Work(new, known)


def advise(planned: Sequence[Planned], config: Config, model: Model) -> Advice:
    """Advise ranks and time for a run.

    One rank coordinates, and `bytes_per_rank` are worth one more, up to as many as the model keeps busy: 2 workers at
    least, `max_ranks` in all at most. One rank is enough where there is nothing to read. The minutes are for twice the
    work and a quarter of an hour, since a batch system ends a job that takes longer.
    """
    work = work_of(planned)
    to_read = sum(work.archives)
    worth = min(-(-to_read // max(1, config.bytes_per_rank)), model.busy(work, config.aggregate_jobs))
    ranks = max(1, min(1 + max(2, worth), config.max_ranks)) if work.new else 1
    seconds = model.seconds(work, ranks, config.aggregate_jobs)
    return Advice(to_read, ranks, round(seconds), 15 + int(2 * seconds / 60))
