"""Memory by the version of the tool, where one needs clearly more than the tool gets, or clearly less.

Of a version only percentiles are known, not its jobs by size and peak. So its rule is a constant: where the tool gets
memory by the size of the input, a version may get more than all sizes, and never less.
"""

from __future__ import annotations

import re
from dataclasses import replace

from grt_batch.advice.evidence import Evidence, Version
from grt_batch.advice.rule import Memory, Rule, may_fall, tenths_up

_WRITABLE = re.compile(r"[A-Za-z0-9.+_-]{1,40}")
"""Matches versions that need no quotes and no line of their own in YAML."""


def with_versions(memory: Memory, evidence: Evidence, rule: Rule, old: Memory | None) -> Memory:
    """Return `memory`, and beside it that of versions that need another: `rule.max_steps` at most, of which those that
    get less save enough together."""
    if rule.max_steps < 2:
        return memory
    most, step = memory.most, 1 + rule.least_step
    # One version may stand under two ids: the one with more jobs says what it needs.
    versions = {one.name: one for one in sorted(evidence.versions, key=lambda one: one.jobs)}
    # A version that has all jobs is the tool.
    enough = [one for one in versions.values() if rule.min_jobs <= one.jobs < evidence.jobs]
    known = [one for one in reversed(enough) if _WRITABLE.fullmatch(one.name)]
    # One or two odd jobs are no reason: twice as many as the rule leaves out must need more.
    short = [one for one in known if peak(one, 2 * rule.percentile - 100) > most]
    more = [(one, mem) for one in short if (mem := version_memory(one, rule, old)) >= step * most][: rule.max_steps]
    less: list[tuple[Version, float]] = []
    if may_fall(evidence, rule) and not memory.steps:
        # Killed jobs needed more than all others, as far as anybody knows.
        needs = [(one, version_memory(one, rule, old, one.killed)) for one in known if _may_fall(one, rule)]
        less = [(one, mem) for one, mem in needs if mem * step <= most][: rule.max_steps - len(more)]
        if sum((most - mem) * one.hours for one, mem in less) < rule.least_saving * memory.hours(evidence.needed):
            less = []
    return replace(memory, versions=tuple(sorted((one.name, mem) for one, mem in (*more, *less))))


def version_memory(version: Version, rule: Rule, old: Memory | None, killed: int = 0) -> float:
    """Return what the jobs of a version should get, within the bounds of the rule, if `killed` more needed more than
    all of them."""
    least = old.of_version(version.name) / rule.most_fall if old else 0.0
    wanted = peak(version, rule.percentile * (version.jobs + killed) / version.jobs) * (1 + rule.margin)
    return tenths_up(min(max(wanted, least, rule.floor), rule.cap))


def peak(version: Version, percent: float) -> float:
    """Return the percentile of the memory that jobs of a version came to, or the next one that is known."""
    return next((memory for known, memory in version.peaks if percent <= known), version.peaks[-1][1])


def _may_fall(version: Version, rule: Rule) -> bool:
    return version.killed <= rule.killed_share * (version.jobs + version.killed)
