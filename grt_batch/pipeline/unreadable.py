"""Archives that cannot be read now, since their files were removed or are in cold storage: what stays of them, and what
would have to be thawed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from grt_batch.core.config import Config
from grt_batch.core.errors import MustBeThawed
from grt_batch.core.wording import listed
from grt_batch.modules.base import Module
from grt_batch.pipeline.keys import PARTIAL, SUPERSEDED, account_key, load_account, partial_key
from grt_batch.pipeline.planned import Planned, Step
from grt_batch.pipeline.repeats import repeated
from grt_batch.pipeline.rivals import LeftOut, left_out_of, overlaps, rivals_of
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Archive
from grt_batch.uploads.thawing import thawing_of

NUMBERS_LOST = "its numbers are lost: the store has not kept what was read"
"""The reason why an archive that cannot be read again does not count."""


OLD = "as read by another version or with other settings"
"""Added for an archive that would be read in another way now."""


IN_COLD_STORAGE = "its tar.gz is in cold storage"
"""Said of every archive that is cold."""


def as_read_before(archive: Archive, store: Store, index: ArchiveIndex, config: Config) -> Planned:
    """Return an archive whose tar.gz cannot be read now, as it was read before."""
    step = Step.COLD if archive.is_cold else Step.INCOMPLETE if archive.incomplete else Step.REMOVED
    what = IN_COLD_STORAGE if archive.is_cold else archive.incomplete or "its files were removed"
    key = index.key(archive)
    account = load_account(store, key) if archive.report else None
    if account and archive.cold and account.sha256 != archive.cold.sha256:
        # Another archive of this name was read.
        account = None
    superseded = index.superseded(archive)
    if account is None or (superseded and not store.has(SUPERSEDED, superseded)):
        return Planned(archive, step, f"{what}; {NUMBERS_LOST}")
    stays = "its numbers stay" if archive.is_cold else "its numbers stay until --forget"
    old = "" if key == account_key(account.sha256, config) else f", {OLD}"
    return Planned(archive, step, f"{what}; {stays}{old}", key, account, superseded)


class SettledArchive(NamedTuple):
    """An archive that counts, the others that may count some of its jobs in its place, and what it leaves out.

    `missed` are jobs that it leaves out and no other archive has any more.
    """

    item: Planned
    rivals: Sequence[Planned]
    left_out: LeftOut
    missed: int = 0


def settled_archives(
    archives: Sequence[Planned],
    store: Store,
    index: ArchiveIndex,
    config: Config,
    modules: Sequence[Module],
    since_of: Callable[[Archive], date],
) -> list[SettledArchive]:
    """Return what each archive of an instance leaves out; `archives` are those that count, oldest first, with partials
    since a day.

    In cold storage, an archive is as any other one, as long as there are partials without what it leaves out. Where it
    would have to be read for that, since a newer archive reports its jobs again, it keeps its jobs, as one that was
    removed.
    """
    archives = list(archives)
    while True:
        found = [
            SettledArchive(item, rivals, left_out_of(store, item, rivals))
            for item, rivals in zip(archives, rivals_of(archives), strict=True)
        ]
        kept: dict[int, Planned] = {}
        for place, (item, _, left_out, _) in enumerate(found):
            if not item.archive.is_cold or item.is_settled:
                continue
            since = since_of(item.archive)
            lacking = modules_lacking(item, {left_out.key}, store, modules, since)
            if lacking or left_out.unknown:
                before = as_read_before(item.archive, store, index, config)
                lacked = modules_lacking(before, {before.superseded or ""}, store, modules, since)
                if before.account and (left_out.unknown or len(lacked) < len(lacking)):
                    kept[place] = before
        if not kept:
            return [each._replace(missed=_missed(store, each, archives)) for each in found]
        archives = [kept.get(place, item) for place, item in enumerate(archives)]


def _missed(store: Store, settled: SettledArchive, archives: Sequence[Planned]) -> int:
    """Return how many jobs one in cold storage leaves out that no other archive counts: one that was replaced did."""
    item, ids = settled.item, settled.left_out.ids
    if not (item.archive.is_cold and item.is_settled and len(ids)):
        return 0
    others = (other for other in archives if other is not item and overlaps(other.account, ids[0], ids[-1]))
    there, counts = repeated(store, ids, [other.rival for other in others])
    # Where the store has lost which jobs another one has, nobody can tell.
    return 0 if None in counts else len(ids) - len(there)


def modules_lacking(
    item: Planned, superseded: Collection[str], store: Store, modules: Sequence[Module], since: date
) -> list[str]:
    """Return the modules that have no partial of an archive, with any of the `superseded` jobs, given by their keys."""
    return [
        module.name
        for module in modules
        if not any(store.has(PARTIAL, partial_key(item.key, module, key, since)) for key in superseded)
    ]


def to_thaw(planned: Iterable[Planned], again: Collection[str] | None = ()) -> list[Archive]:
    """Return the archives in cold storage that a run would have to read; all of the instances in `again`, and all at
    all if that is None."""
    return [
        item.archive
        for item in planned
        if item.step is Step.COLD
        and (item.account is None or item.lacking or item.missed or again is None or item.archive.instance_id in again)
    ]


def check_thawed(archives: Sequence[Archive]) -> None:
    """Raise MustBeThawed if there are any, of those that a run would have to read."""
    if archives:
        raise MustBeThawed(which=named(archives), what=thawing_of(archives))


def names_of(archives: Iterable[Archive]) -> list[str]:
    """Return archives as `<instance>/<archive>`."""
    return [f"{archive.instance_id}/{archive.name}" for archive in archives]


def named(archives: Iterable[Archive]) -> str:
    """Return the names of archives, for a line."""
    return listed(names_of(archives))
