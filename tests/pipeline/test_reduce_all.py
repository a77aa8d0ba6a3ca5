"""A reduction starts over where the store is damaged."""

from __future__ import annotations

import logging
import shutil
from itertools import count

import pytest
from coming_and_going import Site, change_code
from runs import published

from grt_batch.core.config import Config
from grt_batch.pipeline import reduce_all
from grt_batch.pipeline.keys import ACCOUNT, IDS, MERGED, PARTIAL, REJECT_FILE, SUPERSEDED
from tests.pipeline.test_run import Run


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
    site.remove("a", "1")
    shutil.rmtree(site.store.root / MERGED)
    for file in (site.store.root / PARTIAL).glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1])
    # The tables of the other modules are the same, and so they are not looked at.
    site.run()
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        "the store has 4 damaged entries; computing again",
        "lost the numbers in instances of 1 removed archive: the store has not kept them (a/1)",
    ]
    assert site.jobs() == {"a": 4, "b": 1}


def test_files_that_change_or_go_while_the_run_settles_are_taken_as_they_are_then(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    change_code(monkeypatch, "tools")
    settle, calls = reduce_all.settle, count()

    def change_after_settling(*arguments):
        settled = settle(*arguments)
        if next(calls) == 0:
            site.write("a", "1", [1, 2, 8])
            site.remove("a", "3")
        return settled

    monkeypatch.setattr(reduce_all, "settle", change_after_settling)
    site.run()
    assert site.states()["a/1"][0] == "quarantined"
    assert site.states()["a/3"] == (
        "incomplete",
        "3.tar.gz was removed during the run; its numbers stay until --forget",
    )
    assert site.jobs() == {"a": 4, "b": 1}
    site.run()
    assert site.states()["a/1"][0] == "published"
    assert site.jobs() == {"a": 7, "b": 1}
