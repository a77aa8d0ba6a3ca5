"""The rule: what a tool should get, from what its jobs needed.

Memory is a percentile of the measured peaks and a margin. A job that was killed for memory needed more than it came to:
it counts with more than that, so that it pushes the advice up. What is advised by the size of the input is found in
`sizes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grt_batch.advice.evidence import Evidence, Needed


@dataclass(frozen=True)
class Rule:
    """The numbers of the rule; memory is in GiB.

    A tool needs `min_jobs` jobs, on more than one day. Its memory is the `percentile` and `margin` as a share of it,
    `floor` at least and `cap` at most. A killed job counts with `killed_factor` times what it came to; where more than
    `killed_share` of the jobs are such, nothing is lowered. Nothing falls to less than 1 / `most_fall`. What saves less
    than `least_saving` of the memory-hours is not worth a change, or a distinction by size, of which there are
    `max_steps`; sizes whose memory differs by less than `least_step` are one.
    """

    percentile: float = 95
    margin: float = 0.15
    floor: float = 3.8
    cap: float = math.inf
    min_jobs: int = 20
    killed_factor: float = 1.2
    killed_share: float = 0.05
    most_fall: float = 3
    least_saving: float = 0.2
    least_step: float = 0.2
    max_steps: int = 4

    def enough(self, evidence: Evidence) -> str:
        """Return why there is not enough evidence; nothing where there is."""
        if evidence.jobs < self.min_jobs:
            return "too few jobs"
        return "" if evidence.several_days else "jobs of one day"


@dataclass(frozen=True)
class Memory:
    """What a tool gets: `mem`, or by the size of the input the value of the last of the `steps` that begins at or below
    it. Steps are pairs (size, memory); the first begins at 0. Single `versions` of the tool have memory of their own,
    whatever the size: pairs (version, memory)."""

    mem: float
    steps: tuple[tuple[float, float], ...] = ()
    versions: tuple[tuple[str, float], ...] = ()

    @property
    def most(self) -> float:
        """The most that a job gets, whatever the size of its input, but for the versions that have their own."""
        return max((mem for _, mem in self.steps), default=self.mem)

    def at(self, size: float) -> float:
        """Return what a job with an input of this size gets, of a version that has no memory of its own."""
        return next((mem for begin, mem in reversed(self.steps) if begin <= size), self.mem)

    def of_version(self, version: str) -> float:
        """Return the most that a job of this version gets."""
        return dict(self.versions).get(version, self.most)

    def hours(self, needed: Iterable[Needed]) -> float:
        """Return the memory-hours that jobs in state ok would have been given."""
        return sum(self.at(one.size) * one.hours for one in needed)

    def unfit(self, needed: Iterable[Needed], rule: Rule) -> float:
        """Return the share of the jobs that need more; killed ones as the rule takes them."""
        return _share((one, self.at(one.size)) for one in samples(needed, rule))

    def kills(self, needed: Iterable[Needed]) -> float:
        """Return the share of the jobs in state ok that would have been killed."""
        return _share((one, self.at(one.size)) for one in needed)


def samples(needed: Iterable[Needed], rule: Rule) -> list[Needed]:
    """Return what the rule looks at: killed jobs as jobs that needed more."""
    found = []
    for one in needed:
        more = one.high * rule.killed_factor
        found += [one] if one.jobs else []
        found += [Needed(one.size, more, more, one.killed, 0, 0.0)] if one.killed else []
    return found


def percentile(some: Sequence[Needed], percent: float) -> float:
    """Return the memory of rank ceil(percent · n / 100); inside of a bin jobs are spread evenly."""
    rank = max(1, math.ceil(percent * sum(one.jobs for one in some) / 100))
    for one in sorted(some, key=lambda one: (one.high, one.low)):
        if rank <= one.jobs:
            return one.low + (one.high - one.low) * (rank - 0.5) / one.jobs
        rank -= one.jobs
    raise ValueError("no jobs")


def memory_of(needed: Sequence[Needed], rule: Rule, old: Memory | None, lower: bool) -> float:
    """Return what jobs should get, within the bounds of the rule, from what such jobs needed. It does not fall below
    what they got by `old`, unless it may be `lower`."""
    wanted = percentile(samples(needed, rule), rule.percentile) * (1 + rule.margin)
    before = max((old.at(one.size) for one in needed), default=0.0) if old else 0.0
    least = before / rule.most_fall if lower else before
    return tenths_up(min(max(wanted, least, rule.floor), rule.cap))


def may_fall(evidence: Evidence, rule: Rule) -> bool:
    """Return whether so few jobs were killed that less memory may do."""
    return evidence.killed <= rule.killed_share * (evidence.jobs + evidence.killed)


def cores_of(evidence: Evidence, rule: Rule, old: float | None) -> int | None:
    """Return the cores that jobs used of those that they were given; `old` where that saves too little, None where
    nothing is known."""
    if evidence.cores is None or evidence.efficiency is None or evidence.used < rule.min_jobs:
        return None
    before = evidence.cores if old is None else old
    wanted = math.ceil(max(evidence.cores * evidence.efficiency, before / rule.most_fall, 1) - 1e-9)
    return wanted if wanted <= (1 - rule.least_saving) * before else math.ceil(before)


def tenths_up(memory: float) -> float:
    """Round up to 0.1 GiB."""
    return math.ceil(round(memory * 10, 6)) / 10


def _share(some: Iterable[tuple[Needed, float]]) -> float:
    """Return the share of jobs above their limits."""
    above, jobs = 0.0, 0
    for one, limit in some:
        over = one.high > limit if one.high <= one.low else min(max((one.high - limit) / (one.high - one.low), 0), 1)
        above, jobs = above + one.jobs * over, jobs + one.jobs
    return above / jobs if jobs else 0.0
