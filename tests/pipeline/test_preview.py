"""What a run would change is seen without a publication."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
from calling import query
from cold_storage import freeze
from coming_and_going import AS_OF, MODULES, Site, change_code, compute_nothing
from runs import published

from grt_batch.core.errors import MustBeThawed
from grt_batch.core.work_folder import lock
from grt_batch.differences.report_sets import Differences
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.preview import preview
from grt_batch.pipeline.request import RunRequest


def previewed(site: Site, ratio: float = 0.0, **changes: object) -> Differences:
    request = replace(RunRequest(site.config, AS_OF, MODULES, run_id="preview"), **changes)
    with lock(site.config.work):
        return preview(request, SerialExecutor(), lambda: nullcontext(site.config.database), ratio)


def test_a_preview_changes_nothing_that_is_published(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    assert previewed(site).rows.is_empty()
    before, runs = published(site.config.reports), query(site.config.database, "SELECT * FROM grt.run")
    site.write("a", "4", [7, 8])
    found = previewed(site)
    assert [row["what"] for row in found.records() if row["table"] == "archive"] == ["came"]
    tables = dict(found.by_table())
    assert tables["tool_usage"]["changed"] > 0
    assert "param" not in dict(previewed(site, 0.9).by_table())
    assert published(site.config.reports) == before
    assert query(site.config.database, "SELECT * FROM grt.run") == runs
    assert not (site.config.reports / "held").exists()
    assert not list((site.config.reports / ".sets").glob("*.preview"))
    # Its rules are those of a run, but what they hold back is shown all the same.
    rules = Site(replace(site.config, gate_rejected=0.0))
    assert previewed(rules).rows.equals(found.rows)
    # What was computed is there for the run to come.
    with monkeypatch.context() as patch:
        compute_nothing(patch)
        site.run()
    assert site.jobs()["a"] == 8
    # And what was seen and is gone was never there.
    site.write("a", "5", [9])
    previewed(site)
    site.remove("a", "5")
    assert previewed(site).rows.is_empty()


def test_before_the_first_run_all_rows_come(site: Site) -> None:
    assert {row["what"] for row in previewed(site).records()} == {"came"}
    assert not (site.config.reports / "latest").exists()


def test_what_is_cold_is_no_reason_to_see_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run()
    freeze(site.config.uploads / "a" / "archives" / "3.tar.gz")
    assert previewed(site).rows.is_empty()
    change_code(monkeypatch, "params")
    with pytest.raises(MustBeThawed):
        previewed(site)
    assert {row["table"] for row in previewed(site, without_cold=True).records()} == {"param", "param_value"}
