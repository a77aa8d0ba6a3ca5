"""Which partials are merged, and under which keys the store has what they were merged to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from grt_batch.module import WINDOW_DAYS, Module
from grt_batch.partials import digest
from grt_batch.pipeline import partial_key
from grt_batch.plan import Planned, first_day

MERGED = "merged"
"""The kind of entries in the store that are merged prefixes of an instance's archives."""


@dataclass(frozen=True)
class Current:
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


def current_of(item: Planned, superseded: str, as_of: date, *, final: bool) -> Current:
    """What of an archive counts, of which these jobs are superseded."""
    last_day = item.account.last_day if item.account else None
    return Current(item.key, superseded, first_day(item.archive, as_of), last_day, final)


def merges(
    module: Module, archives: Sequence[Current], as_of: date
) -> Iterator[tuple[frozenset[str], Sequence[Current]]]:
    """Which cubes are merged over which archives: those of the last days over the archives that have any."""
    first = (as_of - timedelta(days=WINDOW_DAYS - 1)).isoformat()
    recent = [archive for archive in archives if archive.last_day and archive.last_day >= first]
    for lately, those in ((False, archives), (True, recent)):
        cubes = frozenset(cube.name for cube in module.cubes if cube.lately is lately)
        if cubes:
            yield cubes, those


def merged_keys(module: Module, cubes: Iterable[str], partials: Iterable[str]) -> list[str]:
    """The keys of some cubes of a module, merged over none, the first, the first two of these partials, and so on."""
    keys = [digest(MERGED, module.name, module.version, *sorted(cubes))]
    for key in partials:
        keys.append(digest(keys[-1], key))
    return keys
