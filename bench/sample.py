"""The archives that are read: made once for each size, and kept in bench/data."""

from __future__ import annotations

import shutil
from pathlib import Path

from grt_batch.sample import write_sample


def uploads(data: Path, jobs: int, archives: int, instances: int) -> Path:
    """The folder of sample uploads with so many jobs in so many archives of all instances, made where it is missing."""
    folder = data / f"{jobs}-jobs-{archives}-archives-{instances}-instances"
    if not folder.exists():
        print(f"writing {jobs} jobs in {archives} archives to {folder}", flush=True)
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        write_sample(part, jobs=jobs, instances=instances, archives=archives // instances)
        part.rename(folder)
    return folder


def skewed(data: Path, jobs: int, archives: int, instances: int) -> Path:
    """The same, of which one instance has four fifths of the jobs."""
    folder = data / f"{jobs}-jobs-{archives}-archives-{instances}-instances-skewed"
    if not folder.exists():
        print(f"writing {jobs} jobs, most of one instance, to {folder}", flush=True)
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        each = archives // instances
        write_sample(part, jobs=jobs // 5, instances=instances - 1, archives=each)
        large = part.with_name(f"{part.name}.large")
        shutil.rmtree(large, ignore_errors=True)
        write_sample(large, jobs=jobs - jobs // 5, instances=1, archives=each, seed=2)
        (of_one,) = large.iterdir()
        of_one.rename(part / "large")
        large.rmdir()
        part.rename(folder)
    return folder
