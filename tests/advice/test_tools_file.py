"""A tools.yml of somebody else, of which only what the evidence says is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from evidence import BWA, evidence, needed, version
from ruamel.yaml import YAML
from tpv_rules import faults

from grt_batch.advice.advice import advise
from grt_batch.advice.evidence import Evidence
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.tools_file import ToolsFile
from grt_batch.advice.tools_yml import written
from grt_batch.core.errors import BadTools

RULE = Rule()
FLAT = tuple(needed(20, 25, 2.0**bit) for bit in range(-3, 4))
GROWING = tuple(needed(4.0 * 2**bit, 25, 2.0**bit) for bit in range(-3, 4))

Change = Callable[..., str]


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """What becomes of a text, given evidence."""

    def changed(text: str, *found: Evidence) -> str:
        path = tmp_path / "tools.yml"
        path.write_bytes(text.encode())
        file = ToolsFile(path)
        return file.changed(advise(found, RULE, file.settled), RULE)

    return changed


CURRENT = f"""# Ours, by hand
global:
    default_inherits: default   # four spaces, as we like it

tools:
    # The default
    default:
        abstract: true
        mem: 'cores * 3.8'

    # The one that all ask for
    {BWA}/.*:
        # since 2021
        context:
            test: "x"
        cores: 16   # they scale
        mem: 60  # enough?
        params:
            docker: |
              # no comment
              yes

    # Others
    join1: {{mem: 100}}
    Cut1:   # nothing
"""


def test_only_what_the_evidence_says_is_changed(change: Change) -> None:
    text = change(CURRENT, evidence(FLAT, cores=16, efficiency=0.3), evidence(FLAT, "join1"), evidence(FLAT, "Cut1"))
    assert text == CURRENT.replace("mem: 60 ", "mem: 23 ").replace("cores: 16 ", "cores: 6 ").replace(
        "        # since 2021\n",
        "        # grt: 175 jobs ok on 3 servers, 0 killed for memory; p95 20.0 GiB of 60 given; 60 would have killed"
        " 0.0 % of them; saves 6475 of 10500 GiB hours\n        # since 2021\n",
    )


def test_rules_by_version_are_replaced_as_those_by_size_are(change: Change) -> None:
    old = replace(evidence(FLAT), versions=(version("1", 60, 30), version("2", 80, 30)))
    text = change(CURRENT, old)
    rules = """
        rules:
        - id: grt_bwa_mem2_version_1
          if: tool.version == '1'
          mem: 69
        - id: grt_bwa_mem2_version_2
          if: tool.version == '2'
          mem: 92
"""
    assert rules in text
    assert change(text, old) == text
    assert change(text, replace(old, versions=(version("1", 60, 30), version("2", 85, 30)))) == text, "hardly more"
    other = change(text, replace(old, versions=(version("2", 160, 30),)))
    assert other.count("grt_bwa_mem2_version_") == 1
    assert "        - id: grt_bwa_mem2_version_1\n          if: tool.version == '2'\n          mem: 184\n" in other


def test_rules_come_last_in_an_entry_and_before_the_comments_of_the_next(change: Change) -> None:
    text = change(CURRENT, evidence(GROWING))
    assert (
        """
              yes
        rules:
        - id: grt_bwa_mem2_input_1
          if: input_size < 8
          mem: 20
        - id: grt_bwa_mem2_input_2
          if: input_size >= 8
          mem: 36.8

    # Others
"""
        in text
    )


def test_a_file_of_ours_changes_nothing_by_its_own_evidence(change: Change) -> None:
    """Unless something could not fall at once as far as it should."""
    found = evidence(GROWING, given=None, cores=16, efficiency=0.5), evidence(FLAT, "join1"), evidence(FLAT, "x y: #")
    text = written(advise(found, RULE), RULE)
    assert change(text, *found) == text
    bounded = evidence(GROWING, given=110)
    first = written(advise([bounded], RULE), RULE)
    assert "mem: 36.8" in first and "rules" not in first
    assert "mem: 12.3" in change(first, bounded)


def test_new_evidence_takes_the_place_of_ours(change: Change) -> None:
    text = written(advise([evidence(GROWING, given=36, cores=16, efficiency=0.5)], RULE), RULE)
    flat = change(text, evidence(needed(4 * one.low, one.jobs, one.size) for one in GROWING))
    assert faults(flat) == []
    assert flat.count("# grt: ") == 1
    memory = YAML().load(flat)["tools"][f"{BWA}/.*"]
    assert (memory["mem"], [one["mem"] for one in memory["rules"]]) == (147.2, [18.4, 36.8, 73.6, 147.2])
    none = change(flat, evidence(needed(200, 25, one.size) for one in FLAT))
    assert faults(none) == []
    entry = YAML().load(none)["tools"][f"{BWA}/.*"]
    assert "rules" not in entry
    assert "rules" not in change(none, evidence(GROWING)), "a third of what there was is enough for any size"


MIXED = f"""tools:
  {BWA}/.*:
    mem: 10
    rules:
      - id: theirs
        if: user is None
        params:
          x: 1
      # about ours
      - id: grt_bwa_mem2_input_1
        if: input_size < 8
        mem: 5
      - id: grt_bwa_mem2_input_2
        if: input_size >= 8
        mem: 10
      # about nothing
  # about join1
  join1:
    mem: 4
