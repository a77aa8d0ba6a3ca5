"""Evidence made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from grt_batch.advice.evidence import Evidence, Needed, Version

BWA = "toolshed.g2.bx.psu.edu/repos/iuc/bwa_mem2/bwa_mem2"


def needed(memory: float, jobs: int, size: float = 0.0, *, killed: int = 0, hours: float | None = None) -> Needed:
    """Jobs that came to one memory; each took an hour."""
    return Needed(size, memory, memory, jobs, killed, float(jobs) if hours is None else hours)


def version(name: str, memory: float, jobs: int, *, killed: int = 0, hours: float = 0.0) -> Version:
    """Jobs of a version that came to one memory, the last of a hundred to a tenth more."""
    peaks = [(float(percent), memory) for percent in (25, 50, 75, 90, 95, 99)]
    return Version(name, jobs, killed, hours, (*peaks, (100.0, 1.1 * memory)))


def evidence(
    found: Iterable[Needed],
    tool_id: str = BWA,
    *,
    given: float | None = 32.0,
    cores: float | None = None,
    efficiency: float | None = None,
    days: bool = True,
    servers: int = 3,
) -> Evidence:
    some = tuple(found)
    used = sum(one.jobs for one in some)
    return Evidence(tool_id, servers, days, some, given=given, cores=cores, efficiency=efficiency, used=used)
