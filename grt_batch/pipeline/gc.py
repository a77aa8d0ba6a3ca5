"""Collect garbage: drop the entries of the store that no archive needs.

An archive needs what was read of it, and what the modules as they are now have made of it: its partials without the
jobs that a newer archive reports again, and the merged partials of its instance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from grt_batch.core.errors import NoIndex
from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.modules.base import Module
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import (
    MERGED,
    PARTIAL,
    SUPERSEDED,
    StoreItem,
    items_derived,
    items_read,
    load_account,
    merged_keys,
)
from grt_batch.pipeline.merge import MergeInput, merge_input_of, merges
from grt_batch.pipeline.planned import Planned, Step, first_day
from grt_batch.pipeline.unreadable import modules_lacking
from grt_batch.store.archive_index import ArchiveIndex, ArchiveName, IndexedArchive, as_published
from grt_batch.store.store import Entry, Store
from grt_batch.uploads.scan import Archive

EntryName = tuple[str, str]
"""The kind and the key of an entry."""


@dataclass(frozen=True)
class EntryCount:
    """Entries of the store, and their bytes."""

    entries: int = 0
    bytes: int = 0

    def __add__(self, other: EntryCount) -> EntryCount:
        return EntryCount(self.entries + other.entries, self.bytes + other.bytes)


def collect(
    store: Store, index: ArchiveIndex, *, dry_run: bool, modules_dir: str = "", cold: Collection[ArchiveName] = ()
) -> dict[str, tuple[EntryCount, EntryCount]]:
    """Drop the entries that no archive of the index needs, and return what was kept and what was dropped, by kind.

    Partials that another version made stay as long as archives in `cold` storage have none of this version: without
    these archives they cannot be made again, and that version may come back. With `dry_run` nothing is dropped. The
    caller holds the run's lock. Raises NoIndex and CannotWrite.
    """
    entries = list(store.entries())
    if entries and (index.damaged or not index.file.is_file()):
        raise NoIndex(file=index.file)
    wanted = set(needed(store, index, modules_dir=modules_dir))
    kept_kinds = {PARTIAL, SUPERSEDED} if _lack_partials(store, index, cold, modules_dir) else set()
    counts: dict[str, tuple[EntryCount, EntryCount]] = {}
    for entry in entries:
        kept, dropped = counts.get(entry.kind, (EntryCount(), EntryCount()))
        one = EntryCount(1, entry.bytes)
        if entry.kind in kept_kinds or (entry.kind, entry.key) in wanted:
            counts[entry.kind] = kept + one, dropped
        else:
            counts[entry.kind] = kept, dropped + one
            if not dry_run:
                store.drop(entry.kind, entry.key)
    return counts


def hold_cap(store: Store, index: ArchiveIndex, most: int, archives: Iterable[Archive], modules_dir: str = "") -> None:
    """Keep the store within `most` bytes; 0 is no limit.

    Entries that no archive needs are dropped first, then those that can be made again of `archives`, least recently
    used first. The caller holds the run's lock. Raises CannotWrite.
    """
    if not most:
        return
    entries = list(store.entries())
    total = sum(entry.bytes for entry in entries)
    if total <= most:
        return
    wanted = needed(store, index, [archive for archive in archives if archive.readable], modules_dir)

    def order(entry: Entry) -> tuple[bool, float, str, str]:
        return (entry.kind, entry.key) in wanted, entry.used, entry.kind, entry.key

    before, dropped = total, 0
    for entry in sorted(entries, key=order):
        if total > most and wanted.get((entry.kind, entry.key), True):
            store.drop(entry.kind, entry.key)
            total -= entry.bytes
            dropped += 1
    names = counted(dropped, "entry"), counted(before - total, "byte"), counted(before, "byte")
    logger.info("dropped %s with %s from the store, which had %s", *names)
    if total > most:
        logger.warning("the store has %d bytes, and store_max_bytes is %d: nothing more can be dropped", total, most)


def needed(
    store: Store, index: ArchiveIndex, readable: Collection[Archive] = (), modules_dir: str = ""
) -> dict[EntryName, bool]:
    """Return the entries that the archives of the index need, and whether each may be dropped all the same.

    An entry may be dropped where only a change of something else asks for it, and where it can be made again, of
    archives that are `readable`.
    """
    there = {(archive.instance_id, archive.name) for archive in readable}
    wanted: dict[EntryName, bool] = {}
    modules = discover(modules_dir).values()
    as_of = index.as_of or date.max

    def want(item: StoreItem, *, may_go: bool) -> None:
        wanted[item.kind, item.key] = may_go and wanted.get((item.kind, item.key), True)

    for own, instance_id, archives in index.instances():
        for known in archives.values():
            for read in items_read(known.key):
                want(read, may_go=False)
        items = [item for name, known in archives.items() if (item := _published(store, instance_id, name, known))]
        inputs = []
        for item in sorted(items, key=lambda item: item.archive.order):
            given = merge_input_of(item, item.superseded or "", as_of)
            inputs.append(given)
            can_be_read = own and (instance_id, item.archive.name) in there
            for made in items_derived(given.key, given.superseded, given.since, modules):
                want(made, may_go=made.bulky and can_be_read)
        for merged in _merged(store, instance_id, modules, inputs, as_of):
            want(merged, may_go=True)
    return wanted


def _lack_partials(store: Store, index: ArchiveIndex, names: Collection[ArchiveName], modules_dir: str) -> bool:
    """Return whether a module that every run includes lacks a published archive of these names."""
    modules = [module for module in discover(modules_dir).values() if not module.opt_in]
    for own, instance_id, archives in index.instances():
        for name, known in archives.items():
            if own and (instance_id, name) in names and known.document is not None:
                item = _published(store, instance_id, name, known)
                since = first_day(item.archive, index.as_of or date.max) if item else date.max
                if item is None or modules_lacking(item, {known.superseded}, store, modules, since):
                    return True
    return False


def _published(store: Store, instance_id: str, name: str, known: IndexedArchive) -> Planned | None:
    """Return an archive whose numbers are in the tables, None for another one."""
    archive = as_published(instance_id, name, known)
    account = load_account(store, known.key)
    if archive is None or archive.report is None or account is None:
        return None
    return Planned(archive, Step.CACHED, "", known.key, account, known.superseded)


def _merged(
    store: Store, instance_id: str, modules: Iterable[Module], inputs: Sequence[MergeInput], as_of: date
) -> Iterator[StoreItem]:
    """Yield the merged entries of an instance."""
    for module in modules:
        known = [given for given in inputs if store.has(PARTIAL, given.partial(module))]
        for cubes, archives in merges(module, known, as_of):
            key = merged_keys(instance_id, module, cubes, (archive.partial(module) for archive in archives))[-1]
            yield StoreItem(MERGED, key, bulky=True)
