"""Whether archives can be taken, and who sees which metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from answering import Answering, refusal, served

from grt_batch.core.config import Config


def test_the_service_is_well(answering: Answering) -> None:
    answer = answering.anyone.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"state": "ok"})


@pytest.mark.parametrize("name", ["missing", "file"])
def test_without_its_folder_it_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with served(Config(uploads=tmp_path / name, keys_file=str(tmp_path / "keys.json")), {}) as client:
        assert refusal(client.get("/healthz"), 503) == "The folder of the uploads cannot be written"


def test_everybody_sees_counts_and_administrators_the_instances(answering: Answering) -> None:
    answering.anyone.get("/api/queries")
    answering.anyone.get("/nothing/here")
    text = answering.anyone.get("/metrics").text
    assert 'grt_batch_service_requests_total{endpoint="query_list",code="200"}' in text
    assert 'grt_batch_service_requests_total{endpoint="none",code="404"}' in text
    assert "grt_batch_last_success_timestamp_seconds " in text
    assert "instance_id" not in text
    answer = answering.admin.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in answer.text.splitlines() if "last_archive_timestamp_seconds{instance_id=" in line]
    assert len(lines) == len(answering.uploads.instances)
    newest = {
        one.instance_id: max(float(archive.order[0]) for archive in one.archives) for one in answering.uploads.instances
    }
    for instance_id, seconds in newest.items():
        (line,) = [line for line in lines if f'"{instance_id}"' in line]
        assert float(line.split()[-1]) == pytest.approx(seconds)
