"""The law of a backfill: the set of a past day is what a run with that as-of day would publish, to the byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from coming_and_going import AS_OF, Site, compute_nothing

from grt_batch.core.config import Config
from grt_batch.core.errors import StoreDamaged
from grt_batch.core.work_folder import beside
from grt_batch.modules.registry import chosen
from grt_batch.pipeline import reduce_archive as reducing
from grt_batch.pipeline.backfill import Backfill, Every, PastDays, Place, place_of
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.keys import MERGED
from grt_batch.pipeline.plan import find_uploads
from grt_batch.pipeline.render import RenderOrder
from grt_batch.store.archive_index import UnsavedIndex
from grt_batch.store.store import Store
from grt_batch.verify.published import last_run

MODULES = ("tools", "metrics", "errors", "instances")
"""Reports without windows and with them, cut from all days or from those that a window reaches."""


def backfill(config: Config, days: PastDays, modules: tuple[str, ...] = (), **changes: Any) -> Backfill:
    index = UnsavedIndex(config.work, config.uploads)
    uploads = find_uploads(config, index)
    it = Backfill(config, days, chosen(modules), uploads, index, SerialExecutor())
    return replace(it, **changes)


def fill(config: Config, days: PastDays, modules: tuple[str, ...] = (), **changes: Any) -> list[date]:
    """Make the sets, and return the days of those that were made."""
    with beside(config.work):
        return [day for day, made in backfill(config, days, modules, **changes).sets() if made]


def tables(reports: Path, day: date) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (reports / day.isoformat()).glob("*.tsv")}


def published(config: Config) -> tuple[bytes, dict[str, str]]:
    """What a run left that a backfill must not change: the index, and where its links lead to."""
    links = {name: str((config.reports / name).readlink()) for name in ("latest", "rejects", AS_OF.isoformat())}
    return (config.work / "index.json").read_bytes(), links


@pytest.mark.parametrize(
    ("every", "last", "wanted"),
    [
        (Every.DAY, "2024-02-01", ["2024-01-31", "2024-02-01"]),
        (Every.WEEK, "2024-02-14", ["2024-01-31", "2024-02-07", "2024-02-14"]),
        (Every.WEEK, "2024-02-13", ["2024-01-31", "2024-02-07"]),
        (Every.MONTH, "2024-04-30", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
        (Every.MONTH, "2024-02-28", ["2024-01-31"]),
        (Every.DAY, "2024-01-31", ["2024-01-31"]),
    ],
)
def test_days_are_counted_from_the_first(every: Every, last: str, wanted: list[str]) -> None:
    days = PastDays(date(2024, 1, 31), date.fromisoformat(last), every)
    assert [day.isoformat() for day in days] == wanted


def test_months_go_on_over_years() -> None:
    assert list(PastDays(date(2023, 11, 30), date(2024, 2, 29), Every.MONTH))[-1] == date(2024, 2, 29)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
def test_the_parts_are_all_days_each_once(parts: int) -> None:
    whole = PastDays(date(2024, 1, 1), date(2024, 1, 31))
    found = [list(replace(whole, part=part, parts=parts)) for part in range(parts)]
    assert [day for days in found for day in days] == list(whole)
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_set_is_what_a_run_of_that_day_would_publish(ran: Config, run_here: Callable[..., object]) -> None:
    before = published(ran)
    days = PastDays(date(2024, 6, 2), date(2024, 6, 28), Every.WEEK)
    runs = replace(ran, reports=ran.reports.with_name("of-runs"), work=ran.work.with_name("for-runs"))
    shutil.copytree(ran.work, runs.work)
    assert fill(replace(ran, database="host=/nowhere dbname=none"), days) == list(days)
    assert published(ran) == before
    for day in (date(2024, 6, 2), date(2024, 6, 23)):
        run_here(runs, as_of=day)
        assert tables(ran.reports, day) == tables(runs.reports, day)
        assert len(tables(ran.reports, day)) > 10


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The archives that are read from now on."""
    found: list[str] = []
    read_archive = reducing.read_archive

    def noted(tar: Path, *rest: Any) -> Any:
        found.append(f"{tar.parents[1].name}/{tar.name.partition('.')[0]}")
        return read_archive(tar, *rest)

    monkeypatch.setattr(reducing, "read_archive", noted)
    return found


@pytest.fixture
def published_site(site: Site) -> Site:
    site.run(MODULES)
    return site


DAYS = PastDays(date(2024, 6, 1), date(2024, 6, 25), Every.WEEK)


def test_all_days_share_what_is_read_of_an_archive(published_site: Site, reads: list[str]) -> None:
    # Those of the 21st to the 23rd.
    assert len(backfill(published_site.config, DAYS, MODULES).to_read(DAYS.first)) == 4
    assert len(fill(published_site.config, DAYS, MODULES)) == 4
    assert sorted(reads) == ["a/1", "a/2", "a/3", "b/1"]
    assert backfill(published_site.config, DAYS, MODULES).to_read(DAYS.last) == []


