"""The command that prints metrics."""

from __future__ import annotations

from pathlib import Path

from calling import Call, places

from grt_batch.core.config import Config
from grt_batch.monitoring.metrics import metrics_text


def test_it_prints_what_the_file_would_have(call: Call, ran: Config, tmp_path: Path) -> None:
    answer = call("metrics", "--reports", ran.reports, "--work", ran.work)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == metrics_text(ran)
    assert "grt_batch_instance_warning_level{" in answer.out
    assert call("metrics", *places(tmp_path / "none")).out.count("\n") == 3
