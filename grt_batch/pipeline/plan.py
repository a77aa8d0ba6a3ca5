"""The plan of a run: what it would do with each archive, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby

from grt_batch.core.config import Config
from grt_batch.core.wording import counted
from grt_batch.ledger.account import Account
from grt_batch.modules.base import Module
from grt_batch.pipeline.keys import account_key, load_account
from grt_batch.pipeline.planned import Planned, Step, first_day
from grt_batch.pipeline.rivals import LeftOut
from grt_batch.pipeline.unreadable import IN_COLD_STORAGE, as_read_before, modules_lacking, settled_archives
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Archive, Uploads, scan


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
    earliest: date | None = None,
) -> list[Planned]:
    """Return what is known of each archive before a run of `modules`, in the order of `uploads`. Its partials are as in
    `first_day`."""

    def since(archive: Archive) -> date:
        return first_day(archive, as_of, earliest)

    planned = [_planned(archive, store, index, config) for archive in uploads.archives]
    result = list(planned)
    for _, group in groupby(range(len(planned)), key=lambda place: planned[place].archive.instance_id):
        places = list(group)
        known = [place for place in places if planned[place].counts]
        # As long as a newer archive is not read, what was left out for the last run may be right.
        unread = any(planned[place].is_unread for place in places)
        items = [planned[place] for place in known]
        for place, found in zip(known, settled_archives(items, store, index, config, modules, since), strict=True):
            item, left_out = found.item, found.left_out
            before = index.superseded(item.archive)
            keys = {left_out.key, before} if unread else {left_out.key}
            lacking = modules_lacking(item, keys, store, modules, since(item.archive))
            if not item.archive.readable:
                # What is settled for good is said by its key: any other one is settled again once all are read.
                item = replace(planned[place], missed=0 if unread else found.missed)
            result[place] = _explained(item, left_out, lacking, changed=left_out.key != before)
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
        return as_read_before(archive, store, index, config)
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
    item = Planned(archive, Step.CACHED, "read before", key, load_account(store, key))
    if archive.is_cold:
        known = item.account is not None
        cold = replace(item, step=Step.COLD, why=f"{IN_COLD_STORAGE}; read before")
        item = cold if known else as_read_before(archive, store, index, config)
    elif item.account is None:
        return Planned(archive, Step.NEW, "its partial results are missing, or of another version")
    reason = mismatch(archive, item.account) if item.account else None
    return replace(item, step=Step.QUARANTINED, why=reason) if reason else item


def _explained(item: Planned, left_out: LeftOut, lacking: Sequence[str], *, changed: bool) -> Planned:
    """Return an archive with what else is to say: the jobs that other archives count, and the modules that lack it.

    With `changed` the last run left out other jobs.
    """
    jobs = ""
    if left_out.others:
        one = len(left_out.ids) == 1
        others = " and ".join(left_out.others)
        jobs = f"{counted(len(left_out.ids), 'job')} {'comes' if one else 'come'} again in {others}"
    if not item.archive.readable:
        but = f", but not in {' and '.join(lacking)}" if lacking else ""
        if item.missed:
            jobs = f"{counted(item.missed, 'job')} that it leaves out no other archive has any more"
        return replace(item, why="; ".join(filter(None, (item.why + but, jobs))), lacking=tuple(lacking))
    step = Step.SUPERSEDED if jobs else item.step
    if not lacking and not left_out.unknown:
        return replace(item, step=step, why="; ".join(filter(None, (item.why, jobs))))
    if left_out.unknown:
        why = "read again: the store has lost which jobs come again"
    elif changed:
        why = f"read again: {jobs or 'its jobs do not come again any more'}"
    else:
        lost = f"read again for {' and '.join(lacking)}: new code, or no partial in the store"
        why = "; ".join(filter(None, (lost, jobs)))
    step = step if changed and jobs else Step.NEW
    return replace(item, step=step, why=why, again=True)
