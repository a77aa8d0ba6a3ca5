"""From planned archives to merged partials: read, supersede, merge, and start over where the store is damaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grt_batch.core.errors import CannotWrite
from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.ledger.ledger import ARCHIVE, ArchiveEntry, InstanceEntry, Ledger
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
from grt_batch.pipeline.merge_all import Inputs, export_parts, keys_merged, merge_instances
from grt_batch.pipeline.notices import warn_of_lost
from grt_batch.pipeline.planned import Planned
from grt_batch.pipeline.read_all import Progress, orders_of_unread, read_archives, recheck
from grt_batch.pipeline.supersede import Settled, settle
from grt_batch.sinks.targets import Targets
from grt_batch.uploads.scan import Uploads


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
                return _reduce(context, uploads, planned, settled, targets)
        except DamagedEntries as error:
            if computed_again.intersection(error.keys):
                what = "what was stored there cannot be read back"
                raise CannotWrite(folder=context.store.root, what=what) from None
            computed_again.update(error.keys)
            logger.warning("the store has %s; computing again", counted(len(error.keys), "damaged entry"))
            planned = [recheck(item, error.keys, context.store) for item in planned]


def _reduce(
    context: RunContext, uploads: Uploads, planned: Sequence[Planned], settled: Settled, targets: Targets
) -> ReducedArchives:
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
    _warn_of_lost(context, planned, settled.inputs)
    return ReducedArchives(ledger, wanted, published, merged, parts)


def _published(
    context: RunContext, reports: Sequence[Module], wanted: Fingerprints, targets: Targets
) -> PublishedParts:
    tables = [ARCHIVE, *(table for module in reports for table in module.tables)]
    return published_parts(tables, wanted, context.config.reports, context.as_of, targets)


def _ledger(context: RunContext, uploads: Uploads, entries: Mapping[str, Sequence[ArchiveEntry]]) -> Ledger:
    instances = (
        InstanceEntry(instance.instance_id, instance.metadata, tuple(entries[instance.instance_id]))
        for instance in uploads.instances
        if instance.instance_id in entries
    )
    return Ledger(context.as_of, context.config, tuple(instances))


def _warn_of_lost(context: RunContext, planned: Sequence[Planned], inputs: Inputs) -> None:
    final = {archive.key: archive for archives in inputs.values() for archive in archives if archive.final}
    whole, partly, modules = [], [], set[str]()
    for item in planned:
        if item.archive.remembered:
            name = f"{item.archive.instance_id}/{item.archive.name}"
            archive = final.get(item.key)
            if archive is None:
                whole.append(name)
                continue
            lacking = {module.name for module in context.modules if not counted_in(context.store, module, [archive])}
            partly += [name] if lacking else []
            modules |= lacking
    warn_of_lost(whole, partly, modules)
