"""The archives to read: written once for each size, and kept in bench/data."""

from __future__ import annotations

import shutil
from pathlib import Path

from grt_batch.sample import write_sample


def uploads(data: Path, jobs: int, archives: int, instances: int) -> Path:
    """Return the folder of sample uploads with that many jobs and archives; write it if it is missing."""
    folder = data / f"{jobs}-jobs-{archives}-archives-{instances}-instances"
    if not folder.exists():
        part = _part_of(folder)
        write_sample(part, jobs=jobs, instances=instances, archives=archives // instances)
        part.rename(folder)
    return folder


def skewed(data: Path, jobs: int, archives: int, instances: int) -> Path:
    """Return the same, but one instance has four fifths of the jobs."""
    folder = data / f"{jobs}-jobs-{archives}-archives-{instances}-instances-skewed"
    if not folder.exists():
        part, each = _part_of(folder), archives // instances
        write_sample(part, jobs=jobs // 5, instances=instances - 1, archives=each)
        large = part.with_name(f"{part.name}.large")
        shutil.rmtree(large, ignore_errors=True)
        write_sample(large, jobs=jobs - jobs // 5, instances=1, archives=each, seed=2)
        (of_one,) = large.iterdir()
        of_one.rename(part / "large")
        large.rmdir()
        part.rename(folder)
    return folder


def _part_of(folder: Path) -> Path:
    """Return an empty place where a sample is written until it is complete."""
    print(f"writing {folder}", flush=True)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    return part
