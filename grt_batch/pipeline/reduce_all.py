"""From planned archives to what is merged of each instance: read what must be read, find what newer archives replace,
merge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import orjson
import polars as pl

from grt_batch.core.config import Config
from grt_batch.core.digest import digest
from grt_batch.core.errors import CannotWrite, StoreDamaged
from grt_batch.core.logs import logger
from grt_batch.frames.ipc import unpack_frames
from grt_batch.ledger.ledger import ArchiveEntry, State
from grt_batch.modules.base import Module
from grt_batch.modules.export import PARTS, ArchiveParts, Export, Part
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.keys import (
    ACCOUNT,
    PARTIAL,
    REJECT_FILE,
    SUPERSEDED,
    SUPERSEDING,
    content_key,
    merged_keys,
    superseding_key,
)
from grt_batch.pipeline.merge import MergedEntry, MergeInput, MergeOrder, merge_input_of, merges
from grt_batch.pipeline.notices import say_what_is_lost
from grt_batch.pipeline.plan import (
    NUMBERS_LOST,
    Planned,
    Step,
    first_day,
    known_superseded,
    mismatch,
    newer_reports,
    unread,
)
from grt_batch.pipeline.reduce_archive import ReduceOrder, ReduceOutcome, job_ids
from grt_batch.schema.records import Job
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store


class _Damaged(Exception):
    """Entries of the store turned out to be damaged: they were dropped, and must be computed again."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        super().__init__()


@dataclass(frozen=True)
class Reduced:
    """By instance the entries of the ledger, oldest first; by module a digest of all that its partial over all
    instances is made of, and where the store has what is merged of each instance, for those that are wanted; and by
    export the parts of all archives, in order, instance by instance."""

    entries: Mapping[str, Sequence[ArchiveEntry]]
    contents: Mapping[str, str]
    merged: Mapping[str, Sequence[MergedEntry]]
    parts: Mapping[str, Sequence[ArchiveParts]]


FindUnchanged = Callable[[Mapping[str, Sequence[ArchiveEntry]], Mapping[str, str]], Collection[str]]
"""From entries and contents, as in `Reduced`, to the modules that need not be merged."""


def _nothing_known(_: object, __: object) -> Collection[str]:
    return ()


