"""The cases: sample archives of different sizes, written once and kept in bench/data."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grt_batch.sample import write_sample
from grt_batch.sample.releases import BEFORE, NOW, Profile

SETS: Mapping[str, tuple[Profile, ...]] = {"main": NOW, "second": BEFORE}
"""Instances as they send today, and as they sent in 2017 and 2018."""

_INSTANCES = 4

FEW, TWICE, FOURFOLD = "few", "few, twice", "few, fourfold"
MANY, MANY_FOURFOLD = "many", "many, fourfold"
NIGHTLY, SINGLE = "nightly", "single"
NAMES = (FEW, TWICE, FOURFOLD, MANY, MANY_FOURFOLD, NIGHTLY, SINGLE)


@dataclass(frozen=True)
class Case:
    """So many jobs in so many archives. The others read them too, or ours alone."""

    name: str
    jobs: int
    archives: int
    instances: int = _INSTANCES
    others: bool = True


def cases(jobs: int, few: int, many: int, nightly: int) -> tuple[Case, ...]:
    """Return the cases, given their smallest number of jobs, and their numbers of archives."""
    return (
        Case(FEW, jobs, few),
        Case(TWICE, 2 * jobs, few),
        Case(FOURFOLD, 4 * jobs, few),
        Case(MANY, jobs, many),
        Case(MANY_FOURFOLD, 4 * jobs, many),
        Case(NIGHTLY, jobs, nightly, others=False),
        Case(SINGLE, 5 * jobs, 1, instances=1, others=False),
    )


def uploads(data: Path, of: str, case: Case) -> Path:
    """Return the folder with the archives of a case, of one of the SETS; write them if they are missing."""
    folder = data / f"{of}-{case.jobs}-jobs-{case.archives}-archives-{case.instances}-instances"
    if not folder.exists():
        print(f"writing {folder}", flush=True)
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        each = case.archives // case.instances
        write_sample(part, jobs=case.jobs, instances=case.instances, archives=each, profiles=SETS[of])
        part.rename(folder)
    return folder
