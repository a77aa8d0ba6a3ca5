"""Joins the decoded members of one archive into one row a job.

The last line of a job or metric in the archive wins. Records of jobs that the archive does not hold are orphans: they
are counted, and contribute to no sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from grt_batch.decode.columns import Decoded, Integers
from grt_batch.join import child_records
from grt_batch.join.buffers import Collected, Rows, nullable
from grt_batch.join.leaves import leaves
from grt_batch.ledger.account import Members
from grt_batch.schema.members import (
    CPU_V1,
    CPU_V2,
    END,
    HITS_V1,
    KILLS_V2,
    LIMIT_V1,
    MEMORY_MB,
    MEMORY_V1,
    MEMORY_V2,
    METRICS,
    NULL,
    RUNTIME,
    SECOND,
    SLOTS,
    START,
    Kind,
)
from grt_batch.schema.records import Dataset, Job, Leaf, Metric, Param, Record

TERMINAL_STATES = ("ok", "error", "failed", "deleted", "deleted_new", "stopped", "skipped")
"""A job in one of these states does not change any more; in any other, known or not, it may be exported again."""


_WITH_DATASETS = {Param.kind, Leaf.kind, Dataset.kind}
"""Kinds of records that are made of datasets: a parameter may have the id of one."""


_FOUND_AT_ONCE = 1 << 20


Flags = npt.NDArray[np.bool_]


@dataclass
class Joiner:
    """Takes the decoded blocks of one archive, in order, and joins them.

    `wanted` names the kinds of records to join besides the jobs; the blocks must have been decoded for them.
    """

    wanted: Collection[str] = ()
    members: dict[Kind, Members] = field(default_factory=lambda: {kind: Members() for kind in Kind})
    replaced: int = 0
    reasons: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    _collected: dict[Kind, Collected] = field(default_factory=lambda: {kind: Collected() for kind in Kind})
    _measured: Collected = field(default_factory=Collected)

    def add(self, decoded: Decoded) -> None:
        """Take the next block."""
        kind = decoded.layout.kind
        self.members[kind].add(_counts(decoded))
        self.replaced += decoded.replaced
        self.reasons.update((kind, reject.reason) for reject in decoded.rejects)
        if kind is Kind.METRIC_NUM and "values" not in decoded.columns:
            # A header without one of the columns leaves records without a value; they still count.
            self._measured.put("nameless", decoded.columns["id"])
        elif kind is Kind.METRIC_NUM:
            reduced = ("id", "records", "values", "seen")
            self._add_metrics(*(decoded.columns[name] for name in reduced))
            if Metric.kind in self.wanted:
                self._collected[kind].add(decoded, (name for name in decoded.columns if name not in reduced))
        elif kind is Kind.DATASETS and not _WITH_DATASETS & set(self.wanted):
            self._collected[kind].add(decoded, ("id", "dataset_id", "size", "output"))
        else:
            self._collected[kind].add(decoded, (name for name in decoded.columns if name != "line"))

    def _add_metrics(self, ids: Integers, records: Integers, values: Integers, seen: npt.NDArray[np.uint16]) -> None:
        """Keep which metrics each job has, and for each metric the values of the jobs that have it."""
        self._measured.put("id", ids)
        self._measured.put("records", records.astype(np.int32))
        self._measured.put("seen", seen)
        for number, metric in enumerate(METRICS):
            self._measured.put(metric.name, values[:, number].compress(seen & (1 << number)))

    def join(self) -> tuple[dict[type[Record], pl.DataFrame], int]:
        """Return the joined records by class, and the number of replaced lines of jobs.

        There is one row a job, and the rows of the wanted classes, all by rising job id. The blocks are freed on the
        way.
        """
        ids, order, repeated = _newest(self._collected[Kind.JOBS].take("id"))
        self._find_jobs(ids)
        frames: dict[type[Record], pl.DataFrame] = {Job: self._join_jobs(ids, order)}
        if _WITH_DATASETS & set(self.wanted):
            frames[Dataset] = child_records.datasets(self._collected[Kind.DATASETS], ids)
        if {Param.kind, Leaf.kind} & set(self.wanted):
            collected = self._collected[Kind.PARAMS]
            rows, order = child_records.in_order(collected.take("row"))
            if Param.kind in self.wanted:
                frames[Param] = child_records.params(collected, rows, order, ids, frames[Dataset])
            if Leaf.kind in self.wanted:
                frames[Leaf] = leaves(collected, rows, order, ids, frames[Dataset])
        if Metric.kind in self.wanted:
            frames[Metric] = child_records.metrics(
                self._collected[Kind.METRIC_NUM], self._collected[Kind.METRIC_TXT], ids
            )
        return {record: frame for record, frame in frames.items() if record.kind in {Job.kind, *self.wanted}}, repeated

    def _find_jobs(self, ids: Integers) -> None:
        """Replace the job ids of all records by rows of jobs, and count the orphans."""
        find = _RowsOf(ids)
        for kind in (Kind.PARAMS, Kind.DATASETS, Kind.METRIC_TXT):
            rows = find(self._collected[kind].take("id"))
            self.members[kind].orphans += int(np.count_nonzero(rows < 0))
            self._collected[kind].put("row", rows)
        rows = find(self._measured.take("id"))
        orphans = self._measured.take("records")[rows < 0].sum() + np.count_nonzero(
            find(self._measured.take("nameless")) < 0
        )
        self.members[Kind.METRIC_NUM].orphans += int(orphans)
        self._measured.put("row", rows)
        self._collected[Kind.METRIC_NUM].put("row", find(self._collected[Kind.METRIC_NUM].take("record_id")))

    def _join_jobs(self, ids: Integers, order: Integers) -> pl.DataFrame:
        jobs, count = self._collected[Kind.JOBS], len(ids)
        created, tools, states = (jobs.take(name)[order] for name in ("create_time", "tool", "state"))
        implausible, has_metrics = np.zeros(count, np.uint8), np.zeros(count + 1, np.uint8)
        # Orphans have row -1, which nobody reads.
        has_metrics[self._measured["row"]] = 1
        names = [state for (state,) in jobs.dictionary("state").codes]
        open_states = np.array([state not in TERMINAL_STATES for state in names], np.bool_)
        failed = np.array([state == "error" for state in names], np.bool_)[states]
        return pl.DataFrame(
            {
                Job.job_id.name: ids,
                Job.tool_id.name: jobs.dictionary("tool").column(0, tools),
                Job.tool_version.name: jobs.dictionary("tool").column(1, tools),
                Job.state.name: jobs.dictionary("state").column(0, states),
                **_times(created),
                **_measurements(lambda metric: self._metric(metric, count), created, failed, implausible),
                **self._sizes(implausible),
                Job.without_metrics.name: has_metrics[:count] == 0,
                Job.implausible.name: implausible != 0,
                Job.non_terminal.name: open_states[states],
            }
        )

    def _metric(self, metric: int, count: int) -> Integers:
        """Return the newest value of a metric for each of `count` jobs, NULL where there is none."""
        from grt_batch.kernels import joins

        newest = np.full(count, NULL, np.int64)
        values = self._measured.take(METRICS[metric].name)
        if len(values):
            joins.put_metric(self._measured["row"], self._measured["seen"], metric, values, newest)
        return newest

    def _sizes(self, implausible: npt.NDArray[np.uint8]) -> dict[str, pl.Series]:
        """Return the bytes of the datasets of each job; mark jobs with impossible sizes as `implausible`."""
        from grt_batch.kernels import joins

        total = np.full((2, len(implausible)), NULL, np.int64)
        datasets = self._collected[Kind.DATASETS]
        rows = datasets["row"]
        if len(rows):
            order, ends = np.empty(len(rows), np.int32), np.zeros(len(implausible) + 1, np.int32)
            order = order[: joins.put_in_order(rows, ends, order)]
            table = np.zeros(1 << (2 * int(np.diff(ends[:-1], prepend=0).max(initial=1))).bit_length(), np.int32)
            dataset, size, output = (datasets[name] for name in ("dataset_id", "size", "output"))
            joins.add_sizes(order, ends, dataset, size, output, table, total, implausible)
        return {Job.input_bytes.name: nullable(total[0]), Job.output_bytes.name: nullable(total[1])}


def _counts(decoded: Decoded) -> Members:
    """Return the counts of one block."""
    fragments = sum(reject.fragment for reject in decoded.rejects)
    return Members(
        lines=decoded.lines,
        accepted=decoded.accepted,
        salvaged=decoded.salvaged,
        rejected=len(decoded.rejects) - fragments,
        fragments=fragments,
        redacted=decoded.redacted,
        left_out=decoded.left_out,
    )


def _newest(ids: Integers) -> tuple[Integers, Integers, int]:
    """Return the distinct ids in order, the row of each id's last line, and the number of replaced lines."""
    order = np.argsort(ids, kind="stable")
    rising = ids[order]
    last = np.append(rising[1:] != rising[:-1], True)[: len(ids)]
    return rising[last], order[last], len(ids) - int(np.count_nonzero(last))


