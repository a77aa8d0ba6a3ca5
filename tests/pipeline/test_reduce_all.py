"""A reduction starts over where the store is damaged."""

from __future__ import annotations

import shutil

import pytest
from coming_and_going import Site
from runs import published

from grt_batch.core.config import Config
from grt_batch.pipeline.keys import PARTIAL, REJECT_FILE, SUPERSEDED
from grt_batch.schema.records import Job, Leaf
from tests.pipeline.test_run import Run
from tests.store.test_archive_index import OF_THE_FILES


@pytest.mark.parametrize(
    "kind", [Job.kind, Leaf.kind, PARTIAL, REJECT_FILE, SUPERSEDED, "account", "merged", "superseding"]
)
def test_what_is_damaged_in_the_store_is_computed_again(ran: Config, run_here: Run, kind: str) -> None:
    before = published(ran.reports)
    damaged = [file for file in (ran.work / "store" / kind).rglob("*") if file.is_file()]
    assert damaged
    for file in damaged:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    # What is merged needs the partials; without the merged ones they are looked at.
    if kind in (PARTIAL, Job.kind, Leaf.kind):
        shutil.rmtree(ran.work / "store" / "merged", ignore_errors=True)
        shutil.rmtree(ran.work / "store" / "superseding", ignore_errors=True)
    run_here(ran)
    assert published(ran.reports) == before


def test_damaged_partials_of_what_is_gone_are_made_again(site: Site) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    site.remove("a", "1")
    shutil.rmtree(site.store.root / "merged")
    for file in (site.store.root / PARTIAL).glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1])
    site.run()
    assert site.tables(*OF_THE_FILES) == before
