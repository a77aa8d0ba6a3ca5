"""A misspelt variable is told, with the one that is near; every variable that has an effect is known."""

from __future__ import annotations

import re

import pytest
from calling import Answer, Call
from places import ROOT

from grt_batch.core.variables import complaint, known

NO_EFFECT = "no such variable, so it has no effect"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["GRT_BATCH_UPLOADS", "GRT_BATCH_CONFIG", "GRT_BATCH_QUEUE", "GRT_BATCH_TEST_MPICH", "GRT_BATCHES"], ""),
        (["GRT_BATCH_UPLOAD"], f"{NO_EFFECT}: GRT_BATCH_UPLOAD (is GRT_BATCH_UPLOADS meant?)"),
        (["GRT_BATCH_WROK", "GRT_BATCH_"], f"{NO_EFFECT}: GRT_BATCH_, GRT_BATCH_WROK (is GRT_BATCH_WORK meant?)"),
        (["GRT_BATCH_XYZZY"], f"{NO_EFFECT}: GRT_BATCH_XYZZY"),
    ],
)
def test_what_has_no_effect_is_told(names: list[str], said: str) -> None:
    assert complaint(dict.fromkeys(names, "1")) == said


def test_it_is_one_line_and_the_command_goes_on(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRT_BATCH_REPORT", "r")
    answer = call("modules")
    assert answer.code == 0
    assert answer.complaint == f"{NO_EFFECT}: GRT_BATCH_REPORT (is GRT_BATCH_REPORTS meant?)"
    # A rank, whose launcher has said it.
    monkeypatch.setenv("GRT_BATCH_HEARTBEAT", "folder")
    monkeypatch.setattr("grt_batch.ranks.transport.world", lambda: None)
    assert call("modules") == Answer(0, answer.out, "")


def test_every_variable_that_is_read_is_known() -> None:
    cron = (ROOT / "cron.sh").read_text(encoding="utf-8")
    files = sorted((ROOT / "grt_batch").rglob("*.py"))
    texts = [cron, *(file.read_text(encoding="utf-8") for file in files)]
    found = {name for text in texts for name in re.findall(r"\bGRT_BATCH_[A-Z_]*[A-Z]\b", text)}
    assert found <= known(), found - known()
