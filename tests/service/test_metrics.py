"""Metrics in Prometheus' text format: of requests, uploads, the command and the last run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from coming_and_going import NOON, Site
from promtool import promtool

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.service.metrics import Newest, Requests, rendered
from grt_batch.service.on_upload import Ended


def lines_of(config: Config, **given: object) -> list[str]:
    told: dict[str, object] = {"requests": Requests(), "uploads": {}, "ended": None, "newest": {}, **given}
    return rendered(config, **told).splitlines()  # type: ignore[arg-type]


def test_what_was_not_yet_is_not_told(tmp_path: Path) -> None:
    names = {
        line.split("{")[0].split()[0]
        for line in lines_of(Config(reports=tmp_path, work=tmp_path))
        if not line.startswith("#")
    }
    assert names == {
        "grt_batch_build_info",
        "grt_batch_service_start_time_seconds",
        "grt_batch_service_uploads_total",
        "grt_batch_service_uploads_repeated_total",
        "grt_batch_service_upload_bytes_total",
    }


@pytest.fixture
def told(tmp_path: Path) -> list[str]:
    (tmp_path / "latest").mkdir()
    run = {
        "started": "2024-06-30 12:00:00.000000",
        "finished": "2024-06-30 12:01:30.500000",
        "archives": {"published": 3, "quarantined": 1, "incomplete": 0},
        "jobs": 77,
    }
    (tmp_path / "latest" / "run.json").write_text(json.dumps(run))
    requests = Requests()
    requests.answered.update({("query", 200): 2, ("none", 404): 1})
    return lines_of(
        Config(reports=tmp_path, work=tmp_path),
        requests=requests,
        uploads={"stored": 5, "repeated": 1, "bytes": 1000, "refused_400": 2, "refused_507": 1},
        ended=Ended(5, 1700000000.5),
        newest={"a": 1501836597.08},
    )


def test_all_that_is_known_is_told(told: list[str]) -> None:
    assert [line for line in told if not line.startswith("#") and "start_time" not in line] == [
        f'grt_batch_build_info{{version="{__version__}"}} 1',
        f"grt_batch_last_success_timestamp_seconds {NOON + 90.5}",
        "grt_batch_last_duration_seconds 90.5",
        "grt_batch_jobs 77",
        'grt_batch_archives{state="incomplete"} 0',
        'grt_batch_archives{state="published"} 3',
        'grt_batch_archives{state="quarantined"} 1',
        'grt_batch_service_requests_total{endpoint="none",code="404"} 1',
        'grt_batch_service_requests_total{endpoint="query",code="200"} 2',
        "grt_batch_service_uploads_total 5",
        "grt_batch_service_uploads_repeated_total 1",
        "grt_batch_service_upload_bytes_total 1000",
        'grt_batch_service_uploads_refused_total{code="400"} 2',
        'grt_batch_service_uploads_refused_total{code="507"} 1',
        "grt_batch_service_on_upload_last_exit_code 5",
        "grt_batch_service_on_upload_last_completion_timestamp_seconds 1700000000.5",
        'grt_batch_instance_last_archive_timestamp_seconds{instance_id="a"} 1501836597.08',
    ]


def test_promtool_has_nothing_to_say(told: list[str]) -> None:
    assert promtool("check", "metrics", text="\n".join(told) + "\n") == (0, "")


def test_a_run_json_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    for text in ("", "[]", "{}", '{"started": 1, "finished": 2, "archives": {}, "jobs": 1}'):
        (tmp_path / "latest" / "run.json").write_text(text)
        assert not [line for line in lines_of(Config(reports=tmp_path, work=tmp_path)) if "last_success" in line]


def test_the_newest_archive_of_each_instance_is_when_it_was_made(tmp_path: Path) -> None:
    site = Site(Config(uploads=tmp_path))
    site.write("a", "9", [1])
    site.write("a", "10", [1])
    site.write("b", "5", [1], generated="x")
    newest = Newest()
    assert newest.seconds(tmp_path) == {"a": NOON, "b": 5}
    site.write("a", "11", [1], generated=NOON + 7)
    assert newest.seconds(tmp_path) == {"a": NOON + 7, "b": 5}
