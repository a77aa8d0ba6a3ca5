"""Report sets of past days, made beside the runs that publish.

A set of a past day has the tables that a run with this as-of day would publish now: what is known of the past today.
All sets of a backfill share their partials. Those of an archive that was made after the first of the days reach back to
the windows of that day, so each such archive is read once, for all days together.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.errors import StoreDamaged
from grt_batch.core.logs import logger
from grt_batch.core.timing import Stage
from grt_batch.ledger.people import FindPeople, all_owners, nobody
from grt_batch.modules.base import Module
from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.plan import survey
from grt_batch.pipeline.planned import Planned
from grt_batch.pipeline.publish import publish
from grt_batch.pipeline.read_all import Progress
from grt_batch.pipeline.reduce_all import reduce_archives
from grt_batch.pipeline.request import Beside, RunRequest, RunSummary, new_run_id
from grt_batch.sinks.made_folder import MakeFolder
from grt_batch.sinks.report_set import LATEST, target_of
from grt_batch.sinks.targets import Targets
from grt_batch.store.archive_index import UnsavedIndex
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Uploads

_TRIES = 3
"""How often a set is begun where a run takes something away that it had merged, to replace it by more."""


class Every(Enum):
    """The steps from one day to the next."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Place(Enum):
    """What is in the place of a set."""

    FREE = "to make"
    THERE = "there"
    NEWEST = "the newest, which a run made"


@dataclass(frozen=True)
class PastDays:
    """The days of a backfill, both ends included, or a `part` of them: its index, from 0, of so many `parts`.

    Weeks are counted from the first day. In each month it is the day that the first one has, or the last of a month
    that is too short for it.
    """

    first: date
    last: date
    every: Every = Every.DAY
    part: int = 0
    parts: int = 1

    def __iter__(self) -> Iterator[date]:
        """Return the days of the part, which follow each other: such sets have most in common."""
        days = list(self._all())
        begin, end = (len(days) * part // self.parts for part in (self.part, self.part + 1))
        return iter(days[begin:end])

    def _all(self) -> Iterator[date]:
        day, number = self.first, 0
        while day <= self.last:
            yield day
            number += 1
            if self.every is Every.MONTH:
                day = _months_later(self.first, number)
            else:
                day = self.first + number * timedelta(7 if self.every is Every.WEEK else 1)


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def place_of(reports: Path, day: date) -> Place:
    """Return what is in the place of the set of a day."""
    link = reports / day.isoformat()
    if target_of(reports / LATEST) == link.name:
        return Place.NEWEST
    return Place.THERE if link.is_symlink() else Place.FREE


@dataclass(frozen=True)
class Backfill:
    """What the sets of a backfill are made of, and by whom. Nothing is written but the store and the sets; `made` gives
    what fills folders of the set of a day, by their names."""

    config: Config
    days: PastDays
    modules: Sequence[Module]
    uploads: Uploads
    index: UnsavedIndex
    executor: Executor
    again: bool = False
    ranks: int = 1
    without_cold: bool = False
    people: FindPeople = nobody
    made: Callable[[date], Mapping[str, MakeFolder]] = lambda _: {}

    @property
    def store(self) -> Store:
        """Return the store of the work folder."""
        return Store(self.config.work / "store", self.executor.clock)

    def plan(self, day: date) -> list[Planned]:
        """Return what is known of each archive before the set of a day is made."""
        return survey(self.uploads, self.store, self.index, self.config, self.modules, day, self.days.first)

    def to_read(self, day: date) -> list[int]:
        """Return the bytes of each archive that is to be read before the first set, that of a day, is made."""
        return [item.archive.bytes for item in self.plan(day) if item.must_be_read]

    def makes(self, place: Place) -> bool:
        """Return whether a set is to be made where this is in its place."""
        return place is Place.FREE or (self.again and place is Place.THERE)

    def sets(
        self, progress: Progress = lambda _: nullcontext(lambda _: None)
    ) -> Iterator[tuple[date, RunSummary | None]]:
        """Make one set after another, and yield its day and its summary, None where the set of that day stays.

        The caller works beside the run of the work folder. Raises what a run raises without a database; the sets that
        were yielded stay.
        """
        before = _set_of(self.config.reports, LATEST)
        for day in self.days:
            place = place_of(self.config.reports, day)
            yield day, self._made(day, before, progress) if self.makes(place) else None
            before = _set_of(self.config.reports, day.isoformat()) or before

    def _made(self, day: date, before: Path | None, progress: Progress) -> RunSummary | None:
        for _ in range(1, _TRIES):
            try:
                return self._make(day, before, progress)
            except StoreDamaged:
                logger.info("the set of %s is begun again: a run has replaced what it needs", day)
        return self._make(day, before, progress)

    def _make(self, day: date, before: Path | None, progress: Progress) -> RunSummary | None:
        started = datetime.now(UTC).replace(tzinfo=None)
        request = RunRequest(
            config=self.config,
            as_of=day,
            modules=tuple(module.name for module in self.modules),
            without_cold=self.without_cold,
            ranks=self.ranks,
            beside=Beside(self.days.first, self.days.part, self.days.parts, before, self.again),
            run_id=new_run_id(started),
            started=started,
        )
        people = self.people(all_owners(self.uploads.instances))
        context = RunContext(request, self.modules, self.store, self.index, self.executor, people)
        with self.executor.clock.stage(Stage.PLAN):
            planned = self.plan(day)
        with Targets(()) as nowhere:
            with self.executor.clock.stage(Stage.REDUCE):
                reduced = reduce_archives(context, self.uploads, planned, nowhere, progress)
            summary = publish(context, reduced, nowhere, None, made=self.made(day))
        if not (target_of(summary.folder) or "").endswith(request.run_id):
            # Somebody else was faster.
            return None
        return replace(summary, unreadable=self.uploads.unreadable)


def _set_of(reports: Path, name: str) -> Path | None:
    """Return the folder of a set that stays when its link changes, None where there is no such set."""
    folder = (reports / name).resolve()
    return folder if folder.is_dir() else None
