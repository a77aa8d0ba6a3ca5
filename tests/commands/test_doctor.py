"""grt-batch doctor reports on any installation, however broken, and never shows a password."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import Call, places
from examining import examined

from grt_batch.doctor.findings import Status


@pytest.fixture
def options(good: Path, tmp_path: Path, database: str) -> list[object]:
    return ["--uploads", good, *places(tmp_path), "--database", database]


def test_text_has_a_line_for_each_finding(call: Call, options: list[object]) -> None:
    lines = call("doctor", *options).out.splitlines()
    assert {line.split()[0] for line in lines} <= set(Status)
    assert len(lines) == sum(map(len, examined(call, *options)[1].values()))


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{'hunter2' * 40}@127.0.0.1:1/none",
        "host=127.0.0.1 port=1 password='it\\'s \"hunter2\"'",
        "postgresql://127.0.0.1:1/none?password=hunter2",
        "postgresql://user:hun/hunter2@127.0.0.1:1/none",
    ],
)
def test_passwords_never_show(call: Call, options: list[object], monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GRT_BATCH_DATABASE", url)
    for form in ("text", "json"):
        answer = call("doctor", *options[:-2], "--format", form)
        assert answer.code == 4
        assert "hunter2" not in answer.out + answer.err
