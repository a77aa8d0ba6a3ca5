"""The status of an instance: its uploads against a quota and a limit of freshness, and the bias of its export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build import examples
from by_hand import counted_of, records
from hypothesis import given
from hypothesis import strategies as st

from grt_batch.core.config import Config
from grt_batch.core.config_values import Level
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, State
from grt_batch.ledger.people import Person
from grt_batch.modules.base import concat_instances
from grt_batch.modules.reports.instances import INSTANCE_OWNER, INSTANCE_STATUS, Instances
from grt_batch.uploads.metadata import InstanceMetadata, Report
from grt_batch.uploads.scan import Archive

AS_OF = date(2024, 6, 30)
DAY = 86400
NOON = Decimal(1719748800)
"""The as-of day at 12:00 UTC, in Unix seconds."""

Made = tuple[float | None, int]
"""An archive: how many days before NOON it was made (None: it does not say), and its bytes."""


def archive(ago: float | None, size: int, state: State | None = None) -> ArchiveEntry:
    state = state or (State.INCOMPLETE if ago is None else State.PUBLISHED)
    generated = None if ago is None else NOON - Decimal(str(ago)) * DAY
    report = None if generated is None else Report(3, generated, None, None, None, None, {}, {})
    return ArchiveEntry(Archive("a", str(generated or 1), Path("a.tar.gz"), size, (0, 0, 0), report), state)


def status(
    archives: Sequence[ArchiveEntry | Made], jobs: Sequence[dict[str, Any]] = (), **config: Any
) -> dict[str, Any]:
    """The row of an instance with these archives, oldest first, and jobs."""
    module = Instances()
    partial = concat_instances(module.cubes, {"a": counted_of(module, records(jobs))})
    entries = tuple(item if isinstance(item, ArchiveEntry) else archive(*item) for item in archives)
    ledger = Ledger(AS_OF, Config(**config), (InstanceEntry("a", InstanceMetadata(), entries),))
    rows = module.all_rows(partial, ledger)
    for table in module.tables:
        table.frame(rows[table.name])
    (row,) = INSTANCE_STATUS.frame(rows[INSTANCE_STATUS.name]).rows(named=True)
    return dict(row)


def owner_rows(owners: Sequence[str], people: dict[str, Person]) -> list[tuple[str | None, ...]]:
    """Owner, name and mail of an instance with these owners, where this is known of people."""
    module = Instances()
    partial = concat_instances(module.cubes, {"a": counted_of(module, records([]))})
    entry = InstanceEntry("a", InstanceMetadata(owners=tuple(owners)), (), people)
    frame = INSTANCE_OWNER.frame(module.instance_rows(partial, [entry])[INSTANCE_OWNER.name])
    return frame.select("owner", "name", "mail").rows()


def job(day: date | None = AS_OF, **flags: bool) -> dict[str, Any]:
    plain = {"non_terminal": False, "without_metrics": False, "implausible": False}
    return {"day": day, "tool_id": "cut", "state": "ok", **plain, **flags}


def test_an_owner_has_what_the_directory_knows_and_the_address_that_is_said() -> None:
    people = {"jane": Person("Jane Doe", "jane@x.org"), "Al <al@x.org>": Person("Al", "other@x.org")}
    assert owner_rows(["jane", "bo", "Al <al@x.org>", "jane", " "], people) == [
        ("Al <al@x.org>", "Al", "al@x.org"),
        ("bo", None, None),
        ("jane", "Jane Doe", "jane@x.org"),
    ]
    assert owner_rows(["jane", "al@x.org"], {}) == [("al@x.org", None, "al@x.org"), ("jane", None, None)]
    assert owner_rows([], {}) == []


def test_the_bias_of_the_export_is_told_in_shares_of_the_jobs() -> None:
    jobs = [job(), job(None, non_terminal=True), job(without_metrics=True), job(date(2020, 1, 1), without_metrics=True)]
    jobs += [job(implausible=True, without_metrics=True), job(), job(date(2024, 6, 23)), job(date(2024, 5, 31))]
    row = status([(0, 100)], jobs)
    assert (row["jobs"], row["jobs_7d"], row["jobs_30d"]) == (8, 4, 5)
    assert (row["non_terminal"], row["without_metrics"], row["implausible"]) == (1 / 8, 3 / 8, 1 / 8)


def test_without_jobs_there_are_no_shares() -> None:
    row = status([(0, 100)])
    assert (row["jobs"], row["jobs_7d"], row["jobs_30d"]) == (0, 0, 0)
    assert (row["non_terminal"], row["without_metrics"], row["implausible"]) == (None, None, None)


@pytest.mark.parametrize(
    ("archives", "growth"),
    [
        pytest.param([(10, 50), (5, 50), (0, 50)], 10, id="three archives"),
        pytest.param([(9, 10), (6, 30), (3, 60), (0, 0)], 11, id="four archives"),
        pytest.param([(8, 1), (8, 9), (4, 20), (0, 20)], 247 / 44, id="two archives of one moment"),
        pytest.param([(5000, 9), (90.001, 9000), (90, 1), (45, 450), (0, 450)], 10, id="one is too old by a minute"),
        pytest.param([(500, 9), (410, 1), (400, 30), (340, 0)], 0.18, id="before the last archive, not the as-of day"),
        pytest.param([(None, 1000), (10, 1), (5, 25), (0, 25)], 5, id="an archive without a date"),
        pytest.param([(10, 50), (5, 50), (0, 50), (-2, 9)], 10, id="an archive of the days to come"),
        pytest.param([(20, 5), (10, 0), (0, 0)], 0, id="no growth"),
    ],
)
def test_the_prediction_is_the_growth_of_the_last_90_days(archives: list[Made], growth: float) -> None:
    row = status(archives)
    size = sum(size for _, size in archives)
    assert row["bytes"] == size
    assert (row["predicted_3d"], row["predicted_7d"]) == (size + int(3 * growth), size + int(7 * growth))


@pytest.mark.parametrize(
    ("agos", "ahead"),
    [
        pytest.param([], (), id="no archive"),
        pytest.param([5], (), id="one archive"),
        pytest.param([50, 0], (), id="two days"),
        pytest.param([50, 0.2, 0.1, 0], (), id="two days, of one several archives"),
        pytest.param([0.0001 * i for i in range(9, 0, -1)], (), id="nine archives within a quarter of an hour"),
        pytest.param([2, 1, 0], (), id="three days, but no three from first to last"),
        pytest.param([2.9999, 1, 0], (), id="nearly three days"),
        pytest.param([3, 1, 0], (3,), id="three days"),
        pytest.param([3.5, 1.5, 0.6, 0.5], (3,), id="three days around midnight"),
        pytest.param([6.999, 1, 0], (3,), id="nearly seven days"),
        pytest.param([7, 6, 0], (3, 7), id="seven days"),
        pytest.param([None, 7, 0], (), id="an archive without a date is of no day"),
        pytest.param([150, 140, 3, 1, 0], (3,), id="only the last 90 days are a ground"),
        pytest.param([95, 4, 0], (), id="of which two days are left"),
    ],
)
def test_a_prediction_needs_three_days_and_a_span_as_long_as_it_looks_ahead(
    agos: list[float | None], ahead: tuple[int, ...]
) -> None:
    row = status([(ago, 1000) for ago in agos])
    assert tuple(days for days in (3, 7) if row[f"predicted_{days}d"] is not None) == ahead


def test_how_far_back_the_growth_is_measured_is_configured() -> None:
    archives = [(300, 0), (100, 1000), (50, 0), (0, 100)]
    assert status(archives, prediction_days=99)["predicted_7d"] is None
    assert status(archives, prediction_days=100)["predicted_7d"] == 1107
    assert status(archives, prediction_days=300)["predicted_7d"] > 1107


def test_archives_in_quarantine_take_room_too() -> None:
    archives = [archive(10, 100), archive(5, 0), archive(0, 50, State.QUARANTINED), archive(None, 7, State.INCOMPLETE)]
    row = status(archives)
    assert (row["archives"], row["bytes"], row["predicted_3d"]) == (4, 157, 157 + 15)


@examples(100)
@given(made=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 10**12)), min_size=2, max_size=9))
def test_the_growth_is_the_slope_of_least_squares(made: list[Made]) -> None:
    made = sorted(made, key=lambda item: -(item[0] or 0))
    days, sizes = [-(ago or 0) for ago, _ in made], np.cumsum([size for _, size in made])
    row = status(made)
    if len(set(days)) < 3 or days[-1] - days[0] < 7:
        assert row["predicted_7d"] is None
        return
    slope = np.polyfit(days, sizes, 1)[0]
    assert row["predicted_7d"] - row["bytes"] == pytest.approx(max(0.0, 7 * slope), rel=1e-6, abs=1.1)


def test_without_a_prediction_the_bytes_of_now_are_at_a_level() -> None:
    """Nine archives within eight seconds, and three of three days that do not reach seven days ahead."""
    moments = [(0.0001 - 0.00001 * i, 80) for i in range(9)]
    assert [status(moments, quota_bytes=quota)["warning"] for quota in (720, 899, 900)] == [3, 3, 1]
    days = [(4, 300), (2, 200), (0, 200)]
    row = status(days, quota_bytes=1000, warning_levels=(Level(2, 3, 0.9), Level(3, 7, 0.9)))
    assert (row["predicted_3d"], row["predicted_7d"], row["warning"]) == (1000, None, 2)
    assert status(days, quota_bytes=777, warning_levels=(Level(3, 7, 0.9),))["warning"] == 3


@pytest.mark.parametrize(
    ("size", "growth", "warning"),
    [
        (800, 0, 1),
        (801, 0, 3),
        (700, 10, 1),  # 730 and 770
        (780, 10, 3),  # 810 in 3 days: over 0.80
        (771, 10, 3),  # 801 in 3 days
        (770, 10, 1),  # 800 in 3 days, 840 in 7: at the first limit, below the second
        (740, 20, 2),  # 800 in 3 days, 880 in 7: over 0.85
        (650, 42, 2),  # 776 in 3 days, 944 in 7
        (600, 51, 3),  # 753 in 3 days, 957 in 7: over 0.95
    ],
)
def test_lurges_levels(size: int, growth: int, warning: int) -> None:
    row = status([(10, size - 10 * growth), (5, 5 * growth), (0, 5 * growth)], quota_bytes=1000)
    assert (row["predicted_3d"], row["predicted_7d"]) == (size + 3 * growth, size + 7 * growth)
    assert (row["quota_bytes"], row["warning"]) == (1000, warning)


def test_a_limit_is_what_is_written() -> None:
    levels = (Level(2, 0, 0.29),)
    # 0.29 * 100 is 28.999999999999996.
    assert status([(0, 29)], quota_bytes=100, warning_levels=levels)["warning"] == 1
    assert status([(0, 30)], quota_bytes=100, warning_levels=levels)["warning"] == 2


def test_without_a_quota_bytes_warn_of_nothing() -> None:
    row = status([(0, 10**15)], quotas={"b": 1})
    assert (row["quota_bytes"], row["warning"]) == (None, 1)
    assert status([(0, 10**15)], quota_bytes=1, quotas={"a": 0})["warning"] == 1


@pytest.mark.parametrize(
    ("ago", "limit", "silent", "warning"),
    [
        (0, 35, 0, 1),
        (-1, 35, 0, 1),
        (-3, 35, None, 1),
        (0.5, 35, 0, 1),
        (35, 35, 35, 1),
        (36, 35, 36, 2),
        (70, 35, 70, 2),
        (71, 35, 71, 3),
        (2, 1, 2, 2),
        (3, 1, 3, 3),
        (5000, 0, 5000, 1),
        (None, 1, None, 1),
    ],
)
def test_silence(ago: float | None, limit: int, silent: int | None, warning: int) -> None:
    row = status([(ago, 10)], fresh_days=limit)
    assert (row["days_silent"], row["warning"]) == (silent, warning)


def test_the_worse_of_quota_and_silence_counts() -> None:
    level_2, level_3 = (Level(2, 0, 0.5),), (Level(3, 0, 0.5),)
    assert status([(40, 10)], quota_bytes=11, warning_levels=level_3)["warning"] == 3
    assert status([(80, 10)], quota_bytes=11, warning_levels=level_2)["warning"] == 3
    assert status([(40, 10)], quota_bytes=100, warning_levels=level_3)["warning"] == 2


def test_the_last_archive_is_the_newest_of_any_state() -> None:
    assert status([archive(50, 10), archive(4, 10, State.QUARANTINED)])["days_silent"] == 4
