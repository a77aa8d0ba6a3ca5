"""What a run would do with each archive and why, and what is advised."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from build import examples, line, write_archive
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.modules.base import Module
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.cost_model import Model, advise
from grt_batch.pipeline.keys import ACCOUNT, IDS, PARTIAL, partial_key
from grt_batch.pipeline.plan import survey
from grt_batch.pipeline.planned import Planned, Step, first_day
from grt_batch.pipeline.reduce_archive import ReduceOrder, reduce_archive
from grt_batch.pipeline.repeats import superseded_key
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import Kind
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive, scan


def jobs(*ids: int) -> dict[Kind, bytes]:
    return {Kind.JOBS: b"".join(line(i, "tool", "1", "ok", "2020-01-01 00:00:00") for i in ids)}


@dataclass
class Site:
    """Uploads of one instance, and what a work folder knows of them."""

    root: Path

    def __post_init__(self) -> None:
        self.config = Config(uploads=self.root / "uploads", work=self.root / "work")
        self.folder = self.config.uploads / "3" / "archives"
        self.store = Store(self.config.work / "store")
        self.modules: tuple[Module, ...] = ()

    def write(self, name: str, *ids: int, **report: object) -> Path:
        return write_archive(self.folder, name, jobs(*ids), **report)

    def archives(self) -> list[Archive]:
        return list(scan(self.config.uploads, settle_seconds=self.config.settle_seconds).archives)

    def read(self, only: Collection[str] = ()) -> None:
        """Read every archive that can be read, or only some of them, as a run reads them first."""
        index = self.index()
        names = tuple(module.name for module in self.modules)
        for archive in self.archives():
            if not archive.incomplete and not archive.quarantine and (not only or archive.name in only):
                since = first_day(archive, date.max)
                order = ReduceOrder("3", archive.name, str(archive.tar), archive.bytes, names, since)
                outcome = reduce_archive(order, self.config, self.store, run_here, lambda _: None)
                index.remember(archive, outcome.account.sha256, outcome.key)
        index.save()

    def index(self) -> ArchiveIndex:
        return ArchiveIndex(self.config.work, self.config.uploads)

    def plan(self) -> list[Planned]:
        uploads = scan(self.config.uploads, settle_seconds=self.config.settle_seconds)
        return survey(uploads, self.store, self.index(), self.config, self.modules)

    def steps(self) -> dict[str, tuple[Step, str]]:
        return {item.archive.name: (item.step, item.why) for item in self.plan()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


NEW = (Step.NEW, "never read")
CACHED = (Step.CACHED, "read before")


def test_what_was_never_read_is_new(site: Site) -> None:
    site.write("1", 1, 2)
    assert site.steps() == {"1": NEW}
    assert not site.config.work.exists()


def test_what_was_read_is_cached(site: Site) -> None:
    site.write("1", 1, 2)
    site.read()
    assert site.steps() == {"1": CACHED}
    (item,) = site.plan()
    assert item.account is not None
    assert item.account.jobs == 2
    assert not item.must_be_read


def test_archives_are_planned_in_their_order(site: Site) -> None:
    for name in ("10", "9", "100"):
        site.write(name, int(name))
    assert list(site.steps()) == ["9", "10", "100"]


def test_another_file_of_the_same_name_is_changed(site: Site) -> None:
    site.write("1", 1, 2)
    site.read()
    site.write("1", 1, 2, 3)
    assert site.steps() == {"1": (Step.CHANGED, "its tar.gz has changed since it was read")}
    site.read()
    assert site.steps() == {"1": CACHED}


def test_what_lost_its_partial_results_is_new(site: Site) -> None:
    site.write("1", 1)
    site.read()
    site.store.drop(ACCOUNT, site.plan()[0].key)
    assert site.steps() == {"1": (Step.NEW, "its partial results are missing, or of another version")}


AGAIN = "new code, or no partial in the store"


def test_what_a_module_has_no_partial_of_is_read_again(site: Site) -> None:
    site.write("1", 1)
    site.modules = chosen(["tools"])
    site.read()
    site.modules = chosen(["tools", "params", "inputs"])
    assert site.steps() == {"1": (Step.NEW, f"read again for inputs and params: {AGAIN}")}
    (item,) = site.plan()
    assert (item.must_be_read, item.is_unread, item.counts) == (True, False, True)
    assert advise([item], site.config, Model()).bytes_to_read == item.archive.bytes
    site.read()
    assert site.steps() == {"1": CACHED}


def test_what_lost_its_job_ids_is_new(site: Site) -> None:
    site.write("1", 1)
    site.read()
    site.store.drop(IDS, site.plan()[0].key)
    assert site.steps() == {"1": (Step.NEW, "its partial results are missing, or of another version")}


def test_what_lost_its_job_ids_to_damage_is_read_again(site: Site) -> None:
    site.write("1", 1, 2)
    site.write("2", 2)
    site.read()
    for item in site.plan():
        file = site.store.path(IDS, item.key)
        file.write_bytes(file.read_bytes()[:-1])
    lost = (Step.NEW, "read again: the store has lost which jobs come again")
    assert site.steps() == {"1": lost, "2": CACHED}


def test_what_must_do_without_jobs_of_newer_archives_is_read_again(site: Site) -> None:
    site.modules = chosen(["tools"])
    site.write("1", 1, 2, 3, 9)
    site.write("2", 4, 5)
    site.read()
    site.write("3", 3, 9)
    site.write("4", 5, 7)
    # What they report is not known before they are read.
    assert site.steps() == {"1": CACHED, "2": CACHED, "3": NEW, "4": NEW}
    site.read(only=("3", "4"))
    assert site.steps() == {
        "1": (Step.SUPERSEDED, "read again: 2 jobs come again in 3"),
        "2": (Step.SUPERSEDED, "read again: 1 job comes again in 4"),
        "3": CACHED,
        "4": CACHED,
    }
    assert [item.must_be_read for item in site.plan()] == [True, True, False, False]


def entry_of(item: Planned) -> ArchiveEntry:
    return ArchiveEntry(item.archive, State.PUBLISHED, account=item.account, key=item.key)


def test_what_replaced_archives_report_is_not_known_before_they_are_read(site: Site) -> None:
    site.modules = chosen(["tools"])
    for name, ids in (("1", [1, 2, 3]), ("2", [3, 4])):
        site.write(name, *ids)
    site.read()
    index = site.index()
    entries = tuple(entry_of(item) for item in site.plan())
    ledger = Ledger(date.max, site.config, (InstanceEntry("3", InstanceMetadata(), entries),))
    key = superseded_key(np.array([3]))
    index.learn(ledger, {("3", "1"): key})
    index.save()
    # The partial without job 3 is that of the last run.
    item = site.plan()[0]
    for made in site.modules:
        since = first_day(item.archive, date.max)
        partial = site.store.get(PARTIAL, partial_key(item.key, made, "", since))
        assert partial is not None
        site.store.put(PARTIAL, partial_key(item.key, made, key, since), partial)
        site.store.drop(PARTIAL, partial_key(item.key, made, "", since))
    assert site.steps()["1"] == (Step.SUPERSEDED, "read before; 1 job comes again in 2")
    site.write("2", 4, 5, 6)
    assert site.steps() == {"1": CACHED, "2": (Step.CHANGED, "its tar.gz has changed since it was read")}
    site.read(only=("2",))
    assert site.steps()["1"] == (Step.NEW, "read again: its jobs do not come again any more")


def test_what_was_read_under_other_limits_is_new(site: Site) -> None:
    site.write("1", 1)
    site.read()
    site.config = replace(site.config, max_line_bytes=1000)
    assert site.steps() == {"1": (Step.NEW, "its partial results are missing, or of another version")}


def test_what_a_newer_archive_may_report_again_is_superseded(site: Site) -> None:
    site.write("1", 1, 2, 3)
    site.write("2", 10, 20)
    site.write("3", 3, 4)
    site.write("4", 2)
    site.read()
    superseded = (Step.SUPERSEDED, "read before; 2 jobs come again in 3 and 4")
    assert site.steps() == {"1": superseded, "2": CACHED, "3": CACHED, "4": CACHED}


def test_archives_of_other_instances_supersede_nothing(site: Site) -> None:
    site.write("1", 1)
    site.read()
    for file in site.folder.glob("1.*"):
        target = site.config.uploads / "4" / "archives" / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(file)
    index = site.index()
    one, other = site.archives()
    index.remember(other, str(index.sha256(one)), index.key(one))
    index.save()
    assert [item.step for item in site.plan()] == [Step.CACHED, Step.CACHED]


def test_an_archive_without_jobs_neither_supersedes_nor_is_superseded(site: Site) -> None:
    for name, ids in (("1", [1, 9]), ("2", []), ("3", [11])):
        site.write(name, *ids)
    site.read()
    assert set(site.steps().values()) == {CACHED}


def test_a_bad_json_is_quarantined_before_it_is_read(site: Site) -> None:
    site.write("1", 1, version=4)
    (site.folder / "2.tar.gz").write_bytes(b"")
    (site.folder / "2.json").write_text("{")
    steps = site.steps()
    assert [step for step, _ in steps.values()] == [Step.QUARANTINED] * 2
    assert "version" in steps["1"][1]
    assert "JSON" in steps["2"][1]


def test_a_hash_that_does_not_match_is_quarantined_once_it_was_read(site: Site) -> None:
    site.write("1", 1, report_hash=f"sha256:{'0' * 64}")
    assert site.steps() == {"1": NEW}
    site.read()
    step, why = site.steps()["1"]
    assert step is Step.QUARANTINED
    assert why.startswith("the hash in 1.json is 000000000000…, that of the tar.gz ")


def test_a_hash_that_is_put_right_needs_no_reading(site: Site) -> None:
    tar = site.write("1", 1, report_hash=f"sha256:{'0' * 64}")
    site.read()
    json_file = tar.with_name("1.json")
    document = json.loads(json_file.read_text())
    del document["report_hash"]
    json_file.write_text(json.dumps(document))
    assert site.steps() == {"1": CACHED}


def test_a_broken_tar_is_quarantined_and_not_read_again(site: Site) -> None:
    tar = site.write("1", 1)
    tar.write_bytes(tar.read_bytes()[:-10])
    site.read()
    step, why = site.steps()["1"]
    assert step is Step.QUARANTINED
    assert "gzip is broken" in why


def test_what_is_quarantined_supersedes_nothing(site: Site) -> None:
    site.write("1", 1)
    site.write("2", 1, report_hash=f"sha256:{'0' * 64}")
    site.read()
    assert [step for step, _ in site.steps().values()] == [Step.CACHED, Step.QUARANTINED]


def test_half_a_pair_is_incomplete(site: Site) -> None:
    site.write("1", 1).with_name("1.json").unlink()
    site.write("2", 1).unlink()
    incomplete = {"1": "1.tar.gz has no 1.json", "2": "2.json has no 2.tar.gz"}
    assert site.steps() == {name: (Step.INCOMPLETE, why) for name, why in incomplete.items()}


def test_what_changed_within_the_settle_time_is_incomplete(site: Site) -> None:
    site.write("1", 1)
    site.config = replace(site.config, settle_seconds=3600)
    assert site.steps() == {"1": (Step.INCOMPLETE, "changed within the settle time")}


def planned(*sizes: int, step: Step = Step.NEW) -> list[Planned]:
    return [
        Planned(Archive("3", str(i), Path(f"{i}.tar.gz"), size, (size, 0, 0), None), step, "")
        for i, size in enumerate(sizes)
    ]


SIZES = st.lists(st.integers(0, 2**42), max_size=4)


@examples(100)
@given(sizes=SIZES, more=st.integers(0, 2**42))
def test_more_archives_never_need_fewer_ranks(sizes: list[int], more: int) -> None:
    less, all_ = (advise(planned(*which), Config(), Model()) for which in (sizes, [*sizes, more]))
    assert all_.ranks >= less.ranks
    assert (less.bytes_to_read, all_.bytes_to_read) == (sum(sizes), sum(sizes) + more)


@examples(100)
@given(sizes=SIZES, worth=st.integers(0, 2**32), most=st.integers(0, 1000))
def test_advice_is_at_least_3_ranks_to_read_anything_and_at_most_those_allowed(
    sizes: list[int], worth: int, most: int
) -> None:
    advice = advise(planned(*sizes), Config(bytes_per_rank=worth, max_ranks=most), Model())
    assert min(3 if sizes else 1, max(1, most)) <= advice.ranks <= max(1, most)
    assert advice.minutes > 0


def test_one_rank_is_advised_for_nothing_to_read() -> None:
    for archives in ([], planned(10**12, 10**12, step=Step.QUARANTINED)):
        assert advise(archives, Config(), Model()).ranks == 1


def test_a_rank_more_for_each_share_of_the_work() -> None:
    config = Config(bytes_per_rank=100, max_ranks=64)
    ranks = {size: advise(planned(size, *[0] * 99), config, Model()).ranks for size in (0, 200, 201, 1000, 10**9)}
    assert ranks == {0: 3, 200: 3, 201: 4, 1000: 11, 10**9: 64}


def test_no_more_ranks_than_archives_keep_busy() -> None:
    config, gigabytes = Config(), 100 * 10**9
    one, many = (advise(planned(*sizes), config, Model()) for sizes in ([gigabytes], [gigabytes // 64] * 64))
    assert 3 <= one.ranks < 8
    assert many.ranks == config.max_ranks
    assert one.seconds > 3 * many.seconds
    assert one.minutes > many.minutes > 15


@pytest.mark.parametrize(
    "step", [step for step in Step if step not in (Step.NEW, Step.CHANGED)], ids=lambda step: step.value
)
def test_only_what_must_be_read_counts(step: Step) -> None:
    advice = advise(planned(1000, step=step) + planned(7) + planned(5, step=Step.CHANGED), Config(), Model())
    assert advice.bytes_to_read == 12
