"""What of the store is kept and what is let go: never what a run needs, and always what none needs."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from cold_storage import freeze, thaw
from coming_and_going import AS_OF, MODULES, Site, change_code, compute_nothing

from grt_batch.core.errors import NoIndex
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.gc import EntryCount, collect
from grt_batch.pipeline.keys import ACCOUNT, IDS, MERGED, PARTIAL, REJECT_FILE, SUPERSEDED, account_key
from grt_batch.pipeline.planned import Step

LONG_AGO = 1_500_000_000
Name = tuple[str, str]


def names(site: Site) -> set[Name]:
    return {(entry.kind, entry.key) for entry in site.store.entries()}


def size(site: Site) -> int:
    return sum(entry.bytes for entry in site.store.entries())


def gc(site: Site, *, dry_run: bool = False) -> set[Name]:
    """What a collection lets go."""
    before = names(site)
    counts = collect(site.store, site.index(), dry_run=dry_run)
    gone = before - names(site)
    if not dry_run:
        removed = Counter(kind for kind, _ in gone)
        assert {kind: count.entries for kind, (_, count) in counts.items() if count.entries} == removed
        kept = Counter(kind for kind, _ in names(site))
        assert {kind: count.entries for kind, (count, _) in counts.items() if count.entries} == kept
        assert sum(count.bytes for count, _ in counts.values()) == size(site)
    return gone


def of_content(site: Site, sha256: str) -> set[Name]:
    """What was read of a tar.gz."""
    key = account_key(sha256, site.config)
    return {(kind, key) for kind in (ACCOUNT, IDS, REJECT_FILE) if site.store.has(kind, key)}


def test_after_a_run_nothing_can_go_and_the_next_computes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    assert {kind for kind, _ in names(site)} == {ACCOUNT, IDS, REJECT_FILE, MERGED, PARTIAL, SUPERSEDED}
    before = site.tables()
    assert gc(site) == set()
    left = names(site)
    compute_nothing(monkeypatch)
    site.run()
    assert site.tables() == before
    assert names(site) == left
    assert gc(site) == set()


def test_what_modules_of_before_have_made_goes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    gc(site)
    before, old = site.tables(), names(site)
    change_code(monkeypatch, "tools")
    site.run()
    new = names(site) - old
    gone = gc(site)
    # As many as there are anew, of each kind.
    assert Counter(kind for kind, _ in gone) == Counter(kind for kind, _ in new) == {PARTIAL: 4, MERGED: 1}
    assert gone < old
    compute_nothing(monkeypatch)
    site.run()
    assert site.tables() == before


def test_what_a_module_made_that_did_not_run_this_time_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run(modules=("splitter",))
    site.run()
    gc(site)
    compute_nothing(monkeypatch)
    site.run(modules=("splitter",))
    site.run()


def test_the_archive_that_another_replaced_goes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    gc(site)
    old = site.planned()["a/3"]
    assert old.account is not None
    site.write("a", "3", [5, 6, 7])
    # As long as the new one is not read, the old one counts.
    assert gc(site) == set()
    site.run()
    gone = gc(site)
    assert of_content(site, old.account.sha256) == set()
    assert {(kind, old.key) for kind in (ACCOUNT, REJECT_FILE, IDS)} < gone
    before = site.tables()
    compute_nothing(monkeypatch)
    site.run()
    assert site.tables() == before


def test_what_is_gone_and_remembered_stays_and_goes_when_it_is_forgotten(site: Site) -> None:
    site.run()
    gc(site)
    left, key = names(site), site.planned()["a/3"].key
    site.remove("a", "3")
    site.remove_instance("b")
    assert gc(site) == set()
    site.run()
    assert gc(site) == set()
    assert names(site) == left
    site.run(forget=True, instances=("a",))
    assert {(ACCOUNT, key), (IDS, key)} < gc(site)
    assert site.jobs() == {"a": 4, "b": 1}
    site.run()
    assert site.jobs() == {"a": 4, "b": 1}


def test_archives_of_other_uploads_keep_their_entries(site: Site, tmp_path: Path) -> None:
    site.run()
    gc(site)
    left = names(site)
    other = Site(replace(site.config, uploads=tmp_path / "other", reports=tmp_path / "other_reports"))
    other.write("c", "1", [7])
    other.run()
    gc(other)
    assert left <= names(site)


def test_an_archive_in_quarantine_keeps_what_was_read_of_it(site: Site) -> None:
    site.write("a", "3", [5, 6], report_hash=f"sha256:{'0' * 64}")
    site.run()
    item = site.planned()["a/3"]
    assert item.account is not None
    gc(site)
    assert of_content(site, item.account.sha256) == {(kind, item.key) for kind in (ACCOUNT, IDS, REJECT_FILE)}
    site.write("a", "3", [5, 6])
    site.run()
    assert site.jobs() == {"a": 6, "b": 1}


def test_what_earlier_code_made_of_cold_archives_stays_until_there_is_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be made again: who goes back to that code needs it."""
    site.run()
    collect(site.store, site.index(), dry_run=False)
    before, cold = names(site), {("a", "3")}
    freeze(site.config.uploads / "a" / "archives" / "3.tar.gz")
    with monkeypatch.context() as patch:
        # Modules of every run that never ran here lack everything.
        patch.setattr("grt_batch.pipeline.gc.discover", lambda _: {module.name: module for module in chosen(MODULES)})
        change_code(patch, "tools")
        collect(site.store, site.index(), dry_run=False, cold=cold)
        assert {name for name in before if name[0] == PARTIAL} <= names(site)
        site.run(without_cold=True)
        thaw(site.config.uploads / "a" / "archives" / "3.tar.gz")
        site.run()
        collect(site.store, site.index(), dry_run=False, cold=cold)
        assert len({name for name in before if name[0] == PARTIAL} - names(site)) == 4


