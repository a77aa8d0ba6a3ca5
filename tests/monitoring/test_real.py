"""The real archives beside the project: what they give for monitors and for the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import Call, places
from places import REAL
from promtool import promtool

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real archives beside the project")


def test_monitors_understand_what_real_archives_give(
    call: Call, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_METRICS_FILE", str(tmp_path / "grt.prom"))
    where = [*places(tmp_path), "--database", database]
    assert call("run", "--uploads", REAL / "exporter" / "uploads", *where).code in (0, 1)
    text = (tmp_path / "grt.prom").read_text()
    assert call("metrics", *places(tmp_path)).out == text
    assert "grt_batch_instance_last_archive_timestamp_seconds{" in text
    assert promtool("check", "metrics", text=text) == (0, "")
    wrong = call("status", *places(tmp_path), "--fail-if", "late,quarantine,held,failed,warning,tool")
    assert (wrong.code, wrong.err) in ((0, ""), (1, ""))
    shown = call("top", *where[4:], "--period", "all").out
    titles = ("Most used", "Slowest", "Most failing", "Most wasteful")
    assert [shown.count(f"\n{title} ") for title in titles] == [1] * 4
