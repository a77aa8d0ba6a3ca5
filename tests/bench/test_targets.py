"""Whether a target is reached."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cases import NIGHTLY, cases
from bench.others import DUCKDB, FLOOR, POLARS
from bench.ours import NOTHING_NEW, ONE_NEW, WHOLE
from bench.targets import JOBS, TARGETS, Figures, verdicts


def results(slower: float = 1.0) -> dict[str, Any]:
    """Results in which all is reached, or of which ours take so many times as much."""
    found: dict[str, Any] = {}
    for case in cases(JOBS, 8, 400, 100):
        size = case.jobs / JOBS
        seconds = {
            FLOOR: size,
            WHOLE: 2 + 3 * size,
            NOTHING_NEW: 0.7,
            ONE_NEW: 0.4,
            DUCKDB: 15 * size,
            POLARS: 9 * size,
        }
        contenders = {
            name: {
                "runs": [
                    {
                        "seconds": took * (slower if name in (WHOLE, ONE_NEW, NOTHING_NEW) else 1),
                        "peak_bytes": 1e9 * slower,
                        "work_bytes": 10e6 * slower,
                    }
                ]
            }
            for name, took in seconds.items()
        }
        if case.name == NIGHTLY:
            # Slower still than the whole run, of which it is to be a part.
            contenders[ONE_NEW]["runs"][0]["seconds"] *= slower
        found[case.name] = {"jobs": case.jobs, "bytes": 100e6, "contenders": contenders}
    return {"jobs": JOBS, "cases": found}


def test_all_are_reached_or_none() -> None:
    assert {said for *_, said in verdicts(results())[1:]} == {"reached"}
    assert {said for *_, said in verdicts(results(slower=4))[1:]} == {"**not reached**"}
    assert len(verdicts(results())) == 1 + len(TARGETS)


def test_a_marginal_time_is_that_of_the_further_jobs() -> None:
    assert Figures(results()).marginal(WHOLE, "few", "few, fourfold") == pytest.approx(3e-6)
    assert Figures(results()).ratio("few, twice", WHOLE, FLOOR) == pytest.approx(4)


def test_what_was_not_measured_is_not_reached() -> None:
    some = results()
    del some["cases"]["single"], some["cases"]["few, twice"]["contenders"][DUCKDB]
    found = {name: said for name, *_, said in verdicts(some)[1:]}
    assert [name for name, said in found.items() if said == "not measured"] == [
        "2,000,000 jobs: whole run / DuckDB",
        "5,000,000 jobs in one archive: memory, GB",
    ]


def test_other_sizes_have_no_verdict() -> None:
    assert {said for *_, said in verdicts({**results(), "jobs": 1000})[1:]} == {f"set for JOBS={JOBS}"}
