"""The first step of a reduction: read the archives that must be read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.keys import ACCOUNT
from grt_batch.pipeline.plan import NUMBERS_LOST, Planned, Step, first_day, mismatch, unread
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.store.store import Store


def read_archives(context: RunContext, planned: Sequence[Planned], progress: Callable[[int], None]) -> list[Planned]:
    """Read the archives that must be read, and return all with what is known of them now.

    The index is saved even where reading ends with an error, so that the next run need not hash those files again.
    """
    orders = [reduce_order(context, item) for item in planned if item.must_be_read]
    read: dict[tuple[str, str], ReduceOutcome] = {}
    names = {(item.archive.instance_id, item.archive.name): item.archive for item in planned}
    try:
        for outcome in carry_out(context, orders, progress):
            name = outcome.instance_id, outcome.archive
            read[name] = outcome
            if outcome.account.sha256:
                context.index.remember(names[name], outcome.account.sha256, outcome.key)
    finally:
        if orders:
            context.index.save()
    return [_after_reading(item, read.get((item.archive.instance_id, item.archive.name))) for item in planned]


def _after_reading(item: Planned, outcome: ReduceOutcome | None) -> Planned:
    if outcome is None:
        return item
    if not outcome.account.sha256:
        return unread(item.archive, outcome.account)
    reason = mismatch(item.archive, outcome.account)
    step = Step.QUARANTINED if reason else Step.CACHED
    return Planned(item.archive, step, reason or "read now", outcome.key, outcome.account)


def reduce_order(context: RunContext, item: Planned, superseded: str = "") -> ReduceOrder:
    """Return the order to reduce an archive, without its `superseded` jobs."""
    archive = item.archive
    return ReduceOrder(
        instance_id=archive.instance_id,
        archive=archive.name,
        tar="" if archive.remembered else str(archive.tar),
        bytes=archive.bytes,
        modules=tuple(module.name for module in context.modules),
        since=first_day(archive, context.as_of),
        claimed_sha256=(archive.report and archive.report.sha256) or "",
        key=item.key,
        superseded=superseded,
        again=context.again,
    )


def carry_out(
    context: RunContext, orders: Sequence[ReduceOrder], progress: Callable[[int], None] = lambda _: None
) -> Iterator[ReduceOutcome]:
    """Carry out orders, the largest first, so that no rank is left alone with a large one at the end."""
    ordered = sorted(orders, key=lambda order: (-order.bytes, order.instance_id, order.archive))
    return context.carry_out(ordered, progress)


def recheck(item: Planned, damaged: Collection[str], store: Store) -> Planned:
    """Return an archive as it is planned once the entries of the `damaged` keys were dropped."""
    if item.archive.remembered:
        return replace(item, why=NUMBERS_LOST, account=None) if item.key in damaged else item
    if item.key and item.account and not item.account.quarantine and not store.has(ACCOUNT, item.key):
        return Planned(item.archive, Step.NEW, "its partial results are missing")
    return item
