"""Joins the decoded members of one archive into one row a job.

The newest line of a job wins: of jobs and of metrics the last one in the archive counts. Rows of a job that the
archive does not hold are orphans: counted, and in no sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch import details
from grt_batch.columns import Decoded, Integers
from grt_batch.details import Collected, nullable
from grt_batch.joined import Dataset, Job, Metric, Param, Record
from grt_batch.memory import give_back
from grt_batch.records import (
    CPU_V1,
    CPU_V2,
    END,
    MEMORY_MB,
    MEMORY_V1,
    MEMORY_V2,
    METRICS,
    NULL,
    RUNTIME,
    SECONDS_SCALE,
    SLOTS,
    START,
    Kind,
)

SECOND = 10**SECONDS_SCALE
"""Seconds and cores are kept as integers of 1e-7."""


TERMINAL_STATES = ("ok", "error", "failed", "deleted", "deleted_new", "stopped", "skipped")
"""A job in one of these stays as it is; in any other, known or not, it may be exported again."""


@dataclass
class Members:
    """What was read of the members of one kind: lines = accepted + rejected; salvaged are among the accepted,
    fragments (a piece of a salvaged line) apart. `redacted` are records and rejected lines of which something was
    redacted; of records of which only the job ids are decoded, none."""

    lines: int = 0
    accepted: int = 0
    salvaged: int = 0
    rejected: int = 0
    fragments: int = 0
    orphans: int = 0
    redacted: int = 0

    def add(self, decoded: Decoded) -> None:
        """Count one block."""
        fragments = sum(reject.fragment for reject in decoded.rejects)
        self.lines += decoded.lines
        self.accepted += decoded.accepted
        self.salvaged += decoded.salvaged
        self.redacted += decoded.redacted
        self.rejected += len(decoded.rejects) - fragments
        self.fragments += fragments


@dataclass
class Joiner:
    """Takes the decoded blocks of one archive, in the order in which they stand in it, and joins them. `wanted` are the
    kinds of records that are joined besides the jobs; the blocks must have been decoded for them."""

    wanted: Collection[str] = ()
    members: dict[Kind, Members] = field(default_factory=lambda: {kind: Members() for kind in Kind})
    replaced: int = 0
    reasons: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    _collected: dict[Kind, Collected] = field(default_factory=lambda: {kind: Collected() for kind in Kind})
    _metrics: list[Mapping[str, npt.NDArray[Any]]] = field(default_factory=list)
    _nameless: list[Integers] = field(default_factory=list)

    def add(self, decoded: Decoded) -> None:
        """Take the next block."""
        kind = decoded.layout.kind
        self.members[kind].add(decoded)
        self.replaced += decoded.replaced
        self.reasons.update((kind, reject.reason) for reject in decoded.rejects)
        if kind is Kind.METRIC_NUM and "values" not in decoded.columns:
            self._nameless.append(decoded.columns["id"])
        elif kind is Kind.METRIC_NUM:
            reduced = ("id", "records", "values", "seen")
            self._metrics.append({name: decoded.columns[name] for name in reduced})
            if Metric.kind in self.wanted:
                self._collected[kind].add(decoded, (name for name in decoded.columns if name not in reduced))
        elif kind is Kind.DATASETS and not {Dataset.kind, Param.kind} & set(self.wanted):
            self._collected[kind].add(decoded, ("id", "size", "output"))
        else:
            self._collected[kind].add(decoded, (name for name in decoded.columns if name != "line"))

    def join(self) -> tuple[dict[type[Record], pl.DataFrame], int]:
        """The joined records by their class: one row a job, and the rows of those classes that are wanted, all by
        rising job id; and how many jobs stood in the archive more than once."""
        jobs = self._collected[Kind.JOBS]
        all_ids = jobs.take("id")
        order = np.argsort(all_ids, kind="stable")
        sorted_ids = all_ids[order]
        last = np.append(sorted_ids[1:] != sorted_ids[:-1], True)[: len(order)]
        order = order[last]
        ids = sorted_ids[last]
        find = _Rows(ids)
        frames: dict[type[Record], pl.DataFrame] = {Job: self._join_jobs(ids, order, find)}
        for kind in (Kind.PARAMS, Kind.METRIC_TXT):
            self.members[kind].orphans += sum(int((find(part["id"]) < 0).sum()) for part in self._collected[kind].parts)
        if Dataset.kind in self.wanted:
            frames[Dataset] = details.datasets(self._collected[Kind.DATASETS], find)
        if Param.kind in self.wanted:
            inputs = frames[Dataset] if Dataset in frames else details.datasets(self._collected[Kind.DATASETS], find)
            frames[Param] = details.params(self._collected[Kind.PARAMS], find, inputs)
        if Metric.kind in self.wanted:
            frames[Metric] = details.metrics(self._collected[Kind.METRIC_NUM], self._collected[Kind.METRIC_TXT], find)
        return frames, len(sorted_ids) - len(ids)

    def _join_jobs(self, ids: Integers, order: Integers, find: _Rows) -> pl.DataFrame:
        jobs = self._collected[Kind.JOBS]
        created, tools, states = (jobs.take(name)[order] for name in ("create_time", "tool", "state"))
        values, has_metrics = self._join_metrics(ids, find)
        total, known, implausible = self._join_datasets(ids, find)
        open_states = np.array([state not in TERMINAL_STATES for (state,) in jobs.dictionary("state").codes], np.bool_)
        return pl.DataFrame(
            {
                Job.job_id.name: ids,
                Job.tool_id.name: jobs.dictionary("tool").column(0, tools),
                Job.tool_version.name: jobs.dictionary("tool").column(1, tools),
                Job.state.name: jobs.dictionary("state").column(0, states),
                **_times(created),
                **_measurements(values, created, implausible),
                Job.input_bytes.name: nullable(np.where(known[:, 0] > 0, total[:, 0], NULL)),
                Job.output_bytes.name: nullable(np.where(known[:, 1] > 0, total[:, 1], NULL)),
                Job.without_metrics.name: has_metrics == 0,
                Job.implausible.name: implausible != 0,
                Job.non_terminal.name: open_states[states],
            }
        )

    def _join_metrics(self, ids: Integers, find: _Rows) -> tuple[Integers, npt.NDArray[np.uint8]]:
        from grt_batch import kernels

        values = np.full((len(METRICS), len(ids)), NULL, np.int64)
        has_metrics = np.zeros(len(ids), np.uint8)
        # A member whose header lacks a column has records that say nothing, but are there.
        for ids_of_block in self._nameless:
            self.members[Kind.METRIC_NUM].orphans += int((find(ids_of_block) < 0).sum())
        for block in self._metrics:
            rows = find(block["id"])
            self.members[Kind.METRIC_NUM].orphans += int(block["records"][rows < 0].sum())
            kernels.put_metrics(rows, block["values"], block["seen"], values, has_metrics)
        freed = sum(column.nbytes for block in self._metrics for column in block.values())
        self._metrics.clear()
        give_back(freed)
        return values, has_metrics

    def _join_datasets(self, ids: Integers, find: _Rows) -> tuple[Integers, Integers, npt.NDArray[np.uint8]]:
        from grt_batch import kernels

        total, known = np.zeros((len(ids), 2), np.int64), np.zeros((len(ids), 2), np.int64)
        implausible = np.zeros(len(ids), np.uint8)
        for block in self._collected[Kind.DATASETS].parts:
            rows = find(block["id"])
            self.members[Kind.DATASETS].orphans += int((rows < 0).sum())
            kernels.add_sizes(rows, block["size"], block["output"], total, known, implausible)
        return total, known, implausible


class _Rows:
    """Job ids → rows of a sorted array of them, -1 where there is none; a direct table where the range allows it."""

    def __init__(self, ids: Integers) -> None:
        self.ids = ids
        self.table: Integers | None = None
        if len(ids) and float(ids[-1]) - float(ids[0]) < 8 * len(ids) + 1_000_000:
            self.table = np.full(int(ids[-1] - ids[0]) + 1, -1, np.int64)
            self.table[ids - ids[0]] = np.arange(len(ids))

    def __call__(self, wanted: Integers) -> Integers:
        from grt_batch import kernels

        if not len(self.ids):
            return np.full(len(wanted), -1, np.int64)
        if self.table is not None:
            rows = np.empty(len(wanted), np.int64)
            kernels.find_rows(wanted, self.ids[0], self.table, rows)
            return rows
        rows = np.searchsorted(self.ids, wanted)
        rows[rows == len(self.ids)] = 0
        return np.where(self.ids[rows] == wanted, rows, -1)


def _times(created: Integers) -> dict[str, pl.Series]:
    times = nullable(created).cast(Job.create_time.type)
    days = times.dt.date()
    # `month_start` does the same, but takes twice as long.
    months = (days.cast(pl.Int32) - days.dt.day() + 1).cast(pl.Date)
    return {Job.create_time.name: times, Job.day.name: days, Job.month.name: months}


def _measurements(values: Integers, created: Integers, implausible: npt.NDArray[np.uint8]) -> dict[str, pl.Series]:
    """The measures of CONTRACT's metrics; marks the jobs of which a measurement was negative as `implausible`."""

    def plausible(column: Integers) -> Integers:
        negative = (column < 0) & (column != NULL)
        implausible[negative] = 1
        return np.where(negative, NULL, column)

    def unless_null(result: Integers, *columns: Integers) -> Integers:
        return np.where(np.logical_or.reduce([column == NULL for column in columns]), NULL, result)

    def first(*columns: Integers) -> Integers:
        result = columns[0]
        for column in columns[1:]:
            result = np.where(result == NULL, column, result)
        return result

    start, end = plausible(values[START]), plausible(values[END])
    elapsed = unless_null(end - np.where(start == NULL, 0, start), start, end)
    # Only a missing runtime is end - start: a negative one is no reason to look further.
    runtime = plausible(np.where(values[RUNTIME] == NULL, elapsed, values[RUNTIME]))
    cores = plausible(values[SLOTS])
    megabytes = plausible(values[MEMORY_MB])
    peaks = [plausible(values[metric]) for metric in (MEMORY_V2, MEMORY_V1)]
    memory = first(*(np.where(peak == 0, NULL, peak) for peak in peaks))
    usec = plausible(values[CPU_V2])
    cpu = first(np.where((usec == NULL) | (usec > 2**62 // 1000), NULL, usec * 1000), plausible(values[CPU_V1]))
    waited = np.where(start > 2**62, NULL, start) - created * 10
    waited = unless_null(np.where(waited < 0, NULL, waited), start, created)
    return {
        Job.runtime.name: nullable(runtime),
        Job.memory.name: nullable(memory),
        Job.cpu.name: nullable(cpu),
        Job.cores.name: nullable(cores),
        Job.allocated_memory.name: nullable(unless_null(_times_exact(megabytes, 2**20), megabytes)),
        Job.core_seconds.name: nullable(unless_null(_times_exact(runtime, cores), runtime, cores)),
        Job.wait.name: nullable(waited),
    }


def _times_exact(a: Integers, b: Integers | int) -> Integers:
    """a × b / SECOND of non-negative integers, rounded down; NULL where it leaves 62 bits."""
    whole, part = np.asarray(b) // SECOND, np.asarray(b) % SECOND
    large = a.astype(np.float64) * np.asarray(b, np.float64) / SECOND >= 2.0**62
    a = np.where(large, 0, a)
    # a × part may not fit at once: a's own whole and part keep every product below 2^63.
    return np.where(large, NULL, a * whole + (a // SECOND) * part + (a % SECOND) * part // SECOND)