class _RowsOf:
    """Maps job ids to rows of a sorted array of ids, -1 for others; by a direct table where their range allows."""

    def __init__(self, ids: Integers) -> None:
        self.ids = ids
        self.table: Rows | None = None
        if len(ids) and float(ids[-1]) - float(ids[0]) < 8 * len(ids) + 1_000_000:
            self.table = np.full(int(ids[-1] - ids[0]) + 1, -1, np.int32)
            self.table[ids - ids[0]] = np.arange(len(ids))

    def __call__(self, wanted: Integers) -> Rows:
        from grt_batch.kernels import joins

        rows = np.full(len(wanted), -1, np.int32)
        if self.table is not None:
            joins.find_rows(wanted, self.ids[0], self.table, rows)
        elif len(self.ids):
            for begin in range(0, len(wanted), _FOUND_AT_ONCE):
                some = wanted[begin : begin + _FOUND_AT_ONCE]
                found = np.searchsorted(self.ids, some)
                found[found == len(self.ids)] = 0
                rows[begin : begin + _FOUND_AT_ONCE] = np.where(self.ids[found] == some, found, -1)
        return rows


def _times(created: Integers) -> dict[str, pl.Series]:
    times = nullable(created).cast(Job.create_time.type)
    days = times.dt.date()
    # `month_start` takes twice as long.
    months = (days.cast(pl.Int32) - days.dt.day() + 1).cast(pl.Date)
    return {Job.create_time.name: times, Job.day.name: days, Job.month.name: months}


