"""Checks that another way gives our results: the time of a different result means nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from grt_batch.modules.registry import discover
from grt_batch.modules.reports.params import POPULAR

_LAST_DIGIT, _DERIVED = 4e-16, 1e-12
"""Relative errors of another way: of a division by a multiplication, and of some divisions or of a long sum."""
_EXACT_VALUES = POPULAR.least
"""The number of a parameter's values up to which we count each of them."""
_TOOL = ("tool_id", "tool_version")


@dataclass(frozen=True)
class Check:
    """What must agree in a table: the same keys with the same texts, and numbers within the relative error of the other
    way and what our column says of itself.

    Numbers of rows with the same key are summed. `only`, a column and a word, selects rows. `of` is the name of our
    table, if it differs.
    """

    key: tuple[str, ...]
    numbers: Mapping[str, float]
    texts: tuple[str, ...] = ()
    only: tuple[str, str] | None = None
    of: str | None = None


def _exact(*columns: str) -> dict[str, float]:
    return dict.fromkeys(columns, 0.0)


def _near(error: float, *columns: str) -> dict[str, float]:
    return dict.fromkeys(columns, error)


_STATES = _exact("jobs", "ok", "error", "other")
_HOURS = _near(_DERIVED, "core_hours", "cpu_hours")
_BYTES = _exact("input_bytes", "output_bytes")
CHECKS = {
    "tool": Check(_TOOL, {}, texts=("shed", "owner", "repository", "name")),
    "tool_day": Check(
        ("instance_id", "day", *_TOOL, "state"),
        _exact("jobs", "runtime_seconds", "core_seconds") | _BYTES | _near(_LAST_DIGIT, "cpu_seconds"),
    ),
    "tool_state": Check(("tool_id", "state"), _exact("jobs"), of="tool_day"),
    "tool_usage": Check(
        ("instance_id", "period", *_TOOL),
        _STATES | _HOURS | _exact("oom", "instances") | _near(_DERIVED, "error_rate"),
        texts=("likely_broken", "first_job", "last_job"),
    ),
    "tool_metric": Check(
        ("instance_id", "period", *_TOOL, "metric"),
        # The extremes of efficiencies have nine digits.
        _exact("n", "p50", "p95") | _near(1e-9, "total", "mean") | _near(5e-9, "minimum", "maximum"),
    ),
    # Where a bin begins is everybody's own affair.
    "tool_histogram": Check(("instance_id", *_TOOL, "metric"), _exact("jobs")),
    "tool_input": Check(
        ("instance_id", *_TOOL, "low"),
        _exact("high", "jobs", "error", "oom", "memory_max", "runtime_p50", "memory_p50"),
    ),
    "tool_extension": Check(("instance_id", *_TOOL, "type", "extension"), _exact("datasets", "bytes")),
    # Whether a median has changed may hang on the last percent of it; a rate does not.
    "tool_change": Check(
        ("instance_id", *_TOOL),
        _exact("jobs_before", "jobs_after", "error_before", "error_after") | _near(1e-9, "z", "p_value"),
        only=("changed", "error_rate"),
    ),
    "param": Check((*_TOOL, "name"), _exact("jobs", "naming_datasets", "distinct_values")),
    "param_value": Check((*_TOOL, "name", "value"), _exact("jobs", "ok", "error")),
    "instance_month": Check(("instance_id", "month"), _STATES | _HOURS | _BYTES | _exact("tools")),
    "instance_users": Check(("instance_id", "generated"), _exact("active", "total")),
    "instance_status": Check(
        ("instance_id",),
        _exact("archives", "bytes", "predicted_7d", "warning", "days_silent", "jobs", "jobs_7d", "jobs_30d")
        | _near(_DERIVED, "non_terminal", "without_metrics", "implausible"),
    ),
}


def differences(ours: Path, theirs: Path, table: str) -> list[str]:
    """Return the differences between a table of ours and theirs, one line each. Both are folders of TSV reports."""
    check = CHECKS[table]
    found, wanted = _comparable(theirs, table, check, ours), _comparable(ours, check.of or table, check, ours)
    wrong = [
        f"{table}: {len(rows)} rows are {what}, such as {rows.select(check.key).row(0)}"
        for what, rows in (
            ("missing", wanted.join(found, on=check.key, how="anti")),
            ("too many", found.join(wanted, on=check.key, how="anti")),
        )
        if len(rows)
    ]
    both = wanted.join(found, on=check.key, suffix=" of theirs")
    tolerances = _tolerances(check.of or table)
    for column, error in {**check.numbers, **dict.fromkeys(check.texts, 0.0)}.items():
        here, there = pl.col(column), pl.col(f"{column} of theirs")
        differ = here.ne_missing(there)
        if column in check.numbers:
            near = (here - there).abs() <= (error + tolerances[column]) * pl.max_horizontal(here.abs(), there.abs())
            differ &= ~near.fill_null(value=False)
        rows = both.filter(differ)
        if len(rows):
            key, (first, second) = rows.select(check.key).row(0), rows.select(here, there).row(0)
            wrong.append(
                f"{table}: {column} is {second!r} instead of {first!r} at {key}, and differs in {len(rows)} rows"
            )
    return wrong


def _tolerances(table: str) -> dict[str, float]:
    """Return how far from the exact number each column of a table of ours may be, relatively."""
    (found,) = (one for module in discover().values() for one in module.tables if one.name == table)
    return {column.name: column.tolerance for column in found.columns}


def _comparable(folder: Path, table: str, check: Check, ours: Path) -> pl.DataFrame:
    """Return the key and the compared columns; texts of the key are never null. Of parameters with so many values that
    ours may not be exact, no values are compared."""
    rows = _read(folder, table)
    if check.only:
        column, word = check.only
        rows = rows.filter(pl.col(column).str.contains(word, literal=True))
    if table == "param_value":
        few = _read(ours, "param").filter(pl.col("distinct_values").cast(pl.Int64) <= _EXACT_VALUES)
        rows = rows.join(few, on=check.key[:-1], how="semi", nulls_equal=True)
        rows = rows.with_columns(pl.col("value").map_elements(_canonical, return_dtype=pl.String))
    numbers = (pl.col(column).cast(pl.Float64) for column in check.numbers)
    rows = rows.with_columns(pl.col(check.key).fill_null(""), *numbers)
    sums = (pl.when(pl.col(column).count() > 0).then(pl.col(column).sum()) for column in check.numbers)
    return rows.group_by(check.key).agg(*sums, pl.col(check.texts).first())


def _read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_csv(folder / f"{table}.tsv", separator="\t", quote_char=None, infer_schema=False)


def _canonical(value: str) -> str:
    """Return JSON with sorted keys and plain numbers: programs write the same value differently."""
    try:
        return json.dumps(json.loads(value.replace("\\\\", "\\")), sort_keys=True)
    except ValueError:
        return value
