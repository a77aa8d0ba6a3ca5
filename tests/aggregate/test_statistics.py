"""Statistics of distributions, against plain Python; tests of the module `metrics` look at units and ratios."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import polars as pl
import pytest
from build import examples
from by_hand import counted_of, records
from hypothesis import given

from grt_batch.aggregate.statistics import BOUNDS_SCALE, Measured, histogram, statistics
from grt_batch.core.config import Config
from grt_batch.kernels import sketch
from grt_batch.ledger.ledger import Ledger
from grt_batch.modules.base import Module, Partial, concat_instances
from grt_batch.modules.helpers import measured_everywhere
from grt_batch.schema.records import Job
from tests.aggregate.test_distributions import JOBS, USED, Row, columns


@examples(60)
@given(jobs=JOBS)
def test_what_follows_is_what_python_finds(jobs: list[Row]) -> None:
    rows = statistics(Measured.of(USED, USED.add(columns(jobs))), (50,))
    groups: dict[tuple[str, date | None, str], list[Fraction]] = {}
    for job in jobs:
        for name, field in (("runtime", Job.runtime), ("memory", Job.memory)):
            if job["state"] == "ok" and job[name] is not None:
                key = job["tool_id"] or "", job["day"], name
                groups.setdefault(key, []).append(Fraction(job[name], field.one))
    found = {(row["tool_id"], row["day"], row["metric"]): row for row in rows.iter_rows(named=True)}
    assert {key for key in found if key[2] != "share"} == groups.keys()
    for key, values in groups.items():
        row = found[key]
        assert (row["n"], Fraction(row["total"])) == (len(values), sum(values))
        assert (Fraction(row["minimum"]), Fraction(row["maximum"])) == (min(values), max(values))
        assert row["mean"] == pytest.approx(float(sum(values) / len(values)), rel=1e-15)
        assert row["p50"] == pytest.approx(float(sorted(values)[(len(values) - 1) // 2]), rel=0.008, abs=0)


def test_bins_of_a_histogram_hold_all_values() -> None:
    job = {"tool_id": "a", "day": None, "state": "ok"}
    found = Measured.of(USED, USED.add(columns([{**job, "memory": value} for value in (0, 5, 6, 7, 1000)])))
    bins = histogram(found, ("memory",), 0).select("low", "high", "jobs").rows()
    one = 10**BOUNDS_SCALE
    assert bins == [(0, one, 1), (4 * one, 8 * one, 3), (512 * one, 1024 * one, 1)]


OF_VERSIONS = replace(USED, keys=(Job.tool_id, Job.tool_version))


class Used(Module):
    """How long do tools run?"""

    name = "used"
    cubes = OF_VERSIONS.cubes

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        return {"used": statistics(measured_everywhere(OF_VERSIONS, partial), (50, 95))}


def test_a_report_has_percentiles_by_declaring_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    tally = sketch.tally
    monkeypatch.setattr(sketch, "tally", lambda *arguments: calls.append(None) or tally(*arguments))
    module = Used()
    job = {"tool_id": "a", "state": "ok"}
    merged = {
        name: counted_of(module, records([{**job, "runtime": value} for value in values]))
        for name, values in {"one": [10**7, 3 * 10**7], "two": [5 * 10**7]}.items()
    }
    assert len(calls) == 2, "both cubes are counted at once"
    rows = module.rows(concat_instances(module.cubes, merged), Ledger(date(2024, 1, 1), Config(), ()))["used"]
    found = {
        row["instance_id"]: (row["n"], row["total"], row["p50"], row["p95"])
        for row in rows.filter(pl.col("tool_version").cast(pl.String) == "").to_dicts()
    }
    assert {name: (n, total) for name, (n, total, _, _) in found.items()} == {
        "one": (2, "4"),
        "two": (1, "5"),
        "*": (3, "9"),
    }
    assert found["*"][2:] == pytest.approx((3, 5), rel=0.008)
