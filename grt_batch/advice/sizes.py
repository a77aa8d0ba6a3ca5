"""Memory by the size of the input, where it grows with it.

The bins of sizes are put together until each group has jobs enough; then the neighbours that are most alike, or where
the larger input needs less, until memory rises in a few steps that are worth it. A group's memory is always that of all
its jobs, by the one rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from grt_batch.advice.evidence import Evidence, Needed
from grt_batch.advice.rule import Memory, Rule, may_fall, memory_of

Group = list[Needed]


def advised(evidence: Evidence, rule: Rule, old: Memory | None) -> Memory:
    """Return what the jobs of a tool should get: by the size of their input where that saves enough."""
    lower = may_fall(evidence, rule)

    def memory(group: Group) -> float:
        return memory_of(group, rule, old, lower)

    plain = Memory(memory(list(evidence.needed)))
    groups = _steps(_with_enough_jobs(evidence.needed, rule.min_jobs), memory, rule)
    if len(groups) < 2:
        return plain
    # Inputs smaller than any that was seen need no more than these.
    begins = [0.0, *(group[0].size for group in groups[1:])]
    stepped = Memory(plain.mem, tuple(zip(begins, map(memory, groups), strict=True)))
    worth = stepped.hours(evidence.needed) <= (1 - rule.least_saving) * plain.hours(evidence.needed)
    return stepped if worth else plain


def _with_enough_jobs(needed: Sequence[Needed], min_jobs: int) -> list[Group]:
    """Return the bins of sizes in order, small ones together with the next; the last ones with those before."""
    groups: list[Group] = []
    waiting: Group = []
    for _, some in groupby(sorted(needed, key=lambda one: one.size), key=lambda one: one.size):
        waiting += some
        if sum(one.jobs for one in waiting) >= min_jobs:
            groups.append(waiting)
            waiting = []
    if waiting and groups:
        groups[-1] += waiting
    return groups


def _steps(groups: list[Group], memory: Callable[[Group], float], rule: Rule) -> list[Group]:
    """Put the neighbours together whose memory rises least, until it rises everywhere, in steps that are few enough."""
    values = [memory(group) for group in groups]
    while len(groups) > 1:
        rise, place = min((values[i + 1] / values[i], i) for i in range(len(values) - 1))
        if rise >= 1 + rule.least_step and len(groups) <= rule.max_steps:
            break
        groups[place : place + 2] = [groups[place] + groups[place + 1]]
        values[place : place + 2] = [memory(groups[place])]
    return groups
