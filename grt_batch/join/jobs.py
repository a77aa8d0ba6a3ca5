"""Joins the decoded members of one archive into one row a job.

The last line of a job or metric in the archive wins. Records of jobs that the archive does not hold are orphans: they
are counted, and contribute to no sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from grt_batch.columns.columns import Columns
from grt_batch.decode.columns import Decoded, Integers
from grt_batch.join import child_records
from grt_batch.join.buffers import Collected, Order, Rows
from grt_batch.join.leaves import leaves
from grt_batch.ledger.account import Members
from grt_batch.schema.members import METRICS, NULL, Kind
from grt_batch.schema.records import Dataset, Job, Leaf, Metric, Param, Record, Records

TERMINAL_STATES = ("ok", "error", "failed", "deleted", "deleted_new", "stopped", "skipped")
"""A job in one of these states does not change any more; in any other, known or not, it may be exported again."""


_FOUND_AT_ONCE = 1 << 20


_MEASURED = (Job.runtime, Job.memory, Job.cpu, Job.cores, Job.allocated_memory, Job.core_seconds, Job.wait)
"""What `kernels.joins.measure_jobs` measures, in its order."""


@dataclass
class Joiner:
    """Takes the decoded blocks of one archive, in order, and joins them.

    `wanted` names the kinds of records to join besides the jobs; the blocks must have been decoded for them.
    `implausible` counts, once they are joined, the jobs with such a measurement, by its name.
    """

    wanted: Collection[str] = ()
    members: dict[Kind, Members] = field(default_factory=lambda: {kind: Members() for kind in Kind})
    replaced: int = 0
    reasons: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    implausible: Counter[str] = field(default_factory=Counter)
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
        else:
            self._collected[kind].add(decoded, (name for name in decoded.columns if name != "line"))

    def _add_metrics(self, ids: Integers, records: Integers, values: Integers, seen: npt.NDArray[np.uint16]) -> None:
        """Keep which metrics each job has, and their values one after another."""
        from grt_batch.kernels import joins

        self._measured.put("id", ids)
        self._measured.put("records", records.astype(np.int32))
        self._measured.put("seen", seen)
        packed = self._measured.column("values", np.int64)
        packed.grow(int(joins.pack_values(values, seen, packed.room(values.size + 1))))

    def join(self) -> tuple[Records, int]:
        """Return the records of the jobs and of the wanted classes, and the number of replaced lines of jobs.

        There is one row a job; all rows are by rising job id. The blocks are freed on the way.
        """
        lines = self._collected[Kind.JOBS].take("id")
        jobs = _Jobs(lines)
        count, repeated = len(jobs.ids), len(lines) - len(jobs.ids)
        del lines
        rows, measured = self._find_jobs(jobs)
        jobs.table = None
        tables: dict[type[Record], Columns] = {}
        by_job = Order.of(rows.pop(Kind.DATASETS), count)
        tables[Dataset] = child_records.datasets(self._collected[Kind.DATASETS], by_job)
        tables[Job] = self._join_jobs(jobs, Order.of(measured, count), tables[Dataset], by_job.ends)
        if {Param.kind, Leaf.kind} & set(self.wanted):
            collected = self._collected[Kind.PARAMS]
            by_job = Order.of(rows.pop(Kind.PARAMS), count)
            if Param.kind in self.wanted:
                tables[Param] = child_records.params(collected, by_job, tables[Dataset])
            if Leaf.kind in self.wanted:
                tables[Leaf] = leaves(collected, by_job, tables[Dataset])
        if Metric.kind in self.wanted:
            kinds = (Kind.METRIC_NUM, Kind.METRIC_TXT)
            numbers, texts = ((self._collected[kind], Order.of(rows.pop(kind), count)) for kind in kinds)
            tables[Metric] = child_records.metrics(numbers, texts)
        wanted = {one: table for one, table in tables.items() if one.kind in {Job.kind, *self.wanted}}
        return Records(wanted), repeated

    def _find_jobs(self, find: _Jobs) -> tuple[dict[Kind, Rows], Rows]:
        """Return the rows of the jobs of all records and of what was measured, in place of their ids, and count the
        orphans."""
        rows = {}
        for kind in (Kind.PARAMS, Kind.DATASETS, Kind.METRIC_TXT):
            rows[kind] = find(self._collected[kind].take("id"))
            self.members[kind].orphans += len(_orphans(rows[kind]))
        measured = find(self._measured.take("id"))
        orphans = self._measured.take("records")[_orphans(measured)].sum()
        orphans += len(_orphans(find(self._measured.take("nameless"))))
        self.members[Kind.METRIC_NUM].orphans += int(orphans)
        rows[Kind.METRIC_NUM] = find(self._collected[Kind.METRIC_NUM].take("record_id"))
        return rows, measured

    def _join_jobs(self, found: _Jobs, metrics: Order, datasets: Columns, ends: Rows) -> Columns:
        from grt_batch.kernels import joins

        jobs, count = self._collected[Kind.JOBS], len(found.ids)
        names = [state for (state,) in jobs.dictionary("state").codes]
        is_open = np.array([state not in TERMINAL_STATES for state in names], np.int8)
        tools, versions = (jobs.dictionary("tool").coded(place) for place in range(2))
        states = jobs.dictionary("state").coded(0)
        times, days = np.empty(count, np.int64), np.empty((2, count), np.int32)
        texts = np.empty((3, count), np.int32)
        oom, without, implausible, non_terminal = np.zeros((4, count), np.int8)
        created, tool, state = jobs.take("create_time"), jobs.take("tool", np.int32), jobs.take("state", np.int32)
        codes = np.stack([tools[1], versions[1]])
        joins.place_jobs(
            found.order, created, tool, state, codes, states[1], is_open, times, days, texts, non_terminal, implausible
        )
        del created, tool, state
        self.implausible[Job.create_time.name] = int(implausible.sum())
        sizes = self._sizes(datasets, ends, implausible)
        seen, values = self._measured.take("seen", np.uint16), self._measured.take("values")
        begins = np.empty(len(seen), np.int32)
        joins.find_values(seen, begins)
        measured, newest = np.empty((len(_MEASURED), count), np.int64), np.empty(len(METRICS), np.int64)
        counts = np.zeros(joins.CORE_SECONDS + 1, np.int64)
        joins.measure_jobs(
            metrics.places,
            metrics.ends,
            begins,
            seen,
            values,
            times,
            texts[2],
            states[0].code("error"),
            newest,
            measured,
            oom,
            without,
            implausible,
            counts,
        )
        measurements = [*(metric.name for metric in METRICS), Job.core_seconds.name]
        self.implausible.update(dict(zip(measurements, counts.tolist(), strict=True)))
        return Columns(
            {
                Job.job_id.name: found.ids,
                Job.tool_id.name: texts[0],
                Job.tool_version.name: texts[1],
                Job.state.name: texts[2],
                Job.create_time.name: times,
                Job.day.name: days[0],
                Job.month.name: days[1],
                **{measure.name: values for measure, values in zip(_MEASURED, measured, strict=True)},
                Job.input_bytes.name: sizes[0],
                Job.output_bytes.name: sizes[1],
                Job.oom.name: oom,
                Job.non_terminal.name: non_terminal,
                Job.without_metrics.name: without,
                Job.implausible.name: implausible,
            },
            {Job.tool_id.name: tools[0], Job.tool_version.name: versions[0], Job.state.name: states[0]},
        )

    def _sizes(self, datasets: Columns, ends: Rows, implausible: npt.NDArray[np.int8]) -> Integers:
        """Return the bytes of the datasets of each job, int64[2, jobs]; mark jobs with sizes that are not plausible as
        `implausible`, and make these null."""
        from grt_batch.kernels import joins

        total = np.full((2, len(implausible)), NULL, np.int64)
        most = int(np.diff(ends[:-1], prepend=0).max(initial=1))
        table = np.zeros(1 << (2 * most).bit_length(), np.int32)
        ids, sizes, types = (datasets[field.name] for field in (Dataset.dataset_id, Dataset.file_size, Dataset.type))
        of_sizes = np.zeros_like(implausible)
        joins.add_sizes(ends, ids, sizes, types, table, total, of_sizes)
        self.implausible[Dataset.file_size.name] = int(of_sizes.sum())
        implausible |= of_sizes
        return total


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


class _Jobs:
    """The different job ids among `lines`, in order, and the last line of each, in the memory of `lines`.

    It maps ids to rows, -1 for others; by a direct table where their range allows.
    """

    def __init__(self, lines: Integers) -> None:
        from grt_batch.kernels import joins

        self.table: Rows | None = None
        if len(lines) and float(lines.max()) - float(lines.min()) < 8 * len(lines) + 1_000_000:
            first = lines.min()
            self.table = np.full(int(lines.max() - first) + 1, -1, np.int32)
            order = np.empty(len(lines), np.int32)
            count = joins.newest_lines(lines, first, self.table, lines, order)
            self.ids, self.order = lines[:count], order[:count]
        else:
            order = np.argsort(lines, kind="stable").astype(np.int32)
            rising = lines[order]
            last = np.append(rising[1:] != rising[:-1], True)[: len(rising)]
            self.ids, self.order = rising[last], order[last]

    def __call__(self, wanted: Integers) -> Rows:
        """Return room for the `Order` of records with these ids, with their rows in its first half. It is the memory of
        `wanted`."""
        from grt_batch.kernels import joins

        room = wanted.view(np.int32)
        rows = room[: len(wanted)]
        if self.table is not None:
            joins.find_rows(wanted, self.ids[0], self.table, rows)
        else:
            for begin in range(0, len(wanted), _FOUND_AT_ONCE):
                some = wanted[begin : begin + _FOUND_AT_ONCE]
                found = np.searchsorted(self.ids, some)
                known = np.searchsorted(self.ids, some, "right") > found
                rows[begin : begin + _FOUND_AT_ONCE] = np.where(known, found, -1)
        return room


def _orphans(rows: Rows) -> npt.NDArray[np.int64]:
    """Return the places of the records without a job."""
    return np.flatnonzero(rows[: len(rows) // 2] < 0)
