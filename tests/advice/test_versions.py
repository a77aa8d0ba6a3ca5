"""Memory by version, where one needs clearly more or less than its tool gets."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from evidence import evidence, needed, version
from tpv_rules import faults

from grt_batch.advice.advice import Settled, advise
from grt_batch.advice.evidence import Evidence, Needed, Version, read
from grt_batch.advice.rule import Memory, Rule
from grt_batch.advice.tools_yml import written
from grt_batch.advice.versions import peak, version_memory, with_versions
from grt_batch.core.config import Config

RULE = Rule()
GROWING = tuple(needed(4.0 * 2**bit, 25, 2.0**bit) for bit in range(-3, 4))


def of(*versions: Version, found: tuple[Needed, ...] = (needed(20, 100),)) -> Evidence:
    return replace(evidence(found, given=None), versions=versions)


def chosen(one: Evidence, rule: Rule = RULE, old: Memory | None = None) -> tuple[tuple[str, float], ...]:
    """The versions that get memory of their own, beside 23 GiB for the others."""
    return with_versions(Memory(23), one, rule, old).versions


def test_a_version_that_needs_clearly_more_gets_it() -> None:
    assert chosen(of(version("1.0", 23, 20), version("1.1", 25, 20), version("1.2", 60, 19))) == (("1.1", 28.8),)


def test_some_odd_jobs_of_a_version_are_no_reason() -> None:
    one = version("1.0", 60, 40)
    assert chosen(of(one)) == (("1.0", 69.0),)
    few = tuple((percent, 20.0 if percent <= 90 else 60.0) for percent, _ in one.peaks)
    assert chosen(of(replace(one, peaks=few))) == ()
    assert chosen(of(replace(one, jobs=100))) == (), "it is all that there is of the tool"


def test_a_version_that_needs_clearly_less_gets_less_where_that_saves_enough() -> None:
    # The jobs of all versions take 2300 GiB hours, of which a fifth must be saved.
    assert chosen(of(version("1.0", 4, 30, hours=24))) == ()
    assert chosen(of(version("1.0", 4, 30, hours=26))) == (("1.0", 4.6),)
    assert chosen(of(version("1.0", 4, 30, hours=13), version("1.1", 5, 30, hours=13))) == (("1.0", 4.6), ("1.1", 5.8))
    assert chosen(of(version("1.0", 17, 90, hours=90))) == (), "that is hardly less"
    assert chosen(of(version("1.0", 0.1, 30, hours=99))) == (("1.0", 3.8),), "the floor"


def test_where_jobs_were_killed_nothing_is_lowered() -> None:
    one = version("1.0", 4, 95, killed=5, hours=95)
    assert chosen(of(one)) == (("1.0", 5.1),), "the killed ones needed more than the others"
    assert chosen(of(replace(one, killed=6))) == ()
    assert chosen(of(version("1.0", 23, 95, killed=5))) == (), "the advice for all versions counts them"
    many = needed(20, 100, killed=6)
    assert chosen(of(version("1.0", 4, 95, hours=95), found=(many,))) == ()
    assert chosen(of(version("1.0", 25, 20), found=(many,))) == (("1.0", 28.8),)


def test_what_is_known_of_a_version_are_some_percentiles() -> None:
    one = Version("1", 100, 0, 1.0, ((25, 1), (50, 2), (75, 3), (90, 4), (95, 5), (99, 6), (100, 7)))
    assert [peak(one, percent) for percent in (1, 50, 51, 95, 96, 100, 101)] == [1, 2, 3, 5, 6, 7, 7]


def test_the_bounds_are_those_of_the_rule() -> None:
    one = version("1.0", 40, 30)
    assert version_memory(one, Rule(cap=32), None) == 32
    assert version_memory(one, RULE, Memory(300)) == 100, "never less than a third of what it was"
    assert version_memory(one, RULE, Memory(300, versions=(("1.0", 60.0),))) == 46
    assert version_memory(one, Rule(most_fall=math.inf), Memory(300)) == 46


def test_by_size_a_version_may_only_get_more() -> None:
    by_size = Memory(36.8, ((0, 12), (4, 18.4), (8, 36.8)))
    one = of(version("1.0", 4, 100, hours=100), version("1.1", 64, 30), found=GROWING)
    assert with_versions(by_size, one, RULE, None) == replace(by_size, versions=(("1.1", 73.6),))


def test_there_are_few_rules_and_all_can_be_written() -> None:
    some = [version(f"1.{place}", 64, 20 + place) for place in range(6)]
    assert [name for name, _ in chosen(of(*some))] == ["1.2", "1.3", "1.4", "1.5"]
    assert chosen(of(*some), Rule(max_steps=1)) == ()
    for odd in ("", "1 #", "1'", "1: 2", "x" * 41, "é"):
        assert chosen(of(version(odd, 64, 30))) == ()


def test_a_version_under_two_ids_is_as_most_of_its_jobs_are() -> None:
    assert chosen(of(version("1", 64, 30), version("1", 20, 31))) == ()
    assert chosen(of(version("1", 20, 30), version("1", 64, 31))) == (("1", 73.6),)


def test_a_version_alone_may_be_worth_a_change() -> None:
    def worth(old: Memory, *versions: Version) -> bool:
        found = [replace(evidence([needed(20, 100)], "a"), versions=versions)]
        return advise(found, RULE, {"a": Settled(old)})[0].worth_a_change

    assert not worth(Memory(23))
    assert worth(Memory(23), version("1.0", 40, 30))
    assert not worth(Memory(23, versions=(("1.0", 45.0),)), version("1.0", 40, 30)), "it has that already"
    assert worth(Memory(23, versions=(("1.0", 30.0),)), version("1.0", 40, 30))
    assert worth(Memory(23), version("1.0", 8, 60, hours=60))


@pytest.mark.parametrize("rule", [Rule(), Rule(least_saving=0.05, least_step=0.1, floor=0.1)])
def test_the_versions_of_the_sample_are_read(ran: Config, rule: Rule) -> None:
    found = read(ran.database, None, re.compile(""))
    versions = [(one, of_tool) for one in found for of_tool in one.versions]
    assert len(versions) > 20
    for tool, one in versions:
        assert 0 < one.jobs <= tool.jobs
        assert [memory for _, memory in one.peaks] == sorted(memory for _, memory in one.peaks)
        assert one.hours >= 0
    assert sum(one.killed for _, one in versions) > 0
    assert faults(written(advise(found, rule), rule)) == []
