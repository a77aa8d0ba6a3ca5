"""tools.yml, written anew."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
from build import examples
from evidence import BWA, evidence, needed, version
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from tpv_rules import faults

from grt_batch.advice.advice import Advice, advise
from grt_batch.advice.evidence import Evidence
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.tools_yml import is_ours, memory_of, pattern_of, tool_of, written
from grt_batch.core.errors import NoYaml

RULE = Rule()
GROWING = tuple(needed(4.0 * 2**bit, 25, 2.0**bit) for bit in range(-3, 4))


def of(*found: Evidence) -> list[Advice]:
    return advise(found, RULE)


WHOLE = r"""tools:
  toolshed.g2.bx.psu.edu/repos/iuc/bwa_mem2/bwa\+/.*:
    # grt: 39 jobs ok on 1 server, 1 killed for memory; p95 30.0 GiB
    mem: 34.5
  toolshed.g2.bx.psu.edu/repos/iuc/bwa_mem2/bwa_mem2/.*:
    # grt: 175 jobs ok on 3 servers, 0 killed for memory; p95 32.0 GiB of 36 given; 36 would have killed 0.0 % of them; saves 3420 of 6300 GiB hours
    cores: 8
    mem: 36.8
    rules:
    - id: grt_bwa_mem2_input_1
      if: input_size < 4
      mem: 12
    - id: grt_bwa_mem2_input_2
      if: 4 <= input_size < 8
      mem: 18.4
    - id: grt_bwa_mem2_input_3
      if: input_size >= 8
      mem: 36.8
  join1$:
    # grt: 30 jobs ok on 3 servers, 0 killed for memory; p95 3.1 GiB of 3.7 given; 3.7 would have killed 0.0 % of them; takes 2.7 more than 111 GiB hours
    cores: 1
    mem: 3.8
"""  # noqa: E501


def test_the_whole_file() -> None:
    few = evidence([needed(1, 19)], "few")
    star = evidence([needed(30, 39, killed=1)], f"{BWA[:-9]}/bwa+", given=None, servers=1)
    plain = evidence([needed(3.1, 30)], "join1", given=3.71, cores=2, efficiency=0.5)
    text = written(of(few, plain, star, evidence(GROWING, given=36, cores=16, efficiency=0.5)), RULE)
    assert faults(text) == []
    assert text == WHOLE


BY_VERSION = f"""tools:
  {BWA}/.*:
    # grt: 175 jobs ok on 3 servers, 0 killed for memory; p95 32.0 GiB of 36 given; 36 would have killed 0.0 % of them; saves 3420 of 6300 GiB hours; 2.0+galaxy1: 20 jobs, 0 killed, 64.0 GiB; 2.1: 30 jobs, 1 killed, 80.0 GiB
    mem: 36.8
    rules:
    - id: grt_bwa_mem2_input_1
      if: input_size < 4
      mem: 12
    - id: grt_bwa_mem2_input_2
      if: 4 <= input_size < 8
      mem: 18.4
    - id: grt_bwa_mem2_input_3
      if: input_size >= 8
      mem: 36.8
    - id: grt_bwa_mem2_version_1
      if: tool.version == '2.0+galaxy1'
      mem: 73.6
    - id: grt_bwa_mem2_version_2
      if: tool.version == '2.1'
      mem: 92
"""  # noqa: E501


def test_rules_by_version_come_last() -> None:
    some = version("2.0+galaxy1", 64, 20), version("2.1", 80, 30, killed=1), version("2.2", 30, 125)
    (advice,) = of(replace(evidence(GROWING, given=36), versions=some))
    text = written([advice], RULE)
    assert faults(text) == []
    assert text == BY_VERSION
    entry = YAML().load(text)["tools"][f"{BWA}/.*"]
    assert all(is_ours(one) for one in entry["rules"])
    assert memory_of(entry["mem"], entry["rules"]) == advice.memory


def test_no_advice_is_a_file_too() -> None:
    assert written([], RULE) == written(of(evidence(GROWING, "no\nline")), RULE) == "tools: {}\n"


NAMES = st.text(st.characters().filter(str.isprintable), min_size=1, max_size=200)


@examples(100)
@given(st.sets(NAMES | NAMES.map("shed/repos/a/b/{}".format), min_size=1, max_size=5))
def test_any_tool_is_written_so_that_it_is_matched(names: set[str]) -> None:
    names = {name for name in names if "/repos/" not in name or name.count("/") == 4}
    text = written(of(*(evidence(GROWING, name) for name in sorted(names))), RULE)
    assert faults(text) == []
    for name in names:
        pattern = pattern_of(name)
        assert tool_of(pattern) == name
        assert re.match(pattern, f"{name}/1.0+galaxy1" if "/repos/" in name else name, re.DOTALL)
        assert not re.match(pattern, f"{name}2")
        assert pattern in YAML().load(text)["tools"]


def test_a_long_name_is_cut_in_the_ids_of_rules() -> None:
    text = written(of(evidence(GROWING, f"{BWA}{'x' * 200}", given=None)), RULE)
    assert faults(text) == []
    assert f"id: grt_bwa_mem2{'x' * 32}_input_1\n" in text


@pytest.mark.parametrize(
    ("pattern", "tool_id"),
    [
        (".*/bwa_mem2/.*", ".*/bwa_mem2"),
        (f"{BWA}/.*", BWA),
        (f"{BWA}/.+", BWA),
        (f"^{BWA}/.*$", BWA),
        (BWA, BWA),
        (f"{BWA}/2.2.1", f"{BWA}/2.2.1"),
        ("join1", "join1"),
        ("join1.*", "join1"),
        (r"Cut\+1$", "Cut+1"),
    ],
)
def test_the_tool_of_a_pattern(pattern: str, tool_id: str) -> None:
    assert tool_of(pattern) == tool_id


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    with pytest.raises(NoYaml, match="pip install"):
        written([], RULE)


def test_conditions_are_exact() -> None:
    """A bound is a power of two of bytes: it must not be rounded into the next bin."""
    some = [needed(4, 30, 0.0), needed(8, 30, 2.0**-20), needed(30, 30, 2.0**-10)]
    (advice,) = of(evidence(some, given=None))
    assert advice.memory == Memory(34.5, ((0, 4.6), (2.0**-20, 9.2), (2.0**-10, 34.5)))
    conditions = [one["if"] for one in YAML().load(written([advice], RULE))["tools"][f"{BWA}/.*"]["rules"]]
    for size in (0, 2.0**-21, 2.0**-20, 2.0**-11, 2.0**-10, 1):
        (place,) = [number for number, text in enumerate(conditions) if eval(text, {"input_size": size})]
        assert advice.memory.steps[place][1] == advice.memory.at(size)
