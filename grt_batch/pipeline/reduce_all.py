"""From planned archives to merged partials: read, supersede, merge, and start over where the store is damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grt_batch.core.errors import CannotWrite
from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.ledger.ledger import ARCHIVE, ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.ledger.people import owners_of
from grt_batch.modules.base import Module
from grt_batch.modules.export import ArchiveParts, Export
from grt_batch.pipeline.context import DamagedEntries, RunContext
from grt_batch.pipeline.fingerprints import (
    Fingerprints,
    PublishedParts,
    fingerprints,
    instances_with_changes,
    published_parts,
)
from grt_batch.pipeline.merge import MergedEntry, counted_in
from grt_batch.pipeline.merge_all import export_parts, keys_merged, merge_instances
from grt_batch.pipeline.notices import warn_of_lost
from grt_batch.pipeline.planned import Planned
from grt_batch.pipeline.read_all import Progress, orders_of_unread, read_archives, recheck
from grt_batch.pipeline.supersede import Settled, settle
from grt_batch.pipeline.unreadable import check_thawed, names_of
from grt_batch.sinks.report_set import reported_tables
from grt_batch.sinks.targets import Targets
from grt_batch.uploads.scan import Archive, Uploads


@dataclass(frozen=True)
class ReducedArchives:
    """All that a run publishes: the ledger, the fingerprints of the tables, what is published of them already, where
    the store has the merged partials of each module whose tables change, and the parts of each export, instance by
    instance."""

    ledger: Ledger
    fingerprints: Fingerprints
    published: PublishedParts
    merged: Mapping[str, Sequence[MergedEntry]]
    parts: Mapping[str, Sequence[ArchiveParts]]


def reduce_archives(
    context: RunContext, uploads: Uploads, planned: Sequence[Planned], targets: Targets, progress: Progress
) -> ReducedArchives:
    """Read what must be read, make the missing partials, and merge those of the modules whose tables change.

    The `targets` are asked what they have already. Raises CannotWrite where the store does not return what
    was written to it.
    """
    computed_again: set[str] = set()
    while True:
        planned = read_archives(context, planned, list(orders_of_unread(context, planned)), progress)
        try:
            settled = settle(context, planned)
            if settled.orders:
                # A file may have changed or gone since it was read first: then all is settled anew.
                planned = read_archives(context, planned, settled.orders, progress)
                settled = settle(context, planned)
            if not settled.orders:
                return _reduce(context, uploads, settled, targets)
        except DamagedEntries as error:
            if computed_again.intersection(error.keys):
                what = "what was stored there cannot be read back"
                raise CannotWrite(folder=context.store.root, what=what) from None
            computed_again.update(error.keys)
            logger.warning("the store has %s; computing again", counted(len(error.keys), "damaged entry"))
            planned = [recheck(item, error.keys, context.store) for item in planned]


def _reduce(context: RunContext, uploads: Uploads, settled: Settled, targets: Targets) -> ReducedArchives:
    lost = {kind: _lost(context, settled, is_cold=kind == "cold") for kind in ("removed", "cold")}
    if not context.request.without_cold:
        check_thawed([*lost["cold"].whole, *lost["cold"].partly, *settled.missed])
    ledger = _ledger(context, uploads, settled.entries)
    # Saved now, not after the publication: until then archives may be removed from the uploads.
    context.index.learn(ledger, settled.superseded)
    context.index.save()
    reports = [module for module in context.modules if not isinstance(module, Export)]
    keys = {module.name: keys_merged(context, module, settled.inputs) for module in reports}
    wanted = fingerprints(reports, keys, ledger)
    published = PublishedParts() if context.again else _published(context, reports, wanted, targets)
    changed = wanted.keys() - published.unchanged.keys()
    merged = merge_instances(context, instances_with_changes(reports, changed, ledger), settled.inputs)
    exports = [module for module in context.modules if isinstance(module, Export)]
    parts = {export.name: export_parts(context, export, settled.inputs) for export in exports}
    for kind, some in lost.items():
        warn_of_lost(names_of(some.whole), names_of(some.partly), some.modules, kind)
    return ReducedArchives(ledger, wanted, published, merged, parts)


def _published(
    context: RunContext, reports: Sequence[Module], wanted: Fingerprints, targets: Targets
) -> PublishedParts:
    tables = [ARCHIVE, *(table for module in reports for table in module.tables)]
    beside = context.request.beside
    reported = reported_tables(context.config.reports, context.as_of, beside.before if beside else None)
    return published_parts(tables, wanted, reported, targets)


def _ledger(context: RunContext, uploads: Uploads, entries: Mapping[str, Sequence[ArchiveEntry]]) -> Ledger:
    people = context.people
    instances = (
        InstanceEntry(
            instance.instance_id,
            instance.metadata,
            tuple(entries[instance.instance_id]),
            # Its own alone: nobody else's name makes its rows anew.
            {owner: people[owner] for owner in owners_of(instance.metadata) if owner in people},
        )
        for instance in uploads.instances
        if instance.instance_id in entries
    )
    return Ledger(context.as_of, context.config, tuple(instances))


@dataclass(frozen=True)
class _Lost:
    """Archives that cannot be read and that no module counts, and those that some `modules` do not count."""

    whole: list[Archive] = field(default_factory=list)
    partly: list[Archive] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)


def _lost(context: RunContext, settled: Settled, *, is_cold: bool) -> _Lost:
    lost = _Lost()
    for instance_id, entries in settled.entries.items():
        final = {given.key: given for given in settled.inputs[instance_id] if given.final}
        for entry in entries:
            archive = entry.archive
            bad = archive.is_cold and (archive.incomplete or entry.state is State.QUARANTINED)
            if archive.readable or archive.is_cold is not is_cold or bad:
                continue
            given = final.get(entry.key)
            if given is None:
                lost.whole.append(archive)
                continue
            lacking = {module.name for module in context.modules if not counted_in(context.store, module, [given])}
            if lacking:
                lost.partly.append(archive)
                lost.modules.update(lacking)
    return lost
