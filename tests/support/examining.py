"""Calls grt-batch doctor, for the tests of its probes."""

from __future__ import annotations

import json
from typing import Any

from calling import Call


def examined(call: Call, *arguments: object) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code of doctor and its findings by subject."""
    answer = call("doctor", *arguments, "--format", "json")
    assert answer.err == ""
    findings: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(answer.out):
        findings.setdefault(finding["subject"], []).append(finding)
        assert finding["status"] == "ok" or finding["remedy"].endswith("."), finding
    return answer.code, findings


def statuses(findings: dict[str, list[dict[str, Any]]], subject: str) -> set[str]:
    return {finding["status"] for finding in findings[subject]}
