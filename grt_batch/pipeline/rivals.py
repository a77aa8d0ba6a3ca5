"""Which archive of an instance counts a job that several report, and which leave it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

import numpy as np

from grt_batch.ledger.account import Account
from grt_batch.pipeline.keys import IDS, SUPERSEDED
from grt_batch.pipeline.planned import Planned
from grt_batch.pipeline.repeats import load_ids, repeated, superseded_key
from grt_batch.store.job_ids import JobIds
from grt_batch.store.store import Store


@dataclass(frozen=True)
class LeftOut:
    """The jobs that an archive leaves out, and the names of those that count them instead.

    `unknown` has the account keys of the archives of which the store does not know (any more) which jobs they have.
    """

    ids: JobIds = field(default_factory=lambda: np.empty(0, np.int64))
    others: Sequence[str] = ()
    unknown: Sequence[str] = ()

    @cached_property
    def key(self) -> str:
        """Return the store's key of the jobs, "" for none."""
        return superseded_key(self.ids)


def left_out_of(store: Store, item: Planned, rivals: Sequence[Planned]) -> LeftOut:
    """Return what an archive leaves out, since its `rivals` count it. For some that is settled."""
    if item.is_settled:
        ids = load_ids(store, SUPERSEDED, item.superseded or "")
        return LeftOut(unknown=[item.key]) if ids is None else LeftOut(ids)
    if not rivals:
        return LeftOut()
    ids = load_ids(store, IDS, item.key)
    if ids is None:
        return LeftOut(unknown=[item.key])
    ids, counts = repeated(store, ids, [other.rival for other in rivals])
    others = [other.archive.name for other, count in zip(rivals, counts, strict=True) if count]
    return LeftOut(ids, others, [other.key for other, count in zip(rivals, counts, strict=True) if count is None])


def rivals_of(archives: Sequence[Planned]) -> list[list[Planned]]:
    """Return for each archive of an instance, oldest first, the others that may count some of its jobs in its place.

    These are the newer ones, and the settled ones: what those count cannot be computed again, so it stays theirs.
    Usually there are none, since job ids rise: then the id range of all of them together tells so at once.
    """
    result: list[list[Planned]] = []
    settled = [item for item in archives if item.is_settled]
    lowest, highest = inf, -inf
    for item in settled:
        lowest, highest = _widened(lowest, highest, item.account)
    for i in range(len(archives) - 1, -1, -1):
        item = archives[i]
        rivals: list[Planned] = []
        if not item.is_settled and overlaps(item.account, lowest, highest):
            others = [other for other in archives[:i] if other.is_settled] + list(archives[i + 1 :])
            rivals = [other for other in others if overlaps(item.account, *_widened(inf, -inf, other.account))]
        result.append(rivals)
        lowest, highest = _widened(lowest, highest, item.account)
    return result[::-1]


def _widened(lowest: float, highest: float, account: Account | None) -> tuple[float, float]:
    """Return a range of job ids with those of an archive."""
    if account is None or account.first_id is None or account.last_id is None:
        return lowest, highest
    return min(lowest, account.first_id), max(highest, account.last_id)


def overlaps(account: Account | None, lowest: float, highest: float) -> bool:
    """Return whether an archive has jobs, and their ids may lie from `lowest` to `highest`."""
    if account is None or account.first_id is None or account.last_id is None:
        return False
    return account.first_id <= highest and lowest <= account.last_id
