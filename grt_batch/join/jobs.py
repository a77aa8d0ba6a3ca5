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


_WITH_DATASETS = {Param.kind, Leaf.kind, Dataset.kind}
"""Kinds of records that are made of datasets: a parameter may have the id of one."""


_FOUND_AT_ONCE = 1 << 20


_MEASURED = (Job.runtime, Job.memory, Job.cpu, Job.cores, Job.allocated_memory, Job.core_seconds, Job.wait)
"""What `kernels.joins.measure_jobs` measures, in its order."""


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
        """Keep which metrics each job has, and their values one after another."""
        from grt_batch.kernels import joins

        self._measured.put("id", ids)
        self._measured.put("records", records.astype(np.int32))
        self._measured.put("seen", seen)
        packed = np.empty(values.size + 1, np.int64)
        self._measured.put("values", packed[: joins.pack_values(values, seen, packed)])

    def join(self) -> tuple[Records, int]:
        """Return the records of the jobs and of the wanted classes, and the number of replaced lines of jobs.

        There is one row a job; all rows are by rising job id. The blocks are freed on the way.
        """
        ids, order, repeated = _newest(self._collected[Kind.JOBS].take("id"))
        rows = self._find_jobs(ids)
        tables: dict[type[Record], Columns] = {}
        datasets = Order.of(rows.pop(Kind.DATASETS), len(ids))
        tables[Job] = self._join_jobs(ids, order, Order.of(self._measured.take("row"), len(ids)), datasets)
        if _WITH_DATASETS & set(self.wanted):
            tables[Dataset] = child_records.datasets(self._collected[Kind.DATASETS], datasets)
        if {Param.kind, Leaf.kind} & set(self.wanted):
            collected = self._collected[Kind.PARAMS]
            by_job = Order.of(rows.pop(Kind.PARAMS), len(ids))
            if Param.kind in self.wanted:
                tables[Param] = child_records.params(collected, by_job, tables[Dataset])
            if Leaf.kind in self.wanted:
                tables[Leaf] = leaves(collected, by_job, tables[Dataset])
        if Metric.kind in self.wanted:
            kinds = (Kind.METRIC_NUM, Kind.METRIC_TXT)
            numbers, texts = ((self._collected[kind], Order.of(rows.pop(kind), len(ids))) for kind in kinds)
            tables[Metric] = child_records.metrics(numbers, texts)
        return Records({one: table for one, table in tables.items() if one.kind in {Job.kind, *self.wanted}}), repeated

    def _find_jobs(self, ids: Integers) -> dict[Kind, Rows]:
        """Return the rows of the jobs of all records, in place of their ids, and count the orphans."""
        find = _RowsOf(ids)
        rows = {}
        for kind in (Kind.PARAMS, Kind.DATASETS, Kind.METRIC_TXT):
            rows[kind] = find(self._collected[kind].take("id"))
            self.members[kind].orphans += int(np.count_nonzero(rows[kind] < 0))
        measured = find(self._measured.take("id"))
        orphans = self._measured.take("records")[measured < 0].sum() + np.count_nonzero(
            find(self._measured.take("nameless")) < 0
        )
        self.members[Kind.METRIC_NUM].orphans += int(orphans)
        self._measured.put("row", measured)
        rows[Kind.METRIC_NUM] = find(self._collected[Kind.METRIC_NUM].take("record_id"))
        return rows

    def _join_jobs(self, ids: Integers, order: Rows | slice, metrics: Order, datasets: Order) -> Columns:
        from grt_batch.kernels import joins

        jobs, count = self._collected[Kind.JOBS], len(ids)
        created, tools, states = (jobs.take(name)[order] for name in ("create_time", "tool", "state"))
        days, months = np.empty((2, count), np.int32)
        joins.find_days(created, days, months)
        names = [state for (state,) in jobs.dictionary("state").codes]
        is_open = np.array([state not in TERMINAL_STATES for state in names], np.int8)
        failed = np.array([state == "error" for state in names], np.int8)[states]
        measured = np.empty((len(_MEASURED), count), np.int64)
        oom, without, implausible = np.zeros((3, count), np.int8)
        seen, values = self._measured.take("seen").astype(np.uint16, copy=False), self._measured.take("values")
        begins = np.empty(len(seen), np.int64)
        joins.find_values(seen, begins)
        newest = np.empty(len(METRICS), np.int64)
        joins.measure_jobs(
            metrics.places,
            metrics.ends,
            begins,
            seen,
            values,
            created,
            failed,
            newest,
            measured,
            oom,
            without,
            implausible,
        )
        del seen, values, begins, failed
        sizes = self._sizes(datasets, implausible)
        texts = {
            Job.tool_id.name: jobs.dictionary("tool").column(0, tools),
            Job.tool_version.name: jobs.dictionary("tool").column(1, tools),
            Job.state.name: jobs.dictionary("state").column(0, states),
        }
        return Columns(
            {
                Job.job_id.name: ids,
                **{name: codes for name, (codes, _) in texts.items()},
                Job.create_time.name: created,
                Job.day.name: days,
                Job.month.name: months,
                **{measure.name: values for measure, values in zip(_MEASURED, measured, strict=True)},
                Job.input_bytes.name: sizes[0],
                Job.output_bytes.name: sizes[1],
                Job.oom.name: oom,
                Job.non_terminal.name: is_open[states],
                Job.without_metrics.name: without,
                Job.implausible.name: implausible,
            },
            {name: known for name, (_, known) in texts.items()},
        )

    def _sizes(self, order: Order, implausible: npt.NDArray[np.int8]) -> Integers:
        """Return the bytes of the datasets of each job, int64[2, jobs]; mark jobs with impossible sizes as
        `implausible`."""
        from grt_batch.kernels import joins

        total = np.full((2, len(implausible)), NULL, np.int64)
        if len(order.places):
            most = int(np.diff(order.ends[:-1], prepend=0).max(initial=1))
            table = np.zeros(1 << (2 * most).bit_length(), np.int32)
            dataset, size, output = (self._collected[Kind.DATASETS][name] for name in ("dataset_id", "size", "output"))
            joins.add_sizes(order.places, order.ends, dataset, size, output, table, total, implausible)
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


def _newest(ids: Integers) -> tuple[Integers, Rows | slice, int]:
    """Return the distinct ids in order, the row of each id's last line, and the number of replaced lines."""
    if (ids[1:] > ids[:-1]).all():
        return ids, slice(None), 0
    order = np.argsort(ids, kind="stable").astype(np.int32)
    rising = ids[order]
    last = np.append(rising[1:] != rising[:-1], True)
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
