"""Jobs that a newer archive reports again count once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from coming_and_going import Site
from places import REAL

from grt_batch.core.config import Config
from grt_batch.pipeline.keys import REJECT_FILE
from tests.pipeline.test_run import Run, needs_real, rows
from tests.store.test_archive_index import OF_THE_FILES


@needs_real
def test_the_archives_of_2017_hold_98_jobs_that_were_exported_twice(config: Config, run_here: Run) -> None:
    run_here(replace(config, uploads=REAL / "grt-2017"))
    latest = config.reports / "latest"
    states: Counter[str] = Counter()
    runtime = Decimal(0)
    for row in rows(latest / "tool_day.tsv"):
        states[row["state"]] += int(row["jobs"])
        runtime += Decimal(row["runtime_seconds"] or 0)
    assert states == {"ok": 76, "error": 22}
    assert runtime == 332
    (status,) = rows(latest / "instance_status.tsv")
    assert (status["jobs"], status["without_metrics"]) == ("98", f"{1 / 98:.9g}")
    assert [row["superseded"] for row in rows(latest / "archive.tsv")] == ["98", "0"]


def test_a_lost_reject_file_of_what_is_gone_is_no_reason_to_lose_its_numbers(site: Site) -> None:
    site.run()
    before = site.tables(*OF_THE_FILES)
    site.store.drop(REJECT_FILE, site.planned()["a/3"].key)
    site.remove("a", "3")
    site.run()
    assert set(before) - set(site.tables()) == {"rejects/a/3.tsv"}
    assert {name: raw for name, raw in before.items() if name in site.tables(*OF_THE_FILES)} == site.tables(
        *OF_THE_FILES
    )
