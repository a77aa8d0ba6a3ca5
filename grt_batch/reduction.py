"""From planned archives to one partial a module: read what must be read, find what newer archives replace, merge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Protocol

import numpy as np
import orjson
import polars as pl

from grt_batch.config import Config
from grt_batch.errors import CannotWrite, StoreDamaged
from grt_batch.joined import Job
from grt_batch.ledger import ArchiveEntry, State, utc
from grt_batch.logs import logger
from grt_batch.module import PARTS, WINDOW_DAYS, ArchiveParts, Export, Module, Part, Partial, over_all
from grt_batch.partials import Store, digest, pack_partial, unpack_partial
from grt_batch.pipeline import (
    ACCOUNT,
    PARTIAL,
    REJECTS,
    SUPERSEDED,
    Order,
    Outcome,
    job_ids,
    partial_key,
    reduce_archive,
)
from grt_batch.plan import Index, Planned, Step, mismatch, newer_reports
from grt_batch.tasks import run_here
from grt_batch.uploads import Archive

MERGED, SUPERSEDING = "merged", "superseding"
"""Kinds of entries in the store: merged prefixes of an instance's archives; which jobs newer archives replace."""
_MERGED_AT_ONCE = 8


class Crew(Protocol):
    """Those who reduce archives: this process alone, or the ranks of an MPI job."""

    def reduce(
        self, orders: Sequence[Order], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Outcome]:
        """Carry out the orders; outcomes come in any order."""

    def peak_memory(self) -> list[int]:
        """The peak memory of each rank in bytes."""


class Alone:
    """A crew of one: everything in this process."""

    def reduce(
        self, orders: Sequence[Order], config: Config, store: Store, progress: Callable[[int], None]
    ) -> Iterator[Outcome]:
        """Carry out the orders, one after another."""
        return (reduce_archive(order, config, store, run_here, progress) for order in orders)

    def peak_memory(self) -> list[int]:
        """The peak memory of this process in bytes."""
        return [peak_memory()]


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Damaged(Exception):
    """Entries of the store turned out to be damaged: they were dropped, and must be computed again."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        super().__init__()


@dataclass(frozen=True)
class Reduced:
    """By instance the entries of the ledger, oldest first; by module its partial over all instances, whose cubes have
    the column `instance_id`; and by export the parts of all archives, in order, instance by instance."""

    entries: Mapping[str, Sequence[ArchiveEntry]]
    merged: Mapping[str, Partial]
    parts: Mapping[str, Sequence[ArchiveParts]]


@dataclass(frozen=True)
class _Current:
    """A published archive: the store's keys of what was read of it, and of its jobs that are superseded."""

    key: str
    superseded: str
    since: date
    last_day: str | None


