"""The second step of a reduction: find out which archive counts a job that several report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grt_batch.ledger.ledger import ArchiveEntry, State
from grt_batch.pipeline.context import DamagedEntries, RunContext
from grt_batch.pipeline.keys import ACCOUNT, IDS, PARTIAL, REJECT_FILE
from grt_batch.pipeline.merge import MergeInput, merge_input_of
from grt_batch.pipeline.planned import Planned, Step, first_day
from grt_batch.pipeline.read_all import reduce_order
from grt_batch.pipeline.reduce_archive import ReduceOrder
from grt_batch.pipeline.repeats import put_superseded
from grt_batch.pipeline.unreadable import settled_archives
from grt_batch.store.archive_index import ArchiveName
from grt_batch.uploads.scan import Archive


@dataclass(frozen=True)
class Settled:
    """By instance, oldest first: the ledger's entries of all archives, and what is merged of those that count.

    `superseded` has the store's key of the jobs that an archive leaves out, `orders` has those to read again what lacks
    a partial, and `missed` the archives in cold storage that leave out jobs which no other archive has any more.
    """

    entries: Mapping[str, list[ArchiveEntry]] = field(default_factory=dict)
    inputs: Mapping[str, list[MergeInput]] = field(default_factory=dict)
    superseded: dict[ArchiveName, str] = field(default_factory=dict)
    orders: list[ReduceOrder] = field(default_factory=list)
    missed: list[Archive] = field(default_factory=list)


def settle(context: RunContext, planned: Sequence[Planned]) -> Settled:
    """Find out what each archive leaves out, since another counts it, and which archives must be read again for that.

    Raises DamagedEntries.
    """
    by_instance: dict[str, list[Planned]] = {}
    for item in planned:
        by_instance.setdefault(item.archive.instance_id, []).append(item)
    settled = Settled({name: [] for name in by_instance}, {name: [] for name in by_instance})
    for instance_id, items in by_instance.items():
        counted = [item for item in items if item.counts]
        _check_reject_files(context, counted)
        left_out_jobs = {}
        kept = {}
        for item, rivals, left_out, missed in settled_archives(
            counted,
            context.store,
            context.index,
            context.config,
            context.modules,
            lambda archive: first_day(archive, context.as_of, context.earliest),
        ):
            given = merge_input_of(item, left_out.key, context.as_of, context.earliest)
            _check_ids(context, left_out.unknown)
            put_superseded(context.store, left_out.ids)
            left_out_jobs[item.archive.name] = len(left_out.ids)
            kept[item.archive.name] = item
            settled.missed.extend([item.archive] if missed else [])
            settled.superseded[instance_id, item.archive.name] = left_out.key
            settled.inputs[instance_id].append(given)
            if not given.final and not _is_made(context, item, given):
                settled.orders.append(reduce_order(context, item, [other.rival for other in rivals]))
        settled.entries[instance_id] += [
            _entry(kept.get(item.archive.name, item), left_out_jobs.get(item.archive.name, 0)) for item in items
        ]
    return settled


def _is_made(context: RunContext, item: Planned, given: MergeInput) -> bool:
    """Return whether the partials of an archive are there, where need be by this run."""
    if context.again and item.superseded not in (None, given.superseded):
        return False
    return all(context.store.has(PARTIAL, given.partial(module)) for module in context.modules)


def _entry(item: Planned, superseded: int) -> ArchiveEntry:
    if item.step is Step.QUARANTINED:
        return ArchiveEntry(item.archive, State.QUARANTINED, item.why, item.account)
    removed = item.step is Step.REMOVED
    if item.account is None:
        return ArchiveEntry(item.archive, State.INCOMPLETE, item.why, removed=removed)
    state = State.INCOMPLETE if item.step is Step.INCOMPLETE else State.PUBLISHED
    reason = item.why if item.archive.remembered else None
    superseded += item.account.repeated
    return ArchiveEntry(item.archive, state, reason, item.account, superseded, item.key, removed)


def _check_reject_files(context: RunContext, archives: Sequence[Planned]) -> None:
    """Check that the reject files can be read: nothing else would notice that one is lost."""
    lost = [item for item in archives if context.store.get(REJECT_FILE, item.key) is None]
    damaged = [item.key for item in lost if item.archive.readable]
    for key in damaged:
        for kind in (REJECT_FILE, ACCOUNT):
            context.store.drop(kind, key)
    if damaged:
        raise DamagedEntries(damaged)


def _check_ids(context: RunContext, unknown: Sequence[str]) -> None:
    """Give up the archives of which the store does not know the jobs, given by their account keys."""
    for key in unknown:
        context.store.drop(IDS, key)
    if unknown:
        raise DamagedEntries(unknown)
