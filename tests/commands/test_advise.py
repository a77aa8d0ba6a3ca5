"""The command that writes tools.yml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calling import NOWHERE, Call
from tpv_rules import faults

from grt_batch.core.config import Config


def test_the_sample_has_advice(call: Call, ran: Config, tmp_path: Path) -> None:
    where = ["--database", ran.database]
    answer = call("advise", "tpv", *where)
    assert answer.code == 0
    assert faults(answer.out) == []
    assert answer.out.count("# grt: ") > 20
    assert "tools with too few jobs" in answer.err
    assert call("advise", "tpv", *where) == answer
    current = tmp_path / "tools.yml"
    current.write_text(answer.out)
    # What could not fall at once as far as it should falls further, until all is as it should be.
    for _ in range(4):
        changed = call("advise", "tpv", *where, "--current", current)
        assert changed.code == 0
        assert faults(changed.out) == []
        assert " changed: " in changed.err
        current.write_text(changed.out)
    assert "0 entries changed: 0 -> 0 GiB hours\n" in changed.err
    rows = json.loads(call("advise", "tpv", *where, "--format", "json").out)
    assert sum(row["why_not"] is None for row in rows) == answer.out.count("# grt: ")
    tsv = call("advise", "tpv", *where, "--format", "tsv").out
    assert len(tsv.splitlines()) == len(rows) + 1


def test_some_tools_and_options(call: Call, ran: Config, tmp_path: Path) -> None:
    where = ["--database", ran.database]
    rows = json.loads(call("advise", "tpv", *where, "--format", "json").out)
    tool = max(rows, key=lambda row: row["jobs"])["tool_id"]
    options = ["--tools", f"^{tool}$", "--floor", 0.5, "--cap", 1.5, "--percentile", 50, "--margin", 0, "--any-fall"]
    (row,) = json.loads(call("advise", "tpv", *where, *options, "--format", "json").out)
    assert (row["tool_id"], 0.5 <= row["mem"] <= 1.5) == (tool, True)
    none = call("advise", "tpv", *where, "--min-jobs", 100_000)
    assert none.out == "tools: {}\n"
    nobody = call("advise", "tpv", *where, "--instance", "nobody")
    assert (nobody.out, nobody.err) == ("tools: {}\n", "no such tool has jobs whose memory was measured\n")
    current = tmp_path / "tools.yml"
    current.write_text(f"tools:\n  {tool}$:\n    mem: cores * 4\n")
    left = call("advise", "tpv", *where, "--current", current)
    assert left.out == current.read_text()
    assert f"left alone: {tool}$: it computes its memory or cores\n" in left.err
    assert "with an advice have no entry there" in left.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tools", "("], "--tools '(' is no regular expression"),
        (["--percentile", "0"], "0 is not in the range 1<=x<=100"),
        (["--floor", "0"], "0 is not in the range x>0"),
        (["--current", "nowhere.yml"], "'nowhere.yml' does not exist"),
    ],
)
def test_a_wrong_question_ends_with_2_and_a_line(call: Call, arguments: list[str], said: str) -> None:
    answer = call("advise", "tpv", *arguments, "--database", NOWHERE)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