def test_what_nobody_knows_goes(site: Site) -> None:
    site.run()
    gc(site)
    left = names(site)
    for kind, key in ((PARTIAL, "0" * 40), ("a kind of before", "1" * 40)):
        site.store.put(kind, key, b"what is it?")
    assert gc(site, dry_run=True) == set()
    assert gc(site) == {(PARTIAL, "0" * 40), ("a kind of before", "1" * 40)}
    assert names(site) == left


def test_to_look_says_what_would_go(site: Site) -> None:
    site.run()
    site.write("a", "4", [6])
    site.run()
    looked = collect(site.store, site.index(), dry_run=True)
    # The partials of the third archive with job 6.
    assert looked[PARTIAL][1].entries == len(MODULES)
    assert collect(site.store, site.index(), dry_run=False) == looked


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("{")], ids=["missing", "damaged"])
def test_without_an_index_nothing_goes(site: Site, damage) -> None:
    site.run()
    before = names(site)
    damage(site.config.work / "index.json")
    with pytest.raises(NoIndex) as raised:
        collect(site.store, site.index(), dry_run=False)
    assert raised.value.file == site.config.work / "index.json"
    assert names(site) == before
    site.run()
    assert gc(site) == set()


def test_of_an_empty_store_nothing_goes(site: Site) -> None:
    assert collect(site.store, site.index(), dry_run=False) == {}


# The cap.


def capped(site: Site, most: int) -> Site:
    return Site(replace(site.config, store_max_bytes=most))


def used(site: Site, kind: str, key: str, when: float) -> None:
    os.utime(site.store.path(kind, key), (when, when))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "grt_batch")
    return caplog


def test_without_a_cap_all_is_kept(site: Site, log: pytest.LogCaptureFixture) -> None:
    site.run()
    site.store.put(PARTIAL, "0" * 40, bytes(10**6))
    before = names(site)
    site.run()
    capped(site, size(site)).run()
    assert names(site) == before
    assert log.messages == []


def test_over_the_cap_that_goes_first_which_nobody_needs(
    site: Site, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    gc(site)
    needed, before, most = names(site), site.tables(), size(site)
    for number in range(4):
        site.store.put(PARTIAL, str(number) * 40, bytes(1000))
        used(site, PARTIAL, str(number) * 40, LONG_AGO - number)
    for kind, key in needed:
        used(site, kind, key, LONG_AGO - 1000)
    compute_nothing(monkeypatch)
    entry = size(site) - most
    capped(site, most + entry // 2).run()
    # The longest unused of what is not needed, and no more of it than must go.
    assert names(site) - needed == {(PARTIAL, "0" * 40), (PARTIAL, "1" * 40)}
    (said,) = log.messages
    assert said.startswith(f"dropped 2 entries with {entry // 2} bytes from the store, which had ")
    assert site.tables() == before


def test_over_the_cap_what_was_merged_goes_and_nothing_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    gc(site)
    before, everything = site.tables(), names(site)
    capped(site, 1).run()
    assert {kind for kind, _ in everything - names(site)} == {MERGED}
    compute_nothing(monkeypatch)
    assert {step for step, _ in site.plan().values()} == {Step.CACHED, Step.SUPERSEDED}
    capped(site, 1).run()
    assert site.tables() == before


def test_with_little_room_a_newer_archive_still_takes_jobs_of_all_others(site: Site) -> None:
    site.run()
    small = capped(site, 1)
    small.run()
    site.write("a", "4", [1, 2, 3, 4, 5, 6])
    small.run()
    assert site.jobs() == {"a": 6, "b": 1}
    assert [row["superseded"] for row in site.rows("archive")] == ["3", "2", "2", "0", "0"]


def test_the_cap_takes_no_numbers_from_what_is_gone(site: Site, log: pytest.LogCaptureFixture) -> None:
    site.run()
    gc(site)
    before = site.tables("archive", "instance_status")
    gone = {site.planned()[name].key for name in ("a/1", "b/1")}
    site.remove("a", "1")
    site.remove_instance("b")
    kept = {(kind, key) for kind, key in names(site) if key in gone}
    assert {kind for kind, _ in kept} == {ACCOUNT, IDS, REJECT_FILE}
    for kind, key in kept:
        used(site, kind, key, LONG_AGO)
    log.clear()
    capped(site, 1).run()
    assert kept <= names(site)
    (said,) = (record.getMessage() for record in log.records if record.levelname == "WARNING" and "bytes" in record.msg)
    assert said == f"the store has {size(site)} bytes, and store_max_bytes is 1: nothing more can be dropped"
    capped(site, 1).run()
    assert site.tables("archive", "instance_status") == before


def test_over_the_cap_the_parts_of_exports_go(site: Site) -> None:
    site.run(modules=("splitter",))
    gc(site)
    before = {entry.key for entry in site.store.entries() if entry.kind == PARTIAL}
    assert before
    capped(site, 1).run(modules=("splitter",))
    assert not [entry for entry in site.store.entries() if entry.kind == PARTIAL]
    site.run(modules=("splitter",))
    gc(site)
    assert {entry.key for entry in site.store.entries() if entry.kind == PARTIAL} == before


def test_counts_add_up() -> None:
    assert EntryCount(1, 10) + EntryCount(2, 20) == EntryCount(3, 30)


def test_the_as_of_day_of_the_last_run_is_what_windows_are_kept_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = AS_OF.replace(year=2023)
    site.run(as_of=early)
    before = site.tables()
    gc(site)
    compute_nothing(monkeypatch)
    site.run(as_of=early)
    assert site.tables() == before
