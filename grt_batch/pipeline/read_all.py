"""The first step of a reduction: read the archives that must be read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import groupby, islice

from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.keys import account_key, load_account
from grt_batch.pipeline.plan import mismatch, unread
from grt_batch.pipeline.planned import Planned, Step, first_day
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome
from grt_batch.pipeline.repeats import Rival
from grt_batch.pipeline.unreadable import NUMBERS_LOST, as_read_before
from grt_batch.store.store import Store

Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""From the bytes to read to a function that is called with the bytes just read."""


_NEXT = 3
"""Jobs that come again mostly do so in one of the next archives: so many are looked at when an archive is read first.
What is missed is found when all are read, and then the archive is read again."""


def read_archives(
    context: RunContext, planned: Sequence[Planned], orders: Sequence[ReduceOrder], progress: Progress
) -> list[Planned]:
    """Carry out orders to read archives, and return all planned ones with what is known of them now.

    The index is saved even where reading ends with an error, so that the next run need not hash those files again.
    """
    if not orders:
        return list(planned)
    read: dict[tuple[str, str], ReduceOutcome] = {}
    names = {(item.archive.instance_id, item.archive.name): item.archive for item in planned}
    try:
        with progress(sum(order.bytes for order in orders)) as add:
            for outcome in context.carry_out(_as_part(context, in_turn(orders)), add):
                name = outcome.instance_id, outcome.archive
                read[name] = outcome
                if outcome.account.sha256:
                    context.index.remember(names[name], outcome.account.sha256, outcome.key)
    finally:
        context.index.save()
    return [_after_reading(context, item, read.get((item.archive.instance_id, item.archive.name))) for item in planned]


def _after_reading(context: RunContext, item: Planned, outcome: ReduceOutcome | None) -> Planned:
    if outcome is None:
        return item
    if not outcome.account.sha256:
        return _gone(context, item, outcome)
    reason = mismatch(item.archive, outcome.account)
    step = Step.QUARANTINED if reason else Step.CACHED
    return Planned(item.archive, step, reason or "read now", outcome.key, outcome.account, outcome.superseded)


def _gone(context: RunContext, item: Planned, outcome: ReduceOutcome) -> Planned:
    """Return an archive whose file could not be read: one that was published is remembered."""
    gone = unread(item.archive, outcome.account)
    before = context.index.remembered(item.archive.instance_id, item.archive.name)
    if gone.step is Step.INCOMPLETE and before and item.account is not None:
        return as_read_before(replace(before, incomplete=gone.why), context.store, context.index, context.config)
    return gone


def orders_of_unread(context: RunContext, planned: Sequence[Planned]) -> Iterator[ReduceOrder]:
    """Yield the orders to read the archives of which nothing is known."""
    for _, group in groupby(planned, key=lambda item: item.archive.instance_id):
        items = list(group)
        rivals = [_likely_rival(context, item) for item in items]
        for place, item in enumerate(items):
            if item.is_unread:
                yield reduce_order(context, item, list(islice(filter(None, rivals[place + 1 :]), _NEXT)))


def _likely_rival(context: RunContext, item: Planned) -> Rival | None:
    """Return an archive as it counts jobs of older ones, if its N.json says what it is."""
    if item.counts:
        return item.rival
    claimed = item.archive.report and item.archive.report.sha256
    return Rival(account_key(claimed, context.config)) if item.is_unread and claimed else None


def reduce_order(context: RunContext, item: Planned, rivals: Sequence[Rival]) -> ReduceOrder:
    """Return the order to read an archive, without the jobs that its rivals count."""
    archive = item.archive
    return ReduceOrder(
        instance_id=archive.instance_id,
        archive=archive.name,
        tar=str(archive.tar),
        bytes=archive.bytes,
        modules=tuple(module.name for module in context.modules),
        since=first_day(archive, context.as_of, context.earliest),
        claimed_sha256=(archive.report and archive.report.sha256) or "",
        key=item.key,
        rivals=tuple(rivals),
        again=context.again,
    )


def in_turn(orders: Sequence[ReduceOrder]) -> list[ReduceOrder]:
    """Return orders, oldest first within an instance, in the order in which they are handed out.

    The largest come first, so that no rank is left alone with one at the end; but before an archive come the newer ones
    of its instance, which may report its jobs again.
    """
    largest: dict[str, int] = {}
    turns = []
    for place, order in enumerate(orders):
        largest[order.instance_id] = max(order.bytes, largest.get(order.instance_id, 0))
        turns.append((-largest[order.instance_id], order.instance_id, -place, order))
    return [order for *_, order in sorted(turns, key=lambda turn: turn[:3])]


def _as_part(context: RunContext, orders: list[ReduceOrder]) -> list[ReduceOrder]:
    """Return the orders from the place of this part of a backfill on, and then the others. Each part finds in the store
    what the other ones have read meanwhile."""
    beside = context.request.beside
    first = len(orders) * beside.index // beside.parts if beside else 0
    return orders[first:] + orders[:first]


def recheck(item: Planned, damaged: Collection[str], store: Store) -> Planned:
    """Return an archive as it is planned once the entries of the `damaged` keys were dropped."""
    if not item.archive.readable:
        return replace(item, why=NUMBERS_LOST, account=None) if item.key in damaged else item
    if item.key and item.account and not item.account.quarantine and load_account(store, item.key) is None:
        return Planned(item.archive, Step.NEW, "its partial results are missing")
    return item
