"""The second step of a reduction: find the jobs that newer archives report again, and leave them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from grt_batch.core.digest import digest
from grt_batch.ledger.ledger import ArchiveEntry, State
from grt_batch.pipeline.context import DamagedEntries, RunContext
from grt_batch.pipeline.keys import ACCOUNT, PARTIAL, REJECT_FILE, SUPERSEDED, SUPERSEDING, superseding_key
from grt_batch.pipeline.merge import MergeInput, merge_input_of
from grt_batch.pipeline.plan import Planned, Step, known_superseded, newer_reports
from grt_batch.pipeline.read_all import carry_out, reduce_order
from grt_batch.pipeline.reduce_archive import job_ids
from grt_batch.schema.records import Job


@dataclass(frozen=True)
class Settled:
    """By instance, oldest first: the ledger's entries of all archives, and what is merged of those that count."""

    entries: dict[str, list[ArchiveEntry]] = field(default_factory=dict)
    inputs: dict[str, list[MergeInput]] = field(default_factory=dict)


def settle(context: RunContext, planned: Sequence[Planned]) -> Settled:
    """Make the partials of every archive that counts, without the jobs that a newer archive reports again.

    Raises DamagedEntries.
    """
    settled = Settled()
    by_instance: dict[str, list[Planned]] = {}
    for item in planned:
        by_instance.setdefault(item.archive.instance_id, []).append(item)
    orders = []
    for instance_id, items in by_instance.items():
        counted = [item for item in items if item.counts]
        _check_reject_files(context, counted)
        superseded = {
            item.archive.name: _superseded(context, item, newer)
            for item, newer in zip(counted, newer_reports(counted), strict=True)
        }
        settled.entries[instance_id] = [_entry(item, superseded.get(item.archive.name, ("", 0))[1]) for item in items]
        settled.inputs[instance_id] = []
        for item in counted:
            key = superseded[item.archive.name][0]
            given = merge_input_of(item, key, context.as_of, final=item.archive.remembered)
            settled.inputs[instance_id].append(given)
            if not _is_complete(context, given) or (context.again and (key or given.final)):
                orders.append(reduce_order(context, item, key))
    for _ in carry_out(context, orders):
        pass
    return settled


def _is_complete(context: RunContext, given: MergeInput) -> bool:
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


def _superseded(context: RunContext, older: Planned, newer: Sequence[Planned]) -> tuple[str, int]:
    """Return the store's key of the jobs of an archive that newer ones report again, "" for none, and their number."""
    if not newer:
        return "", 0
    again = context.again and not any(item.archive.remembered for item in (older, *newer))
    known = None if again else known_superseded(context.store, older, newer)
    if known is not None:
        return known
    ids = _ids(context, older)
    superseded = ids[np.isin(ids, np.concatenate([_ids(context, item) for item in newer]))]
    key = digest(SUPERSEDED, superseded.tobytes().hex()) if len(superseded) else ""
    if key:
        context.store.put(SUPERSEDED, key, superseded.tobytes())
    pair = superseding_key(older.key, (other.key for other in newer))
    context.store.put(SUPERSEDING, pair, orjson.dumps([key, len(superseded)]))
    return key, len(superseded)


def _check_reject_files(context: RunContext, archives: Sequence[Planned]) -> None:
    """Check that the reject files can be read: nothing else would notice that one is lost."""
    lost = [item for item in archives if context.store.get(REJECT_FILE, item.key) is None]
    damaged = [item.key for item in lost if not item.archive.remembered]
    for key in damaged:
        for kind in (REJECT_FILE, ACCOUNT):
            context.store.drop(kind, key)
    if damaged:
        raise DamagedEntries(damaged)


def _ids(context: RunContext, item: Planned) -> Any:
    ids = job_ids(context.store, item.key)
    if ids is None:
        for kind in (Job.kind,) if item.archive.remembered else (Job.kind, ACCOUNT):
            context.store.drop(kind, item.key)
        raise DamagedEntries([item.key])
    return ids.to_numpy()
