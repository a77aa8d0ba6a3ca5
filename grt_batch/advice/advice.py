"""What is advised for each tool, and what it would have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grt_batch.advice.evidence import Evidence
from grt_batch.advice.rule import Memory, Rule, cores_of, percentile, samples
from grt_batch.advice.sizes import advised
from grt_batch.advice.versions import with_versions


@dataclass(frozen=True)
class Settled:
    """What a tool gets by its entry of tools.yml: a value is None where there is none."""

    memory: Memory | None = None
    cores: float | None = None


@dataclass(frozen=True)
class Advice:
    """The advice for a tool; `memory` is None where there is no evidence enough, and `why` says so.

    `old` is what the tool gets so far: by its entry, else by what its jobs were given. `peak` is the percentile of the
    memory that jobs needed. `killed_before` and `killed_now` are shares of the jobs in state ok that the old and the
    new memory would have killed; the hours are the memory-hours that these jobs would have been given. Memory that
    single versions have of their own is not in these numbers.
    """

    evidence: Evidence
    old: Settled
    memory: Memory | None = None
    cores: int | None = None
    why: str = ""
    peak: float | None = None
    killed_before: float | None = None
    killed_now: float | None = None
    hours_before: float | None = None
    hours_now: float | None = None
    worth_a_change: bool = False


def advise(found: Iterable[Evidence], rule: Rule, entries: Mapping[str, Settled] | None = None) -> list[Advice]:
    """Return the advice for each tool, given the entries of tools.yml by the tool's id."""
    return [_advice(evidence, rule, (entries or {}).get(evidence.tool_id)) for evidence in found]


def _advice(evidence: Evidence, rule: Rule, entry: Settled | None) -> Advice:
    old = entry or Settled()
    before = old.memory or (Memory(evidence.given) if evidence.given else None)
    old = Settled(before, evidence.cores if old.cores is None else old.cores)
    why = rule.enough(evidence)
    if why:
        return Advice(evidence, old, why=why)
    now, needed = with_versions(advised(evidence, rule, before), evidence, rule, before), evidence.needed
    return Advice(
        evidence,
        old,
        now,
        cores_of(evidence, rule, old.cores),
        peak=percentile(samples(needed, rule), rule.percentile),
        killed_before=before.kills(needed) if before else None,
        killed_now=now.kills(needed),
        hours_before=before.hours(needed) if before else None,
        hours_now=now.hours(needed),
        worth_a_change=before is None or _worth(evidence, rule, before, now),
    )


def _worth(evidence: Evidence, rule: Rule, before: Memory, now: Memory) -> bool:
    """Return whether the old memory is too little for the percentile, and the new one does better; whether the new one
    saves enough; or whether a version gets clearly more or less."""
    short = before.unfit(evidence.needed, rule)
    if short > 1 - rule.percentile / 100 and now.unfit(evidence.needed, rule) < short:
        return True
    step = 1 + rule.least_step
    changes = (mem / before.of_version(version) for version, mem in now.versions)
    if any(change >= step or change <= 1 / step for change in changes):
        return True
    return now.hours(evidence.needed) <= (1 - rule.least_saving) * before.hours(evidence.needed)
