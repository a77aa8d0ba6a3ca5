"""The probes of what tells monitors and people."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grt_batch.core.config import Config
from grt_batch.core.config_values import Recipient
from grt_batch.doctor.findings import Status
from grt_batch.doctor.monitors import monitors


def told(config: Config) -> list[tuple[str, Status]]:
    return [(finding.subject, finding.status) for finding in monitors(config)]


def test_nothing_is_examined_that_nobody_asked_for() -> None:
    assert told(Config()) == []


def test_the_folder_of_the_metrics_is_examined(tmp_path: Path) -> None:
    assert told(Config(metrics_file=str(tmp_path / "grt.prom"))) == [("metrics_file", Status.OK)]
    assert told(Config(metrics_file=str(tmp_path / "none" / "grt.prom"))) == [("metrics_file", Status.WARNING)]


def test_who_wants_to_tell_needs_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(notify_recipients=(Recipient("slack://token"),), notify_owners="mailto://u:secret@x")
    (found,) = monitors(config)
    assert (found.status, found.found) == (Status.OK, "1 recipient and owners, told by apprise")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "apprise", raising=False)
    assert told(config) == [("notify", Status.WARNING)]
