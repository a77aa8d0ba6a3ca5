"""What a run would do with each archive and why, and what is advised."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from build import examples, line, write_archive
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.modules.base import Module
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.cost_model import Model, advise
from grt_batch.pipeline.keys import ACCOUNT, PARTIAL, partial_key
from grt_batch.pipeline.plan import Planned, Step, first_day, survey
from grt_batch.pipeline.reduce_archive import ReduceOrder, reduce_archive
from grt_batch.pipeline.tasks import run_here
from grt_batch.schema.members import Kind
from grt_batch.schema.records import Job
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
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

    def read(self) -> None:
        """Read every archive that can be read, as a run does."""
        index = self.index()
        names = tuple(module.name for module in self.modules)
        for archive in self.archives():
            if not archive.incomplete and not archive.quarantine:
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


def test_what_a_module_must_know_and_the_store_has_not_is_read(site: Site) -> None:
    site.write("1", 1)
    site.modules = chosen(["tools"])
    site.read()
    site.modules = chosen(["tools", "params"])
    assert site.steps() == {"1": (Step.NEW, "what params must know of it is not in the store")}
    site.read()
    assert site.steps() == {"1": CACHED}


def test_records_are_not_missed_where_all_that_is_made_of_them_is_there(site: Site) -> None:
    site.write("1", 1, 2)
    site.write("2", 9)
    site.modules = chosen(["tools"])
    site.read()
    first, second = site.plan()
    for item in (first, second):
        site.store.drop(Job.kind, item.key)
    assert site.steps() == {"1": CACHED, "2": CACHED}
    site.store.drop(PARTIAL, partial_key(second.key, site.modules[0], "", first_day(second.archive, date.max)))
    assert site.steps() == {"1": CACHED, "2": (Step.NEW, "what tools must know of it is not in the store")}


def test_records_are_missed_where_newer_jobs_must_be_taken_out_of_them(site: Site) -> None:
    site.write("1", 1, 2)
    site.modules = chosen(["tools"])
    site.read()
    site.store.drop(Job.kind, site.plan()[0].key)
    site.write("2", 2)
    assert site.steps() == {"1": CACHED, "2": NEW}
    index = site.index()
    archive = site.archives()[1]
    order = ReduceOrder("3", "2", str(archive.tar), archive.bytes, (), date(2020, 1, 1))
    outcome = reduce_archive(order, site.config, site.store, run_here, lambda _: None)
    index.remember(archive, outcome.account.sha256, outcome.key)
    index.save()
    assert site.steps()["1"] == (Step.NEW, "what tools must know of it is not in the store")


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
    superseded = (Step.SUPERSEDED, "read before; jobs come again in 3, 4")
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
def test_advice_is_at_least_3_ranks_and_at_most_those_allowed(sizes: list[int], worth: int, most: int) -> None:
    advice = advise(planned(*sizes), Config(bytes_per_rank=worth, max_ranks=most), Model())
    assert min(3, max(1, most)) <= advice.ranks <= max(1, most)
    assert advice.minutes > 0


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
