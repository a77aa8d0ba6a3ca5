"""Archives in cold storage: what was read of them counts, nothing else changes, and what must be read is said."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from build import examples
from cold_storage import MOVED, freeze, freeze_all, thaw
from coming_and_going import MODULES, Site, change_code, compute_nothing
from hypothesis import given
from hypothesis import strategies as st
from runs import copy_uploads, published

from grt_batch.core.config import Config
from grt_batch.core.errors import MustBeThawed
from grt_batch.ledger.account import Account
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.modules.registry import chosen, discover
from grt_batch.pipeline.gc import collect
from grt_batch.pipeline.keys import ACCOUNT, IDS, PARTIAL, REJECT_FILE, account_key
from grt_batch.pipeline.merge import merge_input_of
from grt_batch.pipeline.planned import Planned, Step, first_day
from grt_batch.pipeline.repeats import put_superseded
from grt_batch.pipeline.request import RunSummary
from grt_batch.pipeline.unreadable import IN_COLD_STORAGE, NUMBERS_LOST, OLD, settled_archives
from grt_batch.sinks.sink import TableText
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.job_ids import pack_ids
from grt_batch.store.store import Store
from grt_batch.uploads.cold import ColdCopy, marker_of
from grt_batch.uploads.metadata import InstanceMetadata, read_report
from grt_batch.uploads.scan import Archive

READ_BEFORE = (Step.COLD, f"{IN_COLD_STORAGE}; read before")


def tar(site: Site, instance_id: str, name: str) -> Path:
    return site.config.uploads / instance_id / "archives" / f"{name}.tar.gz"


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "grt_batch")
    return caplog


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[TableText]:
    """The tables that runs render."""
    from grt_batch.pipeline.publish import _rendered

    found: list[TableText] = []

    def noted(*arguments: object):
        for text in _rendered(*arguments):  # type: ignore[arg-type]
            found.append(text)
            yield text

    monkeypatch.setattr("grt_batch.pipeline.publish._rendered", noted)
    return found


def test_no_number_of_any_module_changes_when_archives_are_moved_and_brought_back(
    ran: Config,
    sample: Path,
    tmp_path: Path,
    run_here: Callable[..., RunSummary],
    monkeypatch: pytest.MonkeyPatch,
    texts: list[TableText],
) -> None:
    uploads = tmp_path / "uploads"
    copy_uploads(sample, uploads)
    config = replace(ran, uploads=uploads)
    modules = tuple(name for name, module in discover().items() if not module.opt_in or name in ("lake", "splitter"))
    run_here(config, modules=modules)
    before = published(config.reports)
    folders = {path: path.read_bytes() for path in (config.reports / "latest").rglob("*/*") if path.is_file()}
    texts.clear()
    compute_nothing(monkeypatch)
    tars = freeze_all(uploads, storage_class="DEEP_ARCHIVE")
    assert tars
    assert not list(uploads.rglob("*.tar.gz"))
    summary = run_here(config, modules=modules)
    assert published(config.reports) == before
    assert summary.numbers["archives"]["found"] == len(tars)
    for archive in tars:
        thaw(archive)
    run_here(config, modules=modules)
    assert published(config.reports) == before
    assert {path: path.read_bytes() for path in folders} == folders
    assert texts == []


def test_what_is_cold_is_planned_as_such(site: Site) -> None:
    site.run()
    freeze(tar(site, "a", "1"))
    freeze(tar(site, "b", "1"))
    plan = site.plan()
    assert plan["b/1"] == READ_BEFORE
    assert plan["a/1"] == (Step.COLD, f"{IN_COLD_STORAGE}; read before; 1 job comes again in 2")
    assert not any(item.must_be_read for item in site.planned().values())


@pytest.mark.parametrize("told", [True, False], ids=["with its marker", "by itself"])
def test_what_is_brought_back_is_known(site: Site, monkeypatch: pytest.MonkeyPatch, *, told: bool) -> None:
    site.run()
    before = site.tables()
    compute_nothing(monkeypatch)
    file = tar(site, "a", "3")
    marker = freeze(file)
    site.run()
    thaw(file, told=told)
    if told:
        assert site.plan()["a/3"] == (Step.CACHED, "read before")
    # Without its new stamp it is hashed, as a file that was touched.
    site.run()
    assert site.tables() == before
    # The index follows, with or without the marker.
    marker.unlink()
    assert site.plan()["a/3"] == (Step.CACHED, "read before")


def test_a_move_that_was_cut_short_changes_nothing(site: Site) -> None:
    site.run()
    file = tar(site, "a", "3")
    content, stat = file.read_bytes(), file.stat()
    freeze(file)
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    step, _ = site.plan()["a/3"]
    assert step is not Step.COLD
    assert site.planned()["a/3"].archive.cold is not None


def test_a_damaged_marker_leaves_the_numbers_whatever_is_forgotten(site: Site) -> None:
    site.run()
    before = site.jobs()
    freeze(tar(site, "a", "3")).write_text("{")
    why = "3.tar.gz is in cold storage, nobody knows where: 3.cold is no JSON: "
    for options in ({}, {"forget": True}):
        step, told = site.plan(**options)["a/3"]
        assert step is Step.INCOMPLETE
        assert told.startswith(why)
        assert told.endswith("; its numbers stay until --forget")
        site.run(**options)
        assert site.jobs() == before


def test_forget_does_not_mean_what_is_cold(site: Site) -> None:
    site.run()
    before = site.tables()
    freeze_all(site.config.uploads)
    site.run(forget=True)
    assert site.tables() == before


def test_new_code_needs_what_is_cold_and_says_what_that_takes(
    site: Site, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """A run that would lose numbers is worse than none: the tables stay as they are until somebody decides."""
    site.run()
    before = site.tables()
    size = tar(site, "a", "3").stat().st_size
    freeze(tar(site, "a", "3"), storage_class="DEEP_ARCHIVE")
    change_code(monkeypatch, "params")
    assert site.plan()["a/3"] == (Step.COLD, f"{IN_COLD_STORAGE}; read before, but not in params")
    with pytest.raises(MustBeThawed) as raised:
        site.run()
    takes = f"1 archive, {size} bytes, 1 request, about 12 hours, or 48 hours in bulk"
    assert str(raised.value).startswith(f"What is in cold storage would have to be read (a/3): {takes}. ")
    assert raised.value.exit_code == 2
    assert site.tables() == before
    warnings.clear()
    site.run(without_cold=True)
    assert warnings.messages == [
        f"going on without what is in cold storage and would have to be read (a/3): {takes}",
        "lost the numbers in params of 1 cold archive: the store has not kept them (a/3)",
    ]
    assert site.jobs() == {"a": 6, "b": 1}
    assert len(site.jobs_with_params()) == 2
    assert site.tables("param", "param_value") == {
        name: raw for name, raw in before.items() if Path(name).stem not in ("param", "param_value")
    }
    # Brought back, it is read for that module.
    thaw(tar(site, "a", "3"))
    site.run()
    assert site.tables() == before


def test_to_recalculate_needs_all_that_is_cold(
    site: Site, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    site.run()
    before = site.tables()
    freeze(tar(site, "a", "3"))
    with pytest.raises(MustBeThawed, match=r"\(a/3\): 1 archive, .* to be read at once"):
        site.run(recalculate=True)
    # Of another instance nothing is asked.
    site.run(recalculate=True, instances=("b",))
    site.run(recalculate=True, without_cold=True)
    assert site.tables() == before
    (told,) = warnings.messages
    assert told.startswith("going on without what is in cold storage")


def test_what_would_be_read_in_another_way_stays_as_it_was(site: Site, warnings: pytest.LogCaptureFixture) -> None:
    """A run every night goes on."""
    site.run()
    before = site.tables()
    size = tar(site, "a", "3").stat().st_size
    freeze(tar(site, "a", "3"), storage_class="GLACIER")
    other = Site(replace(site.config, max_line_bytes=1000))
    assert other.plan()["a/3"] == (Step.COLD, f"{IN_COLD_STORAGE}; its numbers stay, {OLD}")
    other.run()
    assert site.tables() == before
    assert warnings.messages == [
        f"the numbers of 1 archive in cold storage stay {OLD} (a/3); to read them again: 1 archive, {size} bytes,"
        " 1 request, about 3 to 5 hours, or 5 to 12 hours in bulk"
    ]
    assert collect(site.store, site.index(), dry_run=False)
    other.run()
    assert site.tables() == before
    thaw(tar(site, "a", "3"))
    other.run()
    assert site.tables() == before
    assert other.plan()["a/3"] == (Step.CACHED, "read before")


def test_what_is_cold_keeps_the_jobs_that_a_newer_archive_reports_again(
    site: Site, tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    site.run()
    freeze(tar(site, "a", "3"))
    site.write("a", "4", [6, 7])
    site.run()
    assert warnings.messages == []
    assert site.jobs() == {"a": 7, "b": 1}
    superseded = {f"{row['instance_id']}/{row['archive']}": row["superseded"] for row in site.rows("archive")}
    assert superseded == {"a/1": "1", "a/2": "0", "a/3": "0", "a/4": "1", "b/1": "0"}
    before = site.tables()
    site.run()
    assert site.tables() == before
    # Brought back, it leaves them to the newer one, as if it had never been away.
    thaw(tar(site, "a", "3"))
    site.run()
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables() == fresh.tables()
    # It was read without these jobs now: moved again, nothing changes.
    freeze(tar(site, "a", "3"))
    site.run()
    assert site.tables() == fresh.tables()


def test_jobs_are_not_lost_with_the_archive_that_reported_them_again(site: Site, tmp_path: Path) -> None:
    site.run()
    before = site.tables()
    freeze(tar(site, "a", "1"))
    # Job 3 of the first archive is in no other one any more.
    site.write("a", "2", [4])
    with pytest.raises(MustBeThawed, match=r"\(a/1\)"):
        site.run()
    assert site.tables() == before
    step, why = site.plan()["a/1"]
    assert (step, why.endswith("; 1 job that it leaves out no other archive has any more")) == (Step.COLD, True)
    site.run(without_cold=True)
    assert site.jobs() == {"a": 5, "b": 1}
    thaw(tar(site, "a", "1"))
    site.run()
    assert site.jobs() == {"a": 6, "b": 1}
    fresh = site.fresh(tmp_path / "fresh")
    fresh.run()
    assert site.tables() == fresh.tables()


def test_what_was_never_read_is_named(site: Site) -> None:
    site.run()
    site.write("b", "2", [8])
    freeze(tar(site, "b", "2"))
    assert site.plan()["b/2"] == (Step.COLD, f"{IN_COLD_STORAGE}; {NUMBERS_LOST}")
    with pytest.raises(MustBeThawed, match=r"\(b/2\)"):
        site.run()
    site.run(without_cold=True)
    assert site.states()["b/2"] == ("incomplete", f"{IN_COLD_STORAGE}; {NUMBERS_LOST}")
    thaw(tar(site, "b", "2"))
    site.run()
    assert site.jobs() == {"a": 6, "b": 2}


def damage(site: Site, kind: str) -> None:
    """Damage all entries of a kind, and lose what was made of them."""
    for file in (site.config.work / "store" / kind).rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged")
    shutil.rmtree(site.config.work / "store" / "merged")
    shutil.rmtree(site.config.reports)


def test_lost_job_ids_cost_no_numbers(site: Site) -> None:
    site.run()
    before = site.tables()
    freeze_all(site.config.uploads)
    damage(site, IDS)
    site.run()
    assert site.tables() == before


@pytest.mark.parametrize("kind", [PARTIAL, ACCOUNT])
def test_what_the_store_has_lost_is_found_before_it_is_published(site: Site, kind: str) -> None:
    site.run()
    before = site.tables()
    freeze_all(site.config.uploads)
    damage(site, kind)
    with pytest.raises(MustBeThawed):
        site.run()
    # Nothing of it is forgotten.
    for file in sorted(site.config.uploads.rglob("*.cold")):
        thaw(file.with_suffix(".tar.gz"))
    site.run()
    assert site.tables() == before


def test_without_an_index_what_is_cold_is_known_by_its_marker(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    before = site.tables()
    freeze_all(site.config.uploads)
    (site.config.work / "index.json").unlink()
    compute_nothing(monkeypatch)
    site.run()
    assert site.tables() == before
    assert {name for _, _, archives in site.index().instances() for name in archives} == {"1", "2", "3"}
    site.run()
    assert site.tables() == before


def test_nothing_that_is_cold_is_collected(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = (*MODULES, "splitter")
    site.run(modules=modules)
    before = site.tables()
    freeze_all(site.config.uploads)
    # Entries as large as the archives themselves, which could be made again of others.
    capped = Site(replace(site.config, store_max_bytes=1))
    capped.run(modules=modules)
    collect(site.store, site.index(), dry_run=False)
    compute_nothing(monkeypatch)
    site.run(modules=modules)
    assert site.tables() == before
    assert {entry.kind for entry in site.store.entries()} >= {REJECT_FILE, PARTIAL}


def test_a_quarantined_archive_stays_so(site: Site) -> None:
    site.write("a", "3", [5, 6], report_hash=f"sha256:{'0' * 64}")
    site.run()
    before = site.tables()
    freeze(tar(site, "a", "3"))
    step, why = site.plan()["a/3"]
    assert (step, why.startswith("the hash in 3.json")) == (Step.QUARANTINED, True)
    site.run()
    assert site.tables() == before
    assert marker_of(tar(site, "a", "3")).exists()


COMING = st.lists(
    st.tuples(st.sets(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 5), max_size=3)), min_size=1, max_size=6
)


@examples(60)
@given(coming=COMING)
def test_each_job_counts_once_whatever_is_moved_and_brought_back(
    tmp_path_factory: pytest.TempPathFactory, coming: list[tuple[set[int], list[int]]]
) -> None:
    """Before each run a new archive comes, and some are moved to cold storage, or come back; no run misses anything."""
    folder, modules = tmp_path_factory.mktemp("moved"), chosen(("tools",))
    config = Config(uploads=folder / "uploads", work=folder)
    store, index, items = Store(folder / "store"), ArchiveIndex(folder, config.uploads), list[Planned]()
    for number, (reported, moved) in enumerate(coming):
        ids = np.array(sorted(reported), np.int64)
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        key = account_key(sha256, config)
        account = Account(sha256, 1, jobs=len(ids), first_id=int(ids[0]), last_id=int(ids[-1]))
        store.put(IDS, key, pack_ids(ids))
        store.put(ACCOUNT, key, account.to_json())
        report = read_report(b'{"version": 2, "generated": "1719748800"}', "1719748800")
        stamp = (1, number, 0)
        copy = ColdCopy("s3://bucket/1.tar.gz", sha256, 1, stamp, MOVED)
        archive = Archive("a", str(number), Path(), 1, stamp, report, cold=copy)
        items.append(Planned(archive, Step.CACHED, "", key, account))
        index.remember(archive, sha256, key)
        for place in moved:
            # The new one was not read yet: nobody moves it.
            if place < number:
                archive = items[place].archive
                items[place] = replace(items[place], archive=replace(archive, is_cold=not archive.is_cold))
        superseded, counts, entries = {}, list[int](), []
        since = partial(first_day, as_of=date.max)
        for item, _, left_out, missed in settled_archives(items, store, index, config, modules, since):
            counted = merge_input_of(item, left_out.key, date.max).partial(modules[0])
            assert (item.archive.readable or store.has(PARTIAL, counted)) and not missed
            put_superseded(store, left_out.ids)
            store.put(PARTIAL, counted, b"")
            superseded["a", item.archive.name] = left_out.key
            counts += coming[int(item.archive.name)][0] - set(left_out.ids.tolist())
            entries.append(ArchiveEntry(item.archive, State.PUBLISHED, None, item.account, len(left_out.ids), item.key))
        assert sorted(counts) == sorted(set[int]().union(*(some for some, _ in coming[: number + 1])))
        instance = InstanceEntry("a", InstanceMetadata(), tuple(entries))
        index.learn(Ledger(date.max, config, (instance,)), superseded)
