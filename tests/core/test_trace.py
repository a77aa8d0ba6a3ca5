"""A profile is a trace that can be read, and does without a disk."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from calling import AS_OF, Call, places


def test_a_profile_can_be_read(call: Call, good: Path, tmp_path: Path, database: str) -> None:
    options = ("--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF, "--profile")
    answer = call("run", *options)
    assert answer.code == 0, answer.err
    run_id = json.loads((tmp_path / "reports" / "latest" / "run.json").read_bytes())["run_id"]
    folder = tmp_path / "work" / "profiles" / run_id
    assert f"profile: {folder}/rank-*.json, " in answer.out
    (file,) = folder.iterdir()
    events = json.loads(file.read_bytes())["traceEvents"]
    names = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert {"main", "COPY"} < names
    spans = [event for event in events if event["ph"] == "X"]
    found = Counter(event["name"] for event in spans)
    assert found["lead"] == 4  # the archives, each of them once
    # What a module counts in an instance, and its cubes of the last days.
    assert found["merge"] == 14
    assert {event["args"]["of"].split("/")[0] for event in spans if event["name"] == "lead"} == {
        folder.name for folder in good.iterdir()
    }
    assert {event["args"]["of"] for event in spans if event["name"] == "decode"} >= {"jobs, block 1"}
    assert {event["name"] for event in spans if event["tid"] == 1} == {"copy"}
    nested(sorted((event["ts"], -event["dur"]) for event in spans if event["tid"] == 0))


def nested(spans: list[tuple[float, float]]) -> None:
    """A span lies within the one around it, or beside; times are rounded to a tenth of a µs."""
    ends: list[float] = []
    for begin, negative in spans:
        while ends and ends[-1] <= begin + 1:
            ends.pop()
        assert not ends or begin - negative <= ends[-1] + 1
        ends.append(begin - negative)


def test_a_profile_that_cannot_be_written_is_no_failure(call: Call, good: Path, tmp_path: Path, database: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "profiles").write_text("a file where the folder should be")
    options = ("--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF, "--profile")
    answer = call("run", *options, "tools")
    assert answer.code == 0, answer.err
    assert "rank-0.json cannot be written: " in answer.err
