"""The partials of an instance's archives, merged: which they are, how any rank merges them, and where the store has
what they were merged to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from grt_batch.core.config import Config
from grt_batch.core.timing import Stage
from grt_batch.frames.ipc import pack_frames, unpack_frames
from grt_batch.modules.base import WINDOW_DAYS, Module, Partial
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import MERGED, PARTIAL, merged_keys, partial_key
from grt_batch.pipeline.plan import Planned, first_day, known_superseded, newer_reports
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.store.store import Store

_MERGED_AT_ONCE = 16 << 20
"""Bytes of partials, as they are in the store, that are in memory at a time: whatever comes on top of what was merged
so far is merged with all of that once more."""


@dataclass(frozen=True)
class MergeInput:
    """An archive whose numbers are in the tables: the store's keys of what was read of it, and of its jobs that are
    superseded. A `final` one cannot be read again."""

    key: str
    superseded: str
    since: date
    last_day: str | None
    final: bool

    def partial(self, module: Module) -> str:
        """The store's key of its partial."""
        return partial_key(self.key, module, self.superseded, self.since)


def known_inputs(
    store: Store, items: Sequence[Planned], as_of: date
) -> Iterator[tuple[Planned, Sequence[Planned], MergeInput]]:
    """Yield the archives of an instance that count, oldest first, each with the newer ones that may report its jobs
    again and its input of merging, as far as the store knows of superseded jobs."""
    items = sorted(items, key=lambda item: item.archive.order)
    for item, newer in zip(items, newer_reports(items), strict=True):
        superseded, _ = known_superseded(store, item, newer) or ("", 0)
        yield item, newer, merge_input_of(item, superseded, as_of, final=item.archive.remembered)


def counted_in(store: Store, module: Module, archives: Sequence[MergeInput]) -> list[MergeInput]:
    """Return the archives that a module counts: it may have lost the numbers of one that cannot be read again."""
    return [archive for archive in archives if not archive.final or store.has(PARTIAL, archive.partial(module))]


def merge_input_of(item: Planned, superseded: str, as_of: date, *, final: bool) -> MergeInput:
    """What of an archive counts, of which these jobs are superseded."""
    last_day = item.account.last_day if item.account else None
    return MergeInput(item.key, superseded, first_day(item.archive, as_of), last_day, final)


def merges(
    module: Module, archives: Sequence[MergeInput], as_of: date
) -> Iterator[tuple[frozenset[str], Sequence[MergeInput]]]:
    """Which cubes are merged over which archives: those of the last days over the archives that have any."""
    first = (as_of - timedelta(days=WINDOW_DAYS - 1)).isoformat()
    recent = [archive for archive in archives if archive.last_day and archive.last_day >= first]
    for lately, those in ((False, archives), (True, recent)):
        cubes = frozenset(cube.name for cube in module.cubes if cube.windowed is lately)
        if cubes:
            yield cubes, those


@dataclass(frozen=True)
class MergedEntry:
    """Where the store has some cubes of a module, merged over all archives of an instance: an entry of this kind and
    key, which may hold other cubes too."""

    instance_id: str
    cubes: tuple[str, ...]
    kind: str
    key: str

    def load(self, store: Store) -> Partial | None:
        """The cubes, None where the entry is missing or damaged."""
        raw = store.get(self.kind, self.key)
        return None if raw is None else unpack_frames(raw, self.cubes)


@dataclass(frozen=True)
class MergeOutcome:
    """What came of a merge: the keys of partials that are missing or damaged, which it cannot do without."""

    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class MergeOrder:
    """Merge some cubes of a module over the archives of an instance, whose partials have these keys, and store that.

    With `again` what was merged before counts for nothing.
    """

    instance_id: str
    module: str
    cubes: tuple[str, ...]
    keys: tuple[str, ...]
    again: bool = False
    bytes: int = 0
    modules_dir: str = ""

    @property
    def place(self) -> str:
        """What it is about, for the error that it may end in."""
        return f"{self.instance_id}, {self.module}"

    @property
    def merged(self) -> MergedEntry:
        """Where the store has it, then. Of a single archive its partial is all."""
        if len(self.keys) == 1:
            return MergedEntry(self.instance_id, self.cubes, PARTIAL, self.keys[0])
        return MergedEntry(self.instance_id, self.cubes, MERGED, self._prefixes[-1])

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> MergeOutcome:
        """Merge; nothing is done where that was done before. Damaged partials are dropped."""
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
        """Merge from the longest prefix of the archives that was merged before; the keys that are damaged."""
        module, prefixes = self._module, self._prefixes
        done, result = 0, {name: frame for name, frame in module.empty().items() if name in self.cubes}
        if not self.again:
            for length in range(len(self.keys) - 1, 0, -1):
                raw = store.get(MERGED, prefixes[length])
                if raw is not None:
                    done, result = length, unpack_frames(raw)
                    break
        for keys in self._at_once(store, self.keys[done:]):
            raws = {key: store.get(PARTIAL, key) for key in keys}
            damaged = tuple(key for key, raw in raws.items() if raw is None)
            if damaged:
                return damaged
            store.clock.count(Stage.MERGE, sum(len(raw) for raw in raws.values() if raw is not None))
            partials = [unpack_frames(raw, self.cubes) for raw in raws.values() if raw is not None]
            result = module.merge([result, *partials])
        with store.clock.stage(Stage.STORE):
            store.put(MERGED, prefixes[-1], pack_frames(result))
        if done:
            store.drop(MERGED, prefixes[done])
        return ()

    @staticmethod
    def _at_once(store: Store, keys: Sequence[str]) -> Iterator[list[str]]:
        """The keys, so many at a time as may be in memory, and one at least."""
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
        return merged_keys(self._module, self.cubes, self.keys)
