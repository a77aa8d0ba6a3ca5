"""What is advised, beside what there was."""

from __future__ import annotations

from evidence import BWA, evidence, needed

from grt_batch.advice.advice import Settled, advise
from grt_batch.advice.rule import Memory, Rule

RULE = Rule()
SOME = needed(10, 95), needed(40, 5)


def test_without_an_entry_the_old_is_what_jobs_were_given() -> None:
    (advice,) = advise([evidence(SOME, given=32, cores=8, efficiency=0.2)], RULE)
    assert advice.old == Settled(Memory(32), 8)
    assert (advice.memory, advice.cores, advice.peak) == (Memory(11.5), 3, 10)
    assert (advice.killed_before, advice.killed_now) == (0.05, 0.05)
    assert (advice.hours_before, advice.hours_now) == (3200, 1150)
    assert advice.worth_a_change


def test_nothing_is_known_of_before() -> None:
    (advice,) = advise([evidence(SOME, given=None)], RULE)
    assert (advice.old, advice.memory, advice.cores) == (Settled(), Memory(11.5), None)
    assert (advice.killed_before, advice.hours_before) == (None, None)
    assert advice.worth_a_change


def test_an_entry_counts_more_than_what_was_given() -> None:
    (advice,) = advise(
        [evidence(SOME, cores=8, efficiency=0.2)], RULE, {BWA: Settled(Memory(60), 4), "other": Settled()}
    )
    assert advice.old == Settled(Memory(60), 4)
    assert (advice.memory, advice.cores) == (Memory(20), 2)
    (advice,) = advise([evidence(SOME)], RULE, {BWA: Settled(Memory(60))})
    assert advice.cores is None


def test_without_evidence_there_is_no_advice() -> None:
    (advice,) = advise([evidence([needed(10, 19)])], RULE)
    assert (advice.memory, advice.why, advice.worth_a_change) == (None, "too few jobs", False)


def test_what_is_worth_a_change() -> None:
    def worth(old: float, *killed: int) -> bool:
        some = (*SOME, *(needed(40, 0, killed=number) for number in killed))
        return advise([evidence(some)], RULE, {BWA: Settled(Memory(old))})[0].worth_a_change

    assert worth(14.5), "it saves a fifth"
    assert not worth(14)
    assert not worth(10), "95 % of the jobs fit, though with no margin"
    assert worth(9.9)
    assert worth(40, 10), "more than 5 % were killed"
    assert not worth(60, 10)


def test_a_value_that_no_advice_betters_stays() -> None:
    (advice,) = advise([evidence([needed(100, 20)])], Rule(cap=64), {BWA: Settled(Memory(64))})
    assert (advice.memory, advice.worth_a_change) == (Memory(64), False)
