"""A reduction starts over where the store is damaged."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest
from coming_and_going import Site, change_code
from runs import published

from grt_batch.core.config import Config
from grt_batch.pipeline import reduce_all
from grt_batch.pipeline.keys import ACCOUNT, IDS, MERGED, PARTIAL, REJECT_FILE, SUPERSEDED
from tests.pipeline.test_run import Run

STAYS = "its numbers stay until --forget"


@pytest.mark.parametrize("kind", [ACCOUNT, IDS, PARTIAL, REJECT_FILE, SUPERSEDED, MERGED])
def test_what_is_damaged_in_the_store_is_computed_again(ran: Config, run_here: Run, kind: str) -> None:
    before = published(ran.reports)
    damaged = [file for file in (ran.work / "store" / kind).rglob("*") if file.is_file()]
    assert damaged
    for file in damaged:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    # What is merged needs the partials; without the merged ones they are looked at.
    if kind == PARTIAL:
        shutil.rmtree(ran.work / "store" / MERGED, ignore_errors=True)
    run_here(ran)
    assert published(ran.reports) == before


def test_what_is_gone_loses_the_numbers_of_damaged_partials(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.run()
    key = site.planned()["a/1"].key
    site.remove("a", "1")
    shutil.rmtree(site.store.root / MERGED)
    for file in (site.store.root / PARTIAL).glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1])
    site.run()
    assert site.store.has(ACCOUNT, key)
    assert "lost the numbers in instances, params, tools of 1 removed archive: the store has not kept them (a/1)" in (
        caplog.messages
    )
    # Job 3 was left out for another archive, which has it still.
    assert site.jobs_with_params() == ["2", "3"]


def test_a_file_that_changes_while_the_run_settles_is_read_as_it_is_then(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    change_code(monkeypatch, "tools")
    settle, calls = reduce_all.settle, count()

    def write_after_settling(*arguments):
        settled = settle(*arguments)
        if next(calls) == 0:
            site.write("a", "1", [1, 2, 8])
            site.remove("a", "3")
        return settled

    monkeypatch.setattr(reduce_all, "settle", write_after_settling)
    site.run()
    assert site.jobs() == {"a": 7, "b": 1}
    assert site.states()["a/3"] == ("incomplete", f"3.tar.gz was removed during the run; {STAYS}")
    assert {row["name"] for row in site.rows("tool") if row["name"]} == {"tool0", "tool1"}
