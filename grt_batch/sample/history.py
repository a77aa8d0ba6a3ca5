"""The history of an instance: its jobs over time, and which of them each archive reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from grt_batch.sample.catalogue import Catalogue
from grt_batch.sample.population import Jobs, draw_jobs
from grt_batch.sample.releases import PROFILES, Profile, instance_id_of, profile_of

CHUNK = 20_000
"""The number of jobs drawn at a time, which bounds the memory."""


REPEATED_SHARE = 0.2
"""The share of rows that an archive repeats from the one before, if it repeats any."""


GAP_EVERY = 50
"""One of this many job ids is not used."""


class Purpose(IntEnum):
    """The purpose of random numbers. None is 0, as numpy reads missing words of a seed as zeros."""

    TOOLS = 1
    TIMES = 2
    JOBS = 3
    TEXTS = 4
    REPORT = 5


def random_for(purpose: Purpose, seed: int, instance: int = 0, archive: int = 0, job: int = 0) -> np.random.Generator:
    """Return the generator for one purpose and place, which does not depend on other draws."""
    return np.random.default_rng([seed, instance, archive, job, purpose])


@dataclass(frozen=True)
class History:
    """The history of an instance, counted from 0, given the job rows of its archives, oldest first."""

    seed: int
    instance: int
    rows: tuple[int, ...]
    until: date
    catalogue: Catalogue
    profiles: Sequence[Profile] = PROFILES
    """of all instances"""

    @property
    def profile(self) -> Profile:
        """The releases and the metadata of the instance."""
        return profile_of(self.instance, self.profiles)

    @property
    def instance_id(self) -> str:
        """The name of the instance's folder."""
        return instance_id_of(self.instance, self.profiles)

    def generated(self, archive: int) -> float:
        """Return when an archive was made, in Unix seconds; archive -1 is the time of the first job."""
        newest = self.until - timedelta(days=self.profile.silent_days)
        end = datetime(newest.year, newest.month, newest.day, 4, tzinfo=UTC).timestamp()
        end += self.rng(Purpose.TIMES, len(self.rows)).uniform(0, 3600)
        step = self.profile.span_days * 86400 / len(self.rows)
        return round(end - step * (len(self.rows) - 1 - archive), 2)

    def name(self, archive: int) -> str:
        """Return the archive's name, `N`."""
        return str(archive) if self.profile.counts_archives else str(self.generated(archive))

    def jobs_of(self, archive: int) -> Iterator[Jobs]:
        """Yield the jobs that an archive reports, in chunks of rising ids."""
        repeated = self._repeated(archive)
        if repeated:
            yield from self._new_jobs(archive - 1, skip=self._new(archive - 1) - repeated)
        yield from self._new_jobs(archive)

    def rng(self, purpose: Purpose, archive: int, job: int = 0) -> np.random.Generator:
        """Return the generator for one purpose and place in this history."""
        return random_for(purpose, self.seed, self.instance, archive, job)

    @property
    def _change(self) -> float:
        """When one tool begins to fail and another to take longer: 30 days before the sample ends."""
        return datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC).timestamp() - 30 * 86400

    def _repeated(self, archive: int) -> int:
        """Return the number of jobs that an archive repeats from the one before."""
        if archive == 0 or archive < len(self.rows) - 1 or not self.profile.reports_again:
            return 0
        return min(round(self.rows[archive] * REPEATED_SHARE), self.rows[archive - 1])

    def _new(self, archive: int) -> int:
        """Return the number of jobs that an archive reports for the first time."""
        return self.rows[archive] - self._repeated(archive)

    def _new_jobs(self, archive: int, skip: int = 0) -> Iterator[Jobs]:
        """Yield the jobs that an archive reports for the first time, without the first `skip`."""
        before = sum(self._new(earlier) for earlier in range(archive))
        begin, end = self.generated(archive - 1), self.generated(archive)
        count = self._new(archive)
        for first in range(skip // CHUNK * CHUNK, count, CHUNK):
            last = min(first + CHUNK, count)
            jobs = draw_jobs(
                self.catalogue,
                self.rng(Purpose.JOBS, archive, first),
                _ids(before + np.arange(first, last)),
                begin + (end - begin) * first / count,
                begin + (end - begin) * last / count,
                self._change,
                self.profile.release(archive).cgroups,
            )
            yield jobs.newest(last - max(first, skip))


def _ids(position: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the job id at each position: rising, with gaps."""
    return position + 1 + position // (GAP_EVERY - 1)
