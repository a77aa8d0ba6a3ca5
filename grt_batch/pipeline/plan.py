"""The plan of a run: what it would do with each archive, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from itertools import groupby
from math import inf

import orjson

from grt_batch.core.config import Config
from grt_batch.ledger.account import Account
from grt_batch.ledger.ledger import utc
from grt_batch.modules.base import Module, wanted_by
from grt_batch.pipeline.keys import (
    PARTIAL,
    SUPERSEDED,
    SUPERSEDING,
    account_key,
    load_account,
    partial_key,
    superseding_key,
)
from grt_batch.schema.records import WINDOW_DAYS, Job
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Archive, Uploads, scan

NUMBERS_LOST = "its numbers are lost: the store has not kept what was read"
"""The reason why an archive that cannot be read again does not count."""


OLD = "as read by another version or with other settings"
"""Added for an archive that would be read in another way now."""


class Step(Enum):
    """What a run does with an archive."""

    NEW = "new"
    CHANGED = "changed"
    CACHED = "cached"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"
    REMOVED = "removed"


@dataclass(frozen=True)
class Planned:
    """An archive before a run. `key` and `account` say what was read of it, empty and None where it must be read."""

    archive: Archive
    step: Step
    why: str
    key: str = ""
    account: Account | None = None

    @property
    def must_be_read(self) -> bool:
        """Return whether the run reads its tar.gz."""
        return self.step in (Step.NEW, Step.CHANGED)

    @property
    def counts(self) -> bool:
        """Return whether its numbers are available without reading it."""
        return self.account is not None and self.step is not Step.QUARANTINED


def find_uploads(
    config: Config, index: ArchiveIndex, instances: Collection[str] = (), *, forget: bool = False
) -> Uploads:
    """Return the archives that are found, and those that are remembered.

    With `forget`, removed archives of `instances` are left out, or all of them where `instances` is empty. Raises
    NothingToRead, also where one of `instances` is neither found nor remembered.
    """
    found = scan(config.uploads, settle_seconds=config.settle_seconds)
    uploads = index.recall(found)
    unknown = set(instances) - {instance.instance_id for instance in uploads.instances}
    if unknown:
        scan(config.uploads, only=tuple(unknown))
    return index.recall(found, instances or None) if forget else uploads


def survey(
    uploads: Uploads,
    store: Store,
    index: ArchiveIndex,
    config: Config,
    modules: Sequence[Module],
    as_of: date = date.max,
) -> list[Planned]:
    """Return what is known of each archive before a run of `modules`, in the order of `uploads`."""
    planned = [_planned(archive, store, index, config) for archive in uploads.archives]
    result = list(planned)
    for _, group in groupby(range(len(planned)), key=lambda place: planned[place].archive.instance_id):
        places = [place for place in group if planned[place].counts]
        for place, newer in zip(places, newer_reports([planned[place] for place in places]), strict=True):
            item = planned[place]
            result[place] = _explained(item, newer, _modules_lacking(item, newer, store, modules, as_of))
    return result


def mismatch(archive: Archive, account: Account) -> str | None:
    """Return why an archive that was read belongs in quarantine, None for a good one."""
    claimed = archive.report.sha256 if archive.report else None
    if claimed is not None and claimed != account.sha256:
        damage = f" ({account.quarantine})" if account.quarantine else ""
        return f"the hash in {archive.name}.json is {claimed[:12]}…, that of the tar.gz {account.sha256[:12]}…{damage}"
    return account.quarantine


def unread(archive: Archive, account: Account) -> Planned:
    """Return an archive whose file could not be read: its content may be good."""
    if archive.tar.exists():
        return Planned(archive, Step.QUARANTINED, account.quarantine or "", account=account)
    return Planned(archive, Step.INCOMPLETE, f"{archive.name}.tar.gz was removed during the run")


def _planned(archive: Archive, store: Store, index: ArchiveIndex, config: Config) -> Planned:
    if archive.remembered:
        return as_remembered(archive, store, index, config)
    if archive.incomplete:
        return Planned(archive, Step.INCOMPLETE, archive.incomplete)
    if archive.quarantine:
        return Planned(archive, Step.QUARANTINED, archive.quarantine)
    sha256 = index.sha256(archive)
    if sha256 is None:
        if index.knows(archive):
            return Planned(archive, Step.CHANGED, "its tar.gz has changed since it was read")
        return Planned(archive, Step.NEW, "never read")
    key = account_key(sha256, config)
    account = load_account(store, key)
    if account is None:
        return Planned(archive, Step.NEW, "its partial results are missing, or of another version")
    reason = mismatch(archive, account)
    if reason:
        return Planned(archive, Step.QUARANTINED, reason, key, account)
    return Planned(archive, Step.CACHED, "read before", key, account)


def as_remembered(archive: Archive, store: Store, index: ArchiveIndex, config: Config) -> Planned:
    """Return an archive whose files cannot be read now, as it was read before."""
    step = Step.INCOMPLETE if archive.incomplete else Step.REMOVED
    what = archive.incomplete or "its files were removed"
    key = index.key(archive)
    account = load_account(store, key) if archive.report else None
    if account is None:
        return Planned(archive, step, f"{what}; {NUMBERS_LOST}")
    old = "" if key == account_key(account.sha256, config) else f", {OLD}"
    return Planned(archive, step, f"{what}; its numbers stay until --forget{old}", key, account)


def _modules_lacking(
    item: Planned, newer: Sequence[Planned], store: Store, modules: Sequence[Module], as_of: date
) -> list[Module]:
    """Return the modules whose partial of an archive is missing, as are the records that it is made of."""
    gone = {kind for kind in (Job.kind, *wanted_by(modules)) if not store.has(kind, item.key)}
    lacking = [module for module in modules if not gone.isdisjoint((Job.kind, *wanted_by([module])))]
    superseded = known_superseded(store, item, newer) if lacking else None
    if superseded is None:
        return lacking
    since = first_day(item.archive, as_of)
    keys = (partial_key(item.key, module, superseded[0], since) for module in lacking)
    return [module for module, key in zip(lacking, keys, strict=True) if not store.has(PARTIAL, key)]


def _explained(item: Planned, newer: Sequence[Planned], lacking: Sequence[Module]) -> Planned:
    """Return an archive with what else is to say: modules that lack it, newer archives that report its jobs again."""
    names = " and ".join(module.name for module in lacking)
    if lacking and not item.archive.remembered:
        return Planned(item.archive, Step.NEW, f"what {names} must know of it is not in the store")
    if lacking:
        return replace(item, why=f"{item.why}, but not in {names}")
    if newer and item.step is Step.CACHED:
        again = ", ".join(other.archive.name for other in newer[:3])
        return replace(item, step=Step.SUPERSEDED, why=f"{item.why}; jobs come again in {again}")
    return item


def first_day(archive: Archive, as_of: date) -> date:
    """Return the first day that an archive's partials count by itself, for windows.

    It is reckoned from the date of the archive, so that it does not move with the as-of day, unless that is earlier.
    """
    assert archive.report is not None
    generated = utc(archive.report.generated).date()
    return min(generated, as_of) - timedelta(days=WINDOW_DAYS - 1)


def known_superseded(store: Store, older: Planned, newer: Sequence[Planned]) -> tuple[str, int] | None:
    """Return the store's key of the jobs of an archive that newer ones report again, "" for none, and their number.

    Return None where the store does not know.
    """
    if not newer:
        return "", 0
    raw = store.get(SUPERSEDING, superseding_key(older.key, (other.key for other in newer)))
    if raw is None:
        return None
    key, count = orjson.loads(raw)
    return (key, count) if not key or store.get(SUPERSEDED, key) is not None else None


def newer_reports(archives: Sequence[Planned]) -> list[list[Planned]]:
    """Return for each archive of an instance, oldest first, the newer ones that may report its jobs again.

    Usually there are none, since job ids rise: then the id range of all newer ones together tells so at once.
    """
    result: list[list[Planned]] = []
    lowest, highest = inf, -inf
    for i in range(len(archives) - 1, -1, -1):
        account = archives[i].account
        if account is None or account.first_id is None or account.last_id is None:
            result.append([])
            continue
        meets = account.first_id <= highest and lowest <= account.last_id
        result.append([other for other in archives[i + 1 :] if overlaps(account, other.account)] if meets else [])
        lowest, highest = min(lowest, account.first_id), max(highest, account.last_id)
    return result[::-1]


def overlaps(one: Account | None, other: Account | None) -> bool:
    """Return whether the ranges of job ids of two archives overlap."""
    if one is None or other is None or one.quarantine or other.quarantine:
        return False
    if one.first_id is None or one.last_id is None or other.first_id is None or other.last_id is None:
        return False
    return one.first_id <= other.last_id and other.first_id <= one.last_id
