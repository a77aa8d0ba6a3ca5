"""Sample uploads: instances of different sizes and releases, with the habits and errors of real ones.

The same arguments give the same bytes of every file.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from grt_batch.core.errors import BadArguments
from grt_batch.sample.archive import report_hash, write_json, write_tar
from grt_batch.sample.catalogue import make_catalogue
from grt_batch.sample.history import History, Purpose, random_for
from grt_batch.sample.members import Exporter
from grt_batch.sample.releases import PROFILES, Profile, report_of

__all__ = ["UNTIL", "SampleSummary", "write_sample"]


UNTIL = date(2024, 6, 30)


EARLIEST = date(2012, 1, 1)


SIZE_EXPONENT = 1.6
"""The shares of the instances are proportional to rank ** -1.6: 62, 21, 11 and 7 % of the jobs."""


@dataclass(frozen=True)
class SampleSummary:
    """The number and size of what was written."""

    instances: int
    archives: int
    """of all instances"""
    jobs: int
    """rows of all archives; a job that is reported twice counts twice"""
    bytes: int
    """of the tar.gz files"""
    text_bytes: int
    """of the members in them"""


def write_sample(
    folder: Path,
    *,
    instances: int = 4,
    archives: int = 3,
    jobs: int = 100_000,
    seed: int = 1,
    until: date | None = None,
    profiles: Sequence[Profile] = PROFILES,
) -> SampleSummary:
    """Write uploads into `folder`, which must be empty or not exist.

    `archives` is the number of archives of each instance, `jobs` the number of job rows in all archives together,
    `until` the day of the newest archive (UNTIL by default), `profiles` those of the instances, the largest first.

    Raise BadArguments for numbers that make no sample, and for a folder that is not empty.
    """
    until = until or UNTIL
    _check(folder, instances, archives, jobs, seed, until)
    catalogue = make_catalogue(random_for(Purpose.TOOLS, seed))
    sizes = []
    for instance, rows in enumerate(_shares(jobs, instances, archives)):
        history = History(seed, instance, rows, until, catalogue, profiles)
        home = folder / history.instance_id
        home.mkdir(parents=True)
        if history.profile.metadata is not None:
            write_json(home / "metadata.json", history.profile.metadata)
            home /= "archives"
            home.mkdir()
        sizes += [_write_archive(home, history, archive) for archive in range(archives)]
    return SampleSummary(instances, len(sizes), jobs, sum(size for size, _ in sizes), sum(text for _, text in sizes))


def _check(folder: Path, instances: int, archives: int, jobs: int, seed: int, until: date) -> None:
    if instances < 1 or archives < 1:
        raise BadArguments(command="sample", what="a sample needs at least one instance with one archive")
    if jobs < instances * archives:
        raise BadArguments(
            command="sample",
            what=f"{instances * archives} archives need at least as many jobs, not {jobs}",
        )
    if seed < 0:
        raise BadArguments(command="sample", what=f"the seed {seed} is negative")
    if until < EARLIEST:
        raise BadArguments(command="sample", what=f"the last day {until} is before the first archives, {EARLIEST}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadArguments(command="sample", what=f"{folder} is not an empty folder")


def _shares(jobs: int, instances: int, archives: int) -> list[tuple[int, ...]]:
    """Return the number of job rows of each archive of each instance: their sum is `jobs`, and none is 0."""
    weights = np.repeat(np.arange(1, instances + 1) ** -SIZE_EXPONENT, archives)
    bounds = np.rint(np.cumsum(weights) / weights.sum() * (jobs - len(weights))).astype(int)
    rows = 1 + np.diff(bounds, prepend=0)
    return [tuple(map(int, of_one)) for of_one in rows.reshape(instances, archives)]


def _write_archive(home: Path, history: History, archive: int) -> tuple[int, int]:
    """Write both files of an archive into `home`; return the bytes of the tar.gz and of the text in it."""
    release = history.profile.release(archive)
    generated = history.generated(archive)
    packed = home / f"{history.name(archive)}.tar.gz"
    with tempfile.TemporaryDirectory() as folder:
        members = {member: Path(folder) / member for member in release.members}
        states = _write_members(members, history, archive)
        text_bytes = sum(text.stat().st_size for text in members.values())
        write_tar(packed, members, int(generated))
    rng = history.rng(Purpose.REPORT, archive)
    report = report_of(release, history.catalogue, generated, states, report_hash(packed), rng)
    write_json(home / f"{history.name(archive)}.json", report)
    return packed.stat().st_size, text_bytes


def _write_members(members: Mapping[str, Path], history: History, archive: int) -> Counter[str]:
    """Write the text of each member to its path; return the number of jobs in each state."""
    exporter = Exporter(history.profile.release(archive), history.catalogue)
    newest = archive == len(history.rows) - 1
    states: Counter[str] = Counter()
    with ExitStack() as stack:
        files = {member: stack.enter_context(path.open("wb")) for member, path in members.items()}
        for member, file in files.items():
            file.write(exporter.header(member))
        for jobs in history.jobs_of(archive):
            seen = jobs.seen_at(history.generated(archive))
            rng = history.rng(Purpose.TEXTS, archive, states.total())
            states.update(seen["state"].to_list())
            torn = newest and states.total() == history.rows[archive]
            for member, file in files.items():
                records = exporter.records(member, seen, jobs.datasets, rng, torn)
                records.to_frame().write_csv(file, include_header=False, quote_style="never", line_terminator="")
    return states
