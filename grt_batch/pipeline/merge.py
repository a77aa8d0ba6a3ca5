"""The partials of an instance's archives: which are merged, how a rank merges them, and where the result is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from grt_batch.core.config import Config
from grt_batch.core.timing import Stage
from grt_batch.modules.base import Counted, Module
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import MERGED, PARTIAL, merged_keys, partial_key
from grt_batch.pipeline.planned import Planned, first_day
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.schema.records import WINDOW_DAYS
from grt_batch.store.store import Store

_MERGED_AT_ONCE = 16 << 20
"""Bytes of stored partials that are in memory at a time. Each batch is merged with the result so far, so more batches
take longer."""


@dataclass(frozen=True)
class MergeInput:
    """An archive that counts, with the store's keys of what was read of it and of its superseded jobs, "" for none.

    `since` is the first day that windows count by itself, `last_day` the last day of a job. A `final` archive cannot be
    read again.
    """

    key: str
    superseded: str
    since: date
    last_day: str | None
    final: bool

    def partial(self, module: Module) -> str:
        """Return the store's key of its partial."""
        return partial_key(self.key, module, self.superseded, self.since)


def merge_input_of(item: Planned, superseded: str, as_of: date, earliest: date | None = None) -> MergeInput:
    """Return an archive as it is merged, without its `superseded` jobs, by partials as in `first_day`."""
    last_day = item.account.last_day if item.account else None
    since = first_day(item.archive, as_of, earliest)
    return MergeInput(item.key, superseded, since, last_day, not item.archive.readable)


def counted_in(store: Store, module: Module, archives: Sequence[MergeInput]) -> list[MergeInput]:
    """Return the archives that a module counts: it may lack the numbers of one that cannot be read."""
    return [archive for archive in archives if not archive.final or store.has(PARTIAL, archive.partial(module))]


def merges(
    module: Module, archives: Sequence[MergeInput], as_of: date
) -> Iterator[tuple[frozenset[str], Sequence[MergeInput]]]:
    """Yield the cubes of a module with the archives to merge them over: windowed cubes over recent archives only."""
    first = (as_of - timedelta(days=WINDOW_DAYS - 1)).isoformat()
    recent = [archive for archive in archives if archive.last_day and archive.last_day >= first]
    for windowed, merged in ((False, archives), (True, recent)):
        cubes = frozenset(cube.name for cube in module.cubes if cube.windowed is windowed)
        if cubes:
            yield cubes, merged


@dataclass(frozen=True)
class MergedEntry:
    """The entry of the store that holds some cubes of a module, merged over all archives of an instance. It may hold
    other cubes too."""

    instance_id: str
    cubes: tuple[str, ...]
    kind: str
    key: str

    def load(self, store: Store, module: Module) -> Counted | None:
        """Return the cubes of its `module`, None where the entry is missing or damaged."""
        raw = store.get(self.kind, self.key)
        return None if raw is None else module.unpack(raw, self.cubes)


@dataclass(frozen=True)
class MergeOutcome:
    """The outcome of a merge: the keys of the partials that are missing or damaged."""

    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class MergeOrder:
    """Merge some cubes of a module over the archives of an instance, given by the keys of their partials.

    With `again` earlier merges are ignored. With `keep` the merge of the first archives stays in the store: somebody
    else may be at it.
    """

    instance_id: str
    module: str
    cubes: tuple[str, ...]
    keys: tuple[str, ...]
    again: bool = False
    keep: bool = False
    bytes: int = 0
    modules_dir: str = ""

    @property
    def place(self) -> str:
        """Return what the order is about, for error messages."""
        return f"{self.instance_id}, {self.module}"

    @property
    def merged(self) -> MergedEntry:
        """Return the entry with the result. A single archive needs no merging: the entry is its partial."""
        if len(self.keys) == 1:
            return MergedEntry(self.instance_id, self.cubes, PARTIAL, self.keys[0])
        return MergedEntry(self.instance_id, self.cubes, MERGED, self._prefixes[-1])

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> MergeOutcome:
        """Merge, unless the result is in the store. Drop damaged partials."""
        del config, run_tasks, progress
        with store.clock.stage(Stage.MERGE, of=self.place):
            damaged: tuple[str, ...]
            if len(self.keys) == 1:
                damaged = self.keys if store.get(PARTIAL, self.keys[0]) is None else ()
            elif not self.again and store.get(MERGED, self._prefixes[-1]) is not None:
                damaged = ()
            else:
                damaged = self._merge(store)
        for key in damaged:
            store.drop(PARTIAL, key)
        return MergeOutcome(damaged)

    def _merge(self, store: Store) -> tuple[str, ...]:
        """Merge on from the longest stored prefix of the archives. Return the keys of damaged partials."""
        module, prefixes = self._module, self._prefixes
        done, result = 0, {name: rows for name, rows in module.empty().items() if name in self.cubes}
        if not self.again:
            for length in range(len(self.keys) - 1, 0, -1):
                raw = store.get(MERGED, prefixes[length])
                if raw is not None:
                    done, result = length, module.unpack(raw)
                    break
        for keys in self._at_once(store, self.keys[done:]):
            raws = {key: store.get(PARTIAL, key) for key in keys}
            damaged = tuple(key for key, raw in raws.items() if raw is None)
            if damaged:
                return damaged
            store.clock.count(Stage.MERGE, sum(len(raw) for raw in raws.values() if raw is not None))
            partials = [module.unpack(raw, self.cubes) for raw in raws.values() if raw is not None]
            result = module.gathered([result, *partials])
        with store.clock.stage(Stage.STORE):
            store.put(MERGED, prefixes[-1], module.pack(result))
        if done and not self.keep:
            store.drop(MERGED, prefixes[done])
        return ()

    @staticmethod
    def _at_once(store: Store, keys: Sequence[str]) -> Iterator[list[str]]:
        """Yield the keys in batches whose partials fit in memory, at least one in each."""
        some: list[str] = []
        size = 0
        for key in keys:
            size += store.size(PARTIAL, key)
            if some and size > _MERGED_AT_ONCE:
                yield some
                some, size = [], store.size(PARTIAL, key)
            some.append(key)
        if some:
            yield some

    @property
    def _module(self) -> Module:
        return discover(self.modules_dir)[self.module]

    @cached_property
    def _prefixes(self) -> list[str]:
        return merged_keys(self.instance_id, self._module, self.cubes, self.keys)
