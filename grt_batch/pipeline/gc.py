"""What of the store is needed, and how the rest is let go.

An archive needs all that was read of it, and the partials of the modules as they are now: without the jobs that a newer
archive reports again, and merged with those of its instance. Nothing else is ever asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import chain

from grt_batch.core.errors import NoIndex
from grt_batch.core.logs import logger
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import (
    ACCOUNT,
    MERGED,
    PARTIAL,
    REJECT_FILE,
    SUPERSEDED,
    SUPERSEDING,
    load_account,
    merged_keys,
    superseding_key,
)
from grt_batch.pipeline.merge import MergeInput, merge_input_of, merges
from grt_batch.pipeline.plan import Planned, Step, known_superseded, newer_reports
from grt_batch.schema.records import RECORDS
from grt_batch.store.archive_index import ArchiveIndex, IndexedArchive, as_published
from grt_batch.store.store import Entry, Store
from grt_batch.uploads.scan import Archive

ArchiveName = tuple[str, str]
"""The kind and the key of an entry."""


@dataclass(frozen=True)
class EntryCount:
    """Entries of the store, and their bytes."""

    entries: int = 0
    bytes: int = 0

    def __add__(self, other: EntryCount) -> EntryCount:
        return EntryCount(self.entries + other.entries, self.bytes + other.bytes)


def collect(
    store: Store, index: ArchiveIndex, *, dry_run: bool, modules_dir: str = ""
) -> dict[str, tuple[EntryCount, EntryCount]]:
    """Let go what no archive needs that the index knows; by kind what was kept and what was let go, with `dry_run`
    what would be. For the holder of the run's lock. Raises NoIndex, CannotWrite."""
    entries = list(store.entries())
    if entries and (index.damaged or not index.file.is_file()):
        raise NoIndex(file=index.file)
    wanted = set(needed(store, index, modules_dir=modules_dir))
    counts: dict[str, tuple[EntryCount, EntryCount]] = {}
    for entry in entries:
        kept, gone = counts.get(entry.kind, (EntryCount(), EntryCount()))
        one = EntryCount(1, entry.bytes)
        if (entry.kind, entry.key) in wanted:
            counts[entry.kind] = kept + one, gone
        else:
            counts[entry.kind] = kept, gone + one
            if not dry_run:
                store.drop(entry.kind, entry.key)
    return counts


def hold_cap(store: Store, index: ArchiveIndex, most: int, archives: Iterable[Archive], modules_dir: str = "") -> None:
    """See that the store has `most` bytes at most (0: any number): what nobody needs goes first, then what can be made
    again of `archives`, the longest unused first. For the holder of the run's lock. Raises CannotWrite."""
    if not most:
        return
    entries = list(store.entries())
    total = sum(entry.bytes for entry in entries)
    if total <= most:
        return
    wanted = needed(store, index, [archive for archive in archives if not archive.remembered], modules_dir)

    def turn(entry: Entry) -> tuple[bool, float, str, str]:
        return (entry.kind, entry.key) in wanted, entry.used, entry.kind, entry.key

    before, gone = total, 0
    for entry in sorted(entries, key=turn):
        if total > most and wanted.get((entry.kind, entry.key), True):
            store.drop(entry.kind, entry.key)
            total -= entry.bytes
            gone += 1
    logger.info("the store had %d bytes; %d entries of %d bytes were let go", before, gone, before - total)
    if total > most:
        logger.warning("the store has %d bytes, and store_max_bytes is %d: nothing more can be let go", total, most)


def needed(
    store: Store, index: ArchiveIndex, readable: Collection[Archive] = (), modules_dir: str = ""
) -> dict[ArchiveName, bool]:
    """The entries that the archives of the index need; and of each whether it may go all the same, since it is only
    asked for when something changes, and can be made again of archives that are `readable`."""
    there = {(archive.instance_id, archive.name) for archive in readable}
    wanted: dict[ArchiveName, bool] = {}
    modules = discover(modules_dir).values()
    for own, instance_id, archives in index.instances():
        final = {name for name in archives if not own or (instance_id, name) not in there}
        items = [item for name, known in archives.items() if (item := _counted(store, instance_id, name, known))]
        for kind, key, may_go in chain(
            _read(archives, final), _made(modules, store, items, final, index.as_of or date.max)
        ):
            wanted[kind, key] = may_go and wanted.get((kind, key), True)
    return wanted


def _counted(store: Store, instance_id: str, name: str, known: IndexedArchive) -> Planned | None:
    """An archive whose numbers are in the tables, None for another."""
    archive = as_published(instance_id, name, known)
    account = load_account(store, known.key)
    return Planned(archive, Step.CACHED, "", known.key, account) if archive and archive.report and account else None


def _read(archives: Mapping[str, IndexedArchive], final: Set[str]) -> Iterator[tuple[str, str, bool]]:
    """What was read of an instance's archives; its records may go where they can be read again."""
    for name, known in archives.items():
        for kind in (ACCOUNT, REJECT_FILE):
            yield kind, known.key, False
        for kind in RECORDS:
            yield kind, known.key, name not in final


def _made(
    modules: Collection[Module], store: Store, items: Sequence[Planned], final: Set[str], as_of: date
) -> Iterator[tuple[str, str, bool]]:
    """What was made of it. The partials of exports are as large as the records, and may go with them."""
    items = sorted(items, key=lambda item: item.archive.order)
    current: list[MergeInput] = []
    for item, newer in zip(items, newer_reports(items), strict=True):
        superseded, _ = known_superseded(store, item, newer) or ("", 0)
        yield SUPERSEDING, superseding_key(item.key, (other.key for other in newer)), False
        yield SUPERSEDED, superseded, False
        current.append(merge_input_of(item, superseded, as_of, final=item.archive.name in final))
    for module in modules:
        for archive in current:
            yield PARTIAL, archive.partial(module), isinstance(module, Export) and not archive.final
        counted = [archive for archive in current if store.has(PARTIAL, archive.partial(module))]
        for cubes, those in merges(module, counted, as_of):
            yield MERGED, merged_keys(module, cubes, (archive.partial(module) for archive in those))[-1], True