class Reduction:
    """From planned archives to their entries in the ledger and the store's keys of their partials."""

    def __init__(
        self,
        config: Config,
        modules: Sequence[Module],
        store: Store,
        executor: Executor,
        index: ArchiveIndex,
        as_of: date,
        *,
        again: bool,
    ) -> None:
        """With `again` partial results of earlier runs count for nothing."""
        self.config = config
        self.modules = modules
        self.names = tuple(module.name for module in modules)
        self.store = store
        self.executor = executor
        self.index = index
        self.as_of = as_of
        self.again = again

    def reduce(
        self, planned: Sequence[Planned], tell: Callable[[int], None], known: FindUnchanged = _nothing_known
    ) -> Reduced:
        """Read what must be read, make the partials that are missing, and merge them. The modules that are `known` need
        not be merged: what would become of that is there.

        Raises CannotWrite where the store does not give back what it was given.
        """
        computed_again: set[str] = set()
        while True:
            planned = self._read(planned, tell)
            try:
                entries, current = self._settle(planned)
                exports = {module.name for module in self.modules if isinstance(module, Export)}
                reports = [module for module in self.modules if module.name not in exports]
                contents = {module.name: self._content(module, current) for module in reports}
                there = known(entries, contents)
                merged = self._merge([module for module in reports if module.name not in there], current)
                parts = {module.name: self._parts(module, current) for module in self.modules if module.name in exports}
                self._say_what_is_lost(planned, current)
                return Reduced(entries, contents, merged, parts)
            except _Damaged as error:
                if computed_again.intersection(error.keys):
                    what = "what was stored there cannot be read back"
                    raise CannotWrite(folder=self.store.root, what=what) from None
                computed_again.update(error.keys)
                logger.warning("%d entries of the store are damaged; computing them again", len(error.keys))
                planned = [self._recheck(item, error.keys) for item in planned]

    def _recheck(self, item: Planned, damaged: Collection[str]) -> Planned:
        if item.archive.remembered:
            return replace(item, why=NUMBERS_LOST, account=None) if item.key in damaged else item
        if item.key and item.account and not item.account.quarantine and not self.store.has(ACCOUNT, item.key):
            return Planned(item.archive, Step.NEW, "its partial results are gone")
        return item

    def _read(self, planned: Sequence[Planned], tell: Callable[[int], None]) -> list[Planned]:
        places = {(p.archive.instance_id, p.archive.name): i for i, p in enumerate(planned)}
        orders = [self._order(item) for item in planned if item.must_be_read]
        result = list(planned)
        try:
            for outcome in self._carry_out(orders, tell):
                place = places[outcome.instance_id, outcome.archive]
                archive = result[place].archive
                if not outcome.account.sha256:
                    result[place] = unread(archive, outcome.account)
                    continue
                self.index.remember(archive, outcome.account.sha256, outcome.key)
                reason = mismatch(archive, outcome.account)
                step = Step.QUARANTINED if reason else Step.CACHED
                result[place] = Planned(archive, step, reason or "read now", outcome.key, outcome.account)
        finally:
            if orders:
                self.index.save()
        return result

    def _order(self, item: Planned, superseded: str = "") -> ReduceOrder:
        archive = item.archive
        return ReduceOrder(
            instance_id=archive.instance_id,
            archive=archive.name,
            tar="" if archive.remembered else str(archive.tar),
            bytes=archive.bytes,
            modules=self.names,
            since=first_day(archive, self.as_of),
            claimed_sha256=(archive.report and archive.report.sha256) or "",
            key=item.key,
            superseded=superseded,
            again=self.again,
        )

    def _carry_out(self, orders: list[ReduceOrder], tell: Callable[[int], None]) -> Iterator[ReduceOutcome]:
        """The largest first, so that no rank is left alone with a large one at the end."""
        orders.sort(key=lambda order: (-order.bytes, order.instance_id, order.archive))
        yield from self.executor.carry_out(orders, self.config, self.store, tell)

    def _settle(self, planned: Sequence[Planned]) -> tuple[dict[str, list[ArchiveEntry]], dict[str, list[MergeInput]]]:
        """See that every published archive has its partials, without the jobs that a newer archive reports again."""
        entries: dict[str, list[ArchiveEntry]] = {}
        current: dict[str, list[MergeInput]] = {}
        orders: list[ReduceOrder] = []
        by_instance: dict[str, list[Planned]] = {}
        for item in planned:
            by_instance.setdefault(item.archive.instance_id, []).append(item)
        for instance_id, items in by_instance.items():
            good = [item for item in items if item.counts]
            self._check_rejects(good)
            gone = {
                item.archive.name: self._superseded(item, newer)
                for item, newer in zip(good, newer_reports(good), strict=True)
            }
            entries[instance_id] = [self._entry(item, *gone.get(item.archive.name, ("", 0))) for item in items]
            current[instance_id] = []
            for item in good:
                superseded = gone[item.archive.name][0]
                archive = merge_input_of(item, superseded, self.as_of, final=item.archive.remembered)
                current[instance_id].append(archive)
                if not self._has_all(archive) or (self.again and (superseded or archive.final)):
                    orders.append(self._order(item, superseded))
        for _ in self._carry_out(orders, lambda _: None):
            pass
        return entries, current

    def _has_all(self, archive: MergeInput) -> bool:
        return all(self.store.has(PARTIAL, archive.partial(module)) for module in self.modules)

    def _counted_in(self, module: Module, archives: Sequence[MergeInput]) -> list[MergeInput]:
        """Those whose numbers the module has; of one that cannot be read again they may be lost to it."""
        return [
            archive for archive in archives if not archive.final or self.store.has(PARTIAL, archive.partial(module))
        ]

    def _say_what_is_lost(self, planned: Sequence[Planned], current: Mapping[str, Sequence[MergeInput]]) -> None:
        final = {archive.key: archive for archives in current.values() for archive in archives if archive.final}
        whole, partly, modules = [], [], set[str]()
        for item in planned:
            if item.archive.remembered:
                archive = final.get(item.key)
                lacking = {
                    module.name for module in self.modules if archive and not self._counted_in(module, [archive])
                }
                name = f"{item.archive.instance_id}/{item.archive.name}"
                whole += [name] if archive is None else []
                partly += [name] if lacking else []
                modules |= lacking
        say_what_is_lost(whole, partly, modules)

    def _entry(self, item: Planned, superseded: str, gone: int) -> ArchiveEntry:
        if item.step is Step.QUARANTINED:
            return ArchiveEntry(item.archive, State.QUARANTINED, item.why, item.account)
        removed = item.step is Step.REMOVED
        if item.account is None:
            return ArchiveEntry(item.archive, State.INCOMPLETE, item.why, removed=removed)
        state = State.INCOMPLETE if item.step is Step.INCOMPLETE else State.PUBLISHED
        reason = item.why if item.archive.remembered else None
        gone += item.account.repeated
        return ArchiveEntry(item.archive, state, reason, item.account, gone, item.key, removed)

    def _superseded(self, older: Planned, newer: Sequence[Planned]) -> tuple[str, int]:
        """The store's key of the jobs of an archive that newer ones report again ("" for none), and their number."""
        if not newer:
            return "", 0
        again = self.again and not any(item.archive.remembered for item in (older, *newer))
        known = None if again else known_superseded(self.store, older, newer)
        if known is not None:
            return known
        ids = self._ids(older)
        gone = ids[np.isin(ids, np.concatenate([self._ids(item) for item in newer]))]
        key = digest(SUPERSEDED, gone.tobytes().hex()) if len(gone) else ""
        if key:
            self.store.put(SUPERSEDED, key, gone.tobytes())
        self.store.put(
            SUPERSEDING, superseding_key(older.key, (other.key for other in newer)), orjson.dumps([key, len(gone)])
        )
        return key, len(gone)

    def _check_rejects(self, archives: Sequence[Planned]) -> None:
        """See that the reject files are there: a lost one would be missed by nobody."""
        lost = [item for item in archives if self.store.get(REJECT_FILE, item.key) is None]
        damaged = [item.key for item in lost if not item.archive.remembered]
        for key in damaged:
            for kind in (REJECT_FILE, ACCOUNT):
                self.store.drop(kind, key)
        if damaged:
            raise _Damaged(damaged)

    def _ids(self, item: Planned) -> Any:
        ids = job_ids(self.store, item.key)
        if ids is None:
            for kind in (Job.kind,) if item.archive.remembered else (Job.kind, ACCOUNT):
                self.store.drop(kind, item.key)
            raise _Damaged([item.key])
        return ids.to_numpy()

    def _parts(self, module: Module, current: Mapping[str, Sequence[MergeInput]]) -> list[ArchiveParts]:
        """The parts that an export has of all archives; they stay in the store until they are needed."""
        found = []
        for instance_id, archives in current.items():
            for archive in self._counted_in(module, archives):
                key = archive.partial(module)
                found.append(ArchiveParts(instance_id, key, partial(self._load_parts, key)))
        return found

    def _load_parts(self, key: str, names: Collection[str] | None = None) -> list[Part]:
        raw = self.store.get(PARTIAL, key)
        if raw is None:
            # Much may have been written already: this run ends, and the next one makes the entry again.
            self.store.drop(PARTIAL, key)
            raise StoreDamaged(store=self.store.root)
        parts = unpack_frames(raw)[PARTS]
        if names is not None:
            parts = parts.filter(pl.col("name").is_in(list(names)))
        return [Part(*row) for row in parts.iter_rows()]

    def _content(self, module: Module, current: Mapping[str, Sequence[MergeInput]]) -> str:
        """A digest of all that the partial of all instances is made of."""
        keys = [
            (instance_id, merged_keys(module, cubes, [archive.partial(module) for archive in those])[-1])
            for instance_id, archives in current.items()
            for cubes, those in merges(module, self._counted_in(module, archives), self.as_of)
        ]
        return content_key(module, keys)

    def _merge(
        self, modules: Sequence[Module], current: Mapping[str, Sequence[MergeInput]]
    ) -> dict[str, list[MergedEntry]]:
        """See that the store has what each module counts, merged over the archives of each instance; its cubes of the
        last days, over those that have any."""
        orders = [
            MergeOrder(
                instance_id,
                module.name,
                tuple(sorted(cubes)),
                tuple(a.partial(module) for a in those),
                self.again,
                modules_dir=self.config.modules_dir,
            )
            for module in modules
            for instance_id, archives in current.items()
            for cubes, those in merges(module, self._counted_in(module, archives), self.as_of)
            if those
        ]
        damaged: list[str] = []
        for outcome in self.executor.carry_out(orders, self.config, self.store, lambda _: None):
            damaged += outcome.damaged
        if damaged:
            raise _Damaged(damaged)
        return {module.name: [order.merged for order in orders if order.module == module.name] for module in modules}
