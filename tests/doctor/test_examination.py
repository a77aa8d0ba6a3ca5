"""The whole examination: a good installation, and that it leaves everything as it is."""

from __future__ import annotations

import json
from pathlib import Path

from calling import Call, query
from examining import examined, statuses

from grt_batch.core.config import Config
from grt_batch.doctor.examination import as_json, as_text
from grt_batch.doctor.findings import Finding, Status, ok, warning


def test_a_good_environment_has_no_problem(call: Call, options: list[object]) -> None:
    code, findings = examined(call, *options)
    assert code == 0
    every = [finding for group in findings.values() for finding in group]
    assert not [finding for finding in every if finding["status"] == "problem"]
    for subject in ("grt_batch", "Python", "polars", "numpy", "uploads", "work", "reports", "database", "rights"):
        assert statuses(findings, subject) <= {"ok", "warning"}, subject
    assert "version none" in findings["schema"][0]["found"]
    assert len(findings["configuration"]) == len(Config.__dataclass_fields__)


def test_nothing_is_made(call: Call, options: list[object], tmp_path: Path, database: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    call("doctor", *options)
    call("doctor", *options, "--database", "embedded")
    assert sorted(tmp_path.rglob("*")) == before
    assert query(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'grt%'") == []


FINDINGS = [
    ok("it", "is there"),
    warning("another", "host=a password=hunter2\nhangs\x1b[31m", "Set postgresql://a:hunter2@b/c."),
    Finding(Status.PROBLEM, "it", "is gone", "Find it.", 4),
]


def test_a_text_has_aligned_lines_that_a_terminal_can_show() -> None:
    assert as_text(FINDINGS).split("\n") == [
        "ok       it       is there",
        "warning  another  host=a hangs\\x1b[31m Set postgresql://a@b/c.",
        "problem  it       is gone Find it.",
    ]


def test_json_has_all_that_is_known_but_the_passwords() -> None:
    good, odd, bad = json.loads(as_json(FINDINGS))
    assert good == {"status": "ok", "subject": "it", "found": "is there", "remedy": "", "exit_code": 0}
    assert (odd["found"], odd["remedy"]) == ("host=a hangs\\x1b[31m", "Set postgresql://a@b/c.")
    assert (bad["status"], bad["exit_code"]) == ("problem", 4)
