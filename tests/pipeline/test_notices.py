"""What is said of archives that were removed or lost."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import pytest
from coming_and_going import Site

from grt_batch.pipeline.notices import warn_of_lost
from grt_batch.pipeline.planned import Step
from grt_batch.pipeline.unreadable import OLD
from tests.store.test_archive_index import OF_THE_FILES, STAYS


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "grt_batch")
    return caplog


def test_what_is_gone_stays_as_it_was_read_and_that_is_said(site: Site, warnings: pytest.LogCaptureFixture) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    site.remove("a", "3")
    other = Site(replace(site.config, max_line_bytes=1000))
    warnings.clear()
    other.run()
    assert site.tables(*OF_THE_FILES) == before
    assert other.plan()["a/3"] == (Step.REMOVED, f"{STAYS}, {OLD}")
    assert warnings.messages[1:] == [f"the numbers of 1 removed archive stay {OLD} (a/3)"]
    assert site.plan()["a/3"] == (Step.REMOVED, STAYS)


def test_a_lost_index_is_said(site: Site, warnings: pytest.LogCaptureFixture) -> None:
    site.run()
    site.remove("a", "3")
    site.run()
    (site.config.work / "index.json").write_text("{")
    warnings.clear()
    site.run()
    assert warnings.messages == [
        f"{site.config.work}/index.json is damaged: it is not known any more which archives were removed",
        "dropping the numbers of 1 archive in the last reports, neither found nor remembered (a/3)",
    ]
    assert site.jobs() == {"a": 4, "b": 1}
    warnings.clear()
    site.run()
    assert warnings.messages == []


def test_a_lost_work_folder_is_said(site: Site, warnings: pytest.LogCaptureFixture) -> None:
    site.run()
    for name in ("1", "2"):
        site.remove("a", name)
    site.run()
    shutil.rmtree(site.config.work)
    warnings.clear()
    site.run()
    assert warnings.messages == [
        "dropping the numbers of 2 archives in the last reports, neither found nor remembered (a/1, a/2)"
    ]


def test_a_line_names_three_archives_at_most(warnings: pytest.LogCaptureFixture) -> None:
    warn_of_lost(["a/1", "a/2", "a/3", "a/4"], [], ())
    warn_of_lost([], ["b/1"], {"tools", "params"})
    warn_of_lost([], [], ())
    assert warnings.messages == [
        "lost the numbers of 4 removed archives: the store has not kept them (a/1, a/2, a/3 …)",
        "lost the numbers in params, tools of 1 removed archive: the store has not kept them (b/1)",
    ]