"""


def test_rules_of_others_stay_and_come_first(change: Change) -> None:
    text = change(MIXED, evidence(GROWING))
    assert [one["id"] for one in YAML().load(text)["tools"][f"{BWA}/.*"]["rules"]] == [
        "theirs", *(f"grt_bwa_mem2_input_{place}" for place in (1, 2, 3, 4)),
    ]  # fmt: skip
    for line in ("      # about ours\n", "      # about nothing\n  # about join1\n  join1:\n    mem: 4\n"):
        assert line in text
    assert "      - id: grt_bwa_mem2_input_4\n        if: input_size >= 8\n        mem: 36.8\n" in text


OWN = "rules of its own set memory or cores"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{mem: 100}", "it is written on one line"),
        ("", "it sets nothing"),
        ("\n    mem: cores * 4", "it computes its memory or cores"),
        ("\n    cores: min(4, 8)\n    mem: 100", "it computes its memory or cores"),
        ("\n    mem: 100\n    rules:\n    - id: a\n      if: True\n      mem: 3", OWN),
        ("\n    mem: 100\n    rules:\n    - id: grt_x\n      if: ours.changed\n      mem: 3", OWN),
        ("\n    mem: 100\n    rules: [{id: a, if: True}]", "it is written on one line"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_left_alone(tmp_path: Path, change: Change, entry: str, why: str) -> None:
    text = f"tools:\n  join1: {entry}\n"
    assert change(text, evidence(FLAT, "join1", cores=4, efficiency=0.1)) == text
    assert ToolsFile(tmp_path / "tools.yml").entries["join1"].closed == why


def test_an_entry_without_memory_gets_it(change: Change) -> None:
    text = change("tools:\n  join1:\n    cores: 4\n  z:\n    mem: 1", evidence(FLAT, "join1"), evidence(FLAT, "z"))
    join1, z = YAML().load(text)["tools"].values()
    assert (dict(join1), dict(z)) == ({"mem": 23, "cores": 4}, {"mem": 23})


def test_lines_keep_their_ends(change: Change) -> None:
    text = change("tools:\r\n  join1:\r\n    mem: 4\r\n", evidence(FLAT, "join1"))
    assert text.count("\r\n") == text.count("\n") == 4
    assert "    mem: 23\r\n" in text


def test_the_last_of_several_entries_is_the_one(change: Change) -> None:
    text = change("tools:\n  join1:\n    mem: 1\n  join1.*:\n    mem: 2\n", evidence(FLAT, "join1"))
    assert [entry["mem"] for entry in YAML().load(text)["tools"].values()] == [1, 23]


def test_what_nobody_foresaw_is_an_error_and_no_wrong_file(change: Change) -> None:
    for entry in ("mem: &m 100\n    params: *m", "mem: !!int 100"):
        with pytest.raises(BadTools, match="written in a way that cannot be changed"):
            change(f"tools:\n  join1:\n    {entry}\n", evidence(FLAT, "join1"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"tools: {a: 1, a: 2}", "duplicate key"),
        (b"tools: [", "while parsing"),
        (b"tools: 3", "it has no tools"),
        (b"- 1", "it has no tools"),
        (b"", "it has no tools"),
        (b"\xff", "decode"),
    ],
)
def test_what_is_no_tools_yml_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "tools.yml").write_bytes(content)
    with pytest.raises(BadTools, match=why):
        ToolsFile(tmp_path / "tools.yml")


def test_what_an_entry_of_ours_says_is_read_back(change: Change, tmp_path: Path) -> None:
    found = evidence(GROWING, given=None, cores=4, efficiency=1)
    (advice,) = advise([found], RULE)
    change(written([advice], RULE))
    assert ToolsFile(tmp_path / "tools.yml").settled[BWA].memory == advice.memory
    assert advice.memory == Memory(36.8, ((0, 4.6), (2, 9.2), (4, 18.4), (8, 36.8)))
