"""What the main set is to reach, and whether it does."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.cases import FEW, FOURFOLD, MANY, MANY_FOURFOLD, NIGHTLY, SINGLE, TWICE
from bench.others import DUCKDB, FLOOR
from bench.ours import NOTHING_NEW, ONE_NEW, WHOLE

JOBS = 1_000_000
"""The jobs of the smallest case for which the targets are set."""

Results = Mapping[str, Any]


@dataclass(frozen=True)
class Figures:
    """Medians of a comparison. A KeyError says that something was not measured."""

    results: Results

    def of(self, case: str, contender: str, what: str = "seconds") -> float:
        """Return the median of the runs of a contender."""
        runs = self.results["cases"][case]["contenders"][contender]["runs"]
        return float(statistics.median(run[what] for run in runs))

    def ratio(self, case: str, contender: str, other: str) -> float:
        """Return how many times as long a contender takes as another."""
        return self.of(case, contender) / self.of(case, other)

    def marginal(self, contender: str, small: str, large: str) -> float:
        """Return the seconds of one more job."""
        fewer, more = (int(self.results["cases"][case]["jobs"]) for case in (small, large))
        return (self.of(large, contender) - self.of(small, contender)) / (more - fewer)

    def most(self, cases: Iterable[str], contender: str, what: str = "seconds") -> float:
        """Return the largest median of several cases."""
        return max(self.of(case, contender, what) for case in cases)

    def work(self, case: str) -> float:
        """Return the bytes in the work folder for each byte of the archives."""
        return self.of(case, WHOLE, "work_bytes") / int(self.results["cases"][case]["bytes"])


@dataclass(frozen=True)
class Target:
    """A figure that must not exceed a bound."""

    name: str
    bound: float
    figure: Callable[[Figures], float]


_ALL = (FEW, TWICE, FOURFOLD, MANY, MANY_FOURFOLD, NIGHTLY)
TARGETS = (
    Target("2,000,000 jobs: whole run / floor", 6, lambda of: of.ratio(TWICE, WHOLE, FLOOR)),
    Target("2,000,000 jobs: whole run / DuckDB", 1 / 3, lambda of: of.ratio(TWICE, WHOLE, DUCKDB)),
    Target(
        "one more job / floor",
        4,
        lambda of: of.marginal(WHOLE, FEW, FOURFOLD) / of.marginal(FLOOR, FEW, FOURFOLD),
    ),
    Target("one new archive among many / all new", 1 / 8, lambda of: of.ratio(NIGHTLY, ONE_NEW, WHOLE)),
    Target("nothing new, the slowest case, s", 1, lambda of: of.most(_ALL, NOTHING_NEW)),
    Target(
        "1,000,000 jobs, the largest case: memory, GB",
        1.2,
        lambda of: of.most((FEW, MANY, NIGHTLY), WHOLE, "peak_bytes") / 1e9,
    ),
    Target("5,000,000 jobs in one archive: memory, GB", 2.5, lambda of: of.of(SINGLE, WHOLE, "peak_bytes") / 1e9),
    Target("work folder / archives, the largest case", 0.3, lambda of: max(map(of.work, _ALL))),
)


def verdicts(results: Results) -> list[tuple[str, ...]]:
    """Return a row for each target, below a row of titles. Of other sizes there is no verdict."""
    rows: list[tuple[str, ...]] = [("target", "at most", "measured", "")]
    for target in TARGETS:
        try:
            found = target.figure(Figures(results))
        except KeyError:
            rows.append((target.name, f"{target.bound:.3g}", "", "not measured"))
            continue
        said = "reached" if found <= target.bound else "**not reached**"
        said = said if results["jobs"] == JOBS else f"set for JOBS={JOBS}"
        rows.append((target.name, f"{target.bound:.3g}", f"{found:.3g}", said))
    return rows