def test_each_part_begins_with_other_archives_and_finds_what_the_others_have_read(
    published_site: Site, reads: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = published_site.config
    other = published_site.fresh(tmp_path / "other").config
    shutil.copytree(config.work, other.work)
    first, second = (replace(DAYS, part=part, parts=2) for part in (0, 1))
    fill(other, first, MODULES)
    in_turn = reads.copy()
    reads.clear()
    read_archive, others = reducing.read_archive, [first]

    def read_while_the_other_part_works(*arguments: Any) -> Any:
        if others:
            fill(config, others.pop(), MODULES)
        return read_archive(*arguments)

    monkeypatch.setattr(reducing, "read_archive", read_while_the_other_part_works)
    fill(config, second, MODULES)
    # The one that both were at is read twice.
    assert reads == [*in_turn, in_turn[2]]
    assert len(in_turn) == 4


def test_archives_made_before_the_first_day_are_not_read(published_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_nothing(monkeypatch)
    days = PastDays(date(2024, 6, 23), date(2024, 6, 29))
    assert len(fill(published_site.config, days, MODULES)) == 7


def as_run(site: Site, days: PastDays, folder: Path) -> bool:
    """Whether the sets are those of runs with a copy of the work folder, which is made first."""
    runs = site.fresh(folder)
    shutil.copytree(site.config.work, runs.config.work)
    fill(site.config, days, MODULES)
    for day in days:
        runs.run(MODULES, as_of=day)
    return all(tables(site.config.reports, day) == tables(runs.config.reports, day) for day in days)


def test_removed_new_and_changed_archives_count_as_in_a_run(published_site: Site, tmp_path: Path) -> None:
    site = published_site
    site.remove("a", "2")
    site.write("a", "3", [5, 6, 7])
    site.write("a", "4", [1, 8, 9])
    before = published(site.config)
    assert as_run(site, PastDays(date(2024, 6, 21), date(2024, 6, 24)), tmp_path / "runs")
    assert published(site.config) == before


def test_what_a_backfill_leaves_does_not_show_in_the_next_run(published_site: Site, tmp_path: Path) -> None:
    site = published_site
    fill(site.config, DAYS, MODULES)
    site.write("a", "4", [1, 8, 9])
    site.run(MODULES)
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run(MODULES)
    assert site.tables() == fresh.tables()


def test_a_backfill_that_was_stopped_goes_on(published_site: Site) -> None:
    config = published_site.config
    days = PastDays(date(2024, 6, 1), date(2024, 6, 4))
    with beside(config.work):
        next(backfill(config, days, MODULES).sets())
    first = (config.reports / "2024-06-01").readlink()
    assert fill(config, days, MODULES) == list(days)[1:]
    assert (config.reports / "2024-06-01").readlink() == first
    assert fill(config, days, MODULES) == []
    assert fill(config, days, MODULES, again=True) == list(days)
    assert (config.reports / "2024-06-01").readlink() != first


def test_the_newest_set_is_that_of_a_run(published_site: Site) -> None:
    config = published_site.config
    before = published(config)
    assert fill(config, PastDays(AS_OF, AS_OF), MODULES, again=True) == []
    assert place_of(config.reports, AS_OF) is Place.NEWEST
    assert published(config) == before


def test_a_set_says_that_no_database_has_it(published_site: Site) -> None:
    reports = published_site.config.reports
    fill(published_site.config, PastDays(date(2024, 6, 23), date(2024, 6, 23)), MODULES)
    summaries = [json.loads((reports / day / "run.json").read_bytes()) for day in ("2024-06-23", "2024-06-30")]
    assert [summary["state"] for summary in summaries] == ["backfilled", "published"]
    assert last_run(reports, published_site.config.database).as_of == AS_OF


class Losing(SerialExecutor):
    """Loses merged entries, as a run replaces them, before tables are made of them, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def carry_out(self, orders: Any, config: Config, store: Store, progress: Any) -> Iterator[Any]:
        if self.times and any(isinstance(order, RenderOrder) for order in orders):
            self.times -= 1
            for entry in list(store.entries()):
                if entry.kind == MERGED:
                    store.drop(MERGED, entry.key)
        return super().carry_out(orders, config, store, progress)


def test_what_a_run_replaces_meanwhile_is_merged_again(published_site: Site, tmp_path: Path) -> None:
    config = published_site.config
    day = PastDays(date(2024, 6, 23), date(2024, 6, 23))
    executor = Losing(2)
    assert fill(config, day, MODULES, executor=executor) == list(day)
    assert executor.times == 0
    assert as_run(published_site, day, tmp_path / "runs")
    other = PastDays(date(2024, 6, 24), date(2024, 6, 24))
    with pytest.raises(StoreDamaged):
        fill(config, other, MODULES, executor=Losing(3))
    assert place_of(config.reports, date(2024, 6, 24)) is Place.FREE


def test_a_backfill_keeps_what_a_run_has_merged(published_site: Site) -> None:
    site = published_site
    before = {entry.key for entry in site.store.entries() if entry.kind == MERGED}
    site.write("a", "4", [8])
    fill(site.config, PastDays(date(2024, 6, 24), date(2024, 6, 24)), MODULES)
    after = {entry.key for entry in site.store.entries() if entry.kind == MERGED}
    assert before < after


def test_a_run_beside_a_backfill_clears_nothing_away(published_site: Site) -> None:
    site = published_site
    half, unfinished = site.config.reports / ".sets" / "2024-01-01.other", site.store.root / "unfinished" / "entry"
    half.mkdir()
    unfinished.touch()
    site.store.put(MERGED, "0" * 40, b"of a backfill")
    capped = replace(site, config=replace(site.config, store_max_bytes=1))
    with beside(site.config.work):
        capped.run(MODULES)
        assert half.exists()
        assert unfinished.exists()
        assert site.store.has(MERGED, "0" * 40)
    capped.run(MODULES)
    assert not half.exists()
    assert not unfinished.exists()
    assert not site.store.has(MERGED, "0" * 40)