class Reduction:
    """From planned archives to their entries in the ledger and the store's keys of their partials."""

    def __init__(
        self,
        config: Config,
        modules: Sequence[Module],
        store: Store,
        crew: Crew,
        index: Index,
        as_of: date,
        *,
        again: bool,
    ) -> None:
        """With `again` partial results of earlier runs count for nothing."""
        self.config = config
        self.modules = modules
        self.names = tuple(module.name for module in modules)
        self.store = store
        self.crew = crew
        self.index = index
        self.as_of = as_of
        self.again = again
        self.seconds: dict[str, float] = {}

    def reduce(self, planned: Sequence[Planned], tell: Callable[[int], None]) -> Reduced:
        """Read what must be read, make the partials that are missing, and merge them.

        Raises CannotWrite where the store does not give back what it was given.
        """
        computed_again: set[str] = set()
        while True:
            planned = self._read(planned, tell)
            try:
                entries, current = self._settle(planned)
                exports = {module.name for module in self.modules if isinstance(module, Export)}
                merged = {
                    module.name: self._over_all(module, current)
                    for module in self.modules
                    if module.name not in exports
                }
                parts = {module.name: self._parts(module, current) for module in self.modules if module.name in exports}
                return Reduced(entries, merged, parts)
            except _Damaged as error:
                if computed_again.intersection(error.keys):
                    what = "what was stored there cannot be read back"
                    raise CannotWrite(folder=self.store.root, what=what) from None
                computed_again.update(error.keys)
                logger.warning("%d entries of the store are damaged; computing them again", len(error.keys))
                planned = [self._recheck(item) for item in planned]

    def _recheck(self, item: Planned) -> Planned:
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
                self.index.remember(archive, outcome.account.sha256)
                reason = mismatch(archive, outcome.account)
                step = Step.QUARANTINED if reason else Step.CACHED
                result[place] = Planned(archive, step, reason or "read now", outcome.key, outcome.account)
        finally:
            if orders:
                self.index.save()
        return result

    def _since(self, archive: Archive) -> date:
        """The first day that is counted by itself: all that a window can reach from the archive's own end, so that it
        does not move with the as-of day; earlier only where that is far in the past."""
        assert archive.report is not None
        generated = utc(archive.report.generated).date()
        return min(generated, self.as_of) - timedelta(days=WINDOW_DAYS - 1)

    def _order(self, item: Planned, superseded: str = "") -> Order:
        archive = item.archive
        return Order(
            instance_id=archive.instance_id,
            archive=archive.name,
            tar=str(archive.tar),
            bytes=archive.bytes,
            modules=self.names,
            since=self._since(archive),
            claimed_sha256=(archive.report and archive.report.sha256) or "",
            key=item.key,
            superseded=superseded,
            again=self.again,
        )

    def _carry_out(self, orders: list[Order], tell: Callable[[int], None]) -> Iterator[Outcome]:
        """The largest first, so that no rank is left alone with a large one at the end."""
        orders.sort(key=lambda order: (-order.bytes, order.instance_id, order.archive))
        for outcome in self.crew.reduce(orders, self.config, self.store, tell):
            for stage, seconds in outcome.seconds.items():
                self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
            yield outcome

    def _settle(self, planned: Sequence[Planned]) -> tuple[dict[str, list[ArchiveEntry]], dict[str, list[_Current]]]:
        """See that every published archive has its partials, without the jobs that a newer archive reports again."""
        entries: dict[str, list[ArchiveEntry]] = {}
        current: dict[str, list[_Current]] = {}
        orders: list[Order] = []
        by_instance: dict[str, list[Planned]] = {}
        for item in planned:
            by_instance.setdefault(item.archive.instance_id, []).append(item)
        for instance_id, items in by_instance.items():
            good = [item for item in items if item.step in (Step.CACHED, Step.SUPERSEDED)]
            self._check_rejects(good)
            gone = {
                item.archive.name: self._superseded(item, newer)
                for item, newer in zip(good, newer_reports(good), strict=True)
            }
            entries[instance_id] = [self._entry(item, *gone.get(item.archive.name, ("", 0))) for item in items]
            current[instance_id] = []
            for item in good:
                superseded = gone[item.archive.name][0]
                last_day = item.account.last_day if item.account else None
                current[instance_id].append(_Current(item.key, superseded, self._since(item.archive), last_day))
                keys = [partial_key(item.key, module, superseded, self._since(item.archive)) for module in self.modules]
                if not all(self.store.has(PARTIAL, key) for key in keys) or (self.again and superseded):
                    orders.append(self._order(item, superseded))
        for _ in self._carry_out(orders, lambda _: None):
            pass
        return entries, current

    def _entry(self, item: Planned, superseded: str, gone: int) -> ArchiveEntry:
        if item.step is Step.INCOMPLETE:
            return ArchiveEntry(item.archive, State.INCOMPLETE, item.why)
        if item.step is Step.QUARANTINED:
            return ArchiveEntry(item.archive, State.QUARANTINED, item.why, item.account)
        assert item.account is not None
        return ArchiveEntry(item.archive, State.PUBLISHED, None, item.account, gone + item.account.repeated, item.key)

    def _superseded(self, older: Planned, newer: Sequence[Planned]) -> tuple[str, int]:
        """The store's key of the jobs of an archive that newer ones report again ("" for none), and their number."""
        if not newer:
            return "", 0
        inputs = digest(SUPERSEDING, older.key, *(item.key for item in newer))
        known = None if self.again else self.store.get(SUPERSEDING, inputs)
        if known is not None:
            key, count = orjson.loads(known)
            if not key or self.store.get(SUPERSEDED, key) is not None:
                return key, count
        ids = self._ids(older)
        gone = ids[np.isin(ids, np.concatenate([self._ids(item) for item in newer]))]
        key = digest(SUPERSEDED, gone.tobytes().hex()) if len(gone) else ""
        if key:
            self.store.put(SUPERSEDED, key, gone.tobytes())
        self.store.put(SUPERSEDING, inputs, orjson.dumps([key, len(gone)]))
        return key, len(gone)

    def _check_rejects(self, archives: Sequence[Planned]) -> None:
        """See that the reject files are there: a lost one would be missed by nobody."""
        damaged = [item.key for item in archives if self.store.get(REJECTS, item.key) is None]
        for key in damaged:
            for kind in (REJECTS, ACCOUNT):
                self.store.drop(kind, key)
        if damaged:
            raise _Damaged(damaged)

    def _ids(self, item: Planned) -> Any:
        ids = job_ids(self.store, item.key)
        if ids is None:
            for kind in (Job.kind, ACCOUNT):
                self.store.drop(kind, item.key)
            raise _Damaged([item.key])
        return ids.to_numpy()

    def _parts(self, module: Module, current: Mapping[str, Sequence[_Current]]) -> list[ArchiveParts]:
        """The parts that an export has of all archives; they stay in the store until they are needed."""
        found = []
        for instance_id, archives in current.items():
            for archive in archives:
                key = partial_key(archive.key, module, archive.superseded, archive.since)
                found.append(ArchiveParts(instance_id, key, partial(self._load_parts, key)))
        return found

    def _load_parts(self, key: str, names: Collection[str] | None = None) -> list[Part]:
        raw = self.store.get(PARTIAL, key)
        if raw is None:
            # Much may have been written already: this run ends, and the next one makes the entry again.
            self.store.drop(PARTIAL, key)
            raise StoreDamaged(store=self.store.root)
        parts = unpack_partial(raw)[PARTS]
        if names is not None:
            parts = parts.filter(pl.col("name").is_in(list(names)))
        return [Part(*row) for row in parts.iter_rows()]

    def _over_all(self, module: Module, current: Mapping[str, Sequence[_Current]]) -> Partial:
        """The partials of all instances in one, with the column `instance_id`."""
        merged = {instance_id: self._merged(module, archives) for instance_id, archives in current.items()}
        return over_all(module.cubes, merged)

    def _merged(self, module: Module, archives: Sequence[_Current]) -> Partial:
        """The partial of all archives of an instance; its cubes of the last days, of those that have any."""
        first = (self.as_of - timedelta(days=WINDOW_DAYS - 1)).isoformat()
        recent = [archive for archive in archives if archive.last_day and archive.last_day >= first]
        result: Partial = {}
        for lately, those in ((False, archives), (True, recent)):
            cubes = {cube.name for cube in module.cubes if cube.lately is lately}
            if cubes:
                result |= self._merged_cubes(module, cubes, those)
        return result

    def _merged_cubes(self, module: Module, cubes: Set[str], archives: Sequence[_Current]) -> Partial:
        """Some cubes of the partial of all these archives, from the longest prefix of them that was merged before."""
        keys = [partial_key(archive.key, module, archive.superseded, archive.since) for archive in archives]
        prefixes = [digest(MERGED, module.name, module.version, *sorted(cubes))]
        for key in keys:
            prefixes.append(digest(prefixes[-1], key))
        done, result = 0, {name: frame for name, frame in module.empty().items() if name in cubes}
        if not self.again:
            for length in range(len(keys), 0, -1):
                raw = self.store.get(MERGED, prefixes[length])
                if raw is not None:
                    done, result = length, unpack_partial(raw)
                    break
        for begin in range(done, len(keys), _MERGED_AT_ONCE):
            result = module.merge([result, *self._partials(keys[begin : begin + _MERGED_AT_ONCE], cubes)])
        if done < len(keys) > 1:
            self.store.put(MERGED, prefixes[-1], pack_partial(result))
            if done:
                self.store.drop(MERGED, prefixes[done])
        return result

    def _partials(self, keys: Sequence[str], cubes: Set[str]) -> list[Partial]:
        raw = [self.store.get(PARTIAL, key) for key in keys]
        damaged = [key for key, content in zip(keys, raw, strict=True) if content is None]
        if damaged:
            for key in damaged:
                self.store.drop(PARTIAL, key)
            raise _Damaged(damaged)
        return [unpack_partial(content, cubes) for content in raw if content is not None]