def _measurements(
    metric: Callable[[int], Integers], created: Integers, failed: Flags, implausible: npt.NDArray[np.uint8]
) -> dict[str, pl.Series]:
    """Return the measures of a job; mark jobs with a negative measurement as `implausible`. `failed` are in error.

    Each `metric` is fetched once, and late: all of them together would need more memory than the result.
    """

    def plausible(column: Integers) -> Integers:
        negative = (column < 0) & (column != NULL)
        implausible[negative] = 1
        column[negative] = NULL
        return column

    start = plausible(metric(START))
    wait = nullable(_waited(start, created))
    # Only a missing runtime becomes end - start; a negative one stays implausible.
    runtime = plausible(_first(metric(RUNTIME), _elapsed(start, plausible(metric(END)))))
    cores = plausible(metric(SLOTS))
    peaks = [plausible(metric(number)) for number in (MEMORY_V2, MEMORY_V1)]
    oom = _killed(failed, peaks[1], *(plausible(metric(number)) for number in (LIMIT_V1, HITS_V1, KILLS_V2)))
    memory = nullable(_first(*(np.where(peak == 0, NULL, peak) for peak in peaks)))
    del start, peaks
    usec = plausible(metric(CPU_V2))
    cpu = np.where((usec == NULL) | (usec > 2**62 // 1000), NULL, usec * 1000)
    megabytes = plausible(metric(MEMORY_MB))
    return {
        Job.runtime.name: nullable(runtime),
        Job.memory.name: memory,
        Job.cpu.name: nullable(_first(cpu, plausible(metric(CPU_V1)))),
        Job.cores.name: nullable(cores),
        Job.allocated_memory.name: nullable(_unless_null(_times_exact(megabytes, 2**20), megabytes)),
        Job.core_seconds.name: nullable(_unless_null(_times_exact(runtime, cores), runtime, cores)),
        Job.wait.name: wait,
        Job.oom.name: oom,
    }


def _killed(failed: Flags, peak: Integers, limit: Integers, hits: Integers, kills: Integers) -> pl.Series:
    """Return which jobs were killed for memory, null where nothing could tell.

    The second cgroups count the kills. Under the first ones a job that `failed` with its peak at 98 % of a limit or
    more is taken for killed. Without a limit they cannot tell: the system may have killed the job. A job with a limit
    but no peak was not killed if it never hit the limit; hits alone prove nothing.
    """
    # NULL is negative, and stands for "no limit" too.
    limited, measured = limit > 0, peak > 0
    # 100 · peak ≥ 98 · limit, where neither product need fit.
    near = limited & measured & (limit - peak <= limit // 50)
    uncounted = kills == NULL
    killed = pl.Series(np.where(uncounted, failed & near, kills > 0))
    return killed.set(pl.Series(uncounted & ~(limited & (measured | (hits == 0)))), None)


def _waited(start: Integers, created: Integers) -> Integers:
    waited = np.where(start > 2**62, NULL, start) - created * 10
    return _unless_null(np.where(waited < 0, NULL, waited), start, created)


def _elapsed(start: Integers, end: Integers) -> Integers:
    return _unless_null(end - np.where(start == NULL, 0, start), start, end)


def _unless_null(result: Integers, *columns: Integers) -> Integers:
    return np.where(np.logical_or.reduce([column == NULL for column in columns]), NULL, result)


def _first(column: Integers, other: Integers) -> Integers:
    """Return the values of a column, replaced by those of the other one where they are NULL."""
    return np.where(column == NULL, other, column)


def _times_exact(a: Integers, b: Integers | int) -> Integers:
    """Return a × b / SECOND for non-negative integers, rounded down; NULL beyond 62 bits."""
    whole, part = np.asarray(b) // SECOND, np.asarray(b) % SECOND
    large = a.astype(np.float64) * np.asarray(b, np.float64) / SECOND >= 2.0**62
    a = np.where(large, 0, a)
    # a × part may not fit at once: a's own whole and part keep every product below 2^63.
    return np.where(large, NULL, a * whole + (a // SECOND) * part + (a % SECOND) * part // SECOND)
