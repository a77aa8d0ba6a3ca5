"""What the pages say of each tool, over all instances: the rows of its tables, put together by tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from grt_batch.pages.json_text import RAW, lists
from grt_batch.pages.report_tables import ReportTables
from grt_batch.schema.records import ALL_VERSIONS
from grt_batch.schema.tool_ids import SHED_ID, TOOL_ID, TOOL_VERSION, WITHOUT_VERSION, Tool, told_apart

_OF_VERSIONS = {"runtime_seconds": "runtime", "memory_bytes": "memory"}
"""The metrics that are shown of each version."""

_FINISHED = ("ok", "error")
"""The states that are counted by month."""

HISTOGRAMS = ("runtime_seconds", "memory_bytes", "cpu_seconds")

PARAMS, VALUES, VALUE_CHARACTERS, MONTHS = 6, 5, 60, 36
"""How many parameters of a tool, and values of each, its page shows; how long a value; how many months."""

EVERY_VERSION = {TOOL_VERSION: (ALL_VERSIONS,)}
ALL_TIME = {"period": ("all",)}

_EVERY_VERSION = pl.col(TOOL_VERSION) == ALL_VERSIONS
_ALL_TIME = pl.col("period") == "all"

USAGE = ("jobs", "ok", "error", "other", "error_rate", "oom", "instances", "core_hours", "first_job", "last_job")
METRIC = ("metric", "n", "mean", "p50", "p95", "p99", "maximum")
BIN = ("low", "high", "jobs")
INPUT = ("low", "high", "jobs", "error", "runtime_p50", "runtime_p95", "memory_p50", "memory_p95", "memory_max")
VERSION = ("jobs", "error_rate", "runtime_p50", "runtime_p95", "memory_p50", "memory_p95", "last_job")
MONTH = ("month", *_FINISHED)
PARAM = ("name", "jobs", "distinct_values", "values")
VALUE = ("value", "jobs", "error")


@dataclass(frozen=True)
class ToolPages:
    """The tools in the order of their ids, `label` what a person reads of an id; and what the page of each shows, by
    its id: lists of the columns that are named above, as JSON."""

    overview: pl.DataFrame
    pages: dict[str, dict[str, str]]


def tool_pages(tables: ReportTables) -> ToolPages:
    """Put together what the tables say of each tool over all instances."""
    usage = tables.rows("tool_usage", of_all=True, columns=(TOOL_ID, TOOL_VERSION, "period", "likely_broken", *USAGE))
    wanted = (ALL_TIME | EVERY_VERSION, ALL_TIME | {"metric": tuple(_OF_VERSIONS)})
    metrics = tables.rows("tool_metric", *wanted, of_all=True, columns=(TOOL_ID, TOOL_VERSION, *METRIC))
    ids = usage.filter(_EVERY_VERSION, _ALL_TIME)[TOOL_ID].to_list()
    pages: dict[str, dict[str, str]] = {tool_id: {} for tool_id in ids}
    parts = {
        "usage": usage.filter(_EVERY_VERSION).select(TOOL_ID, "period", *USAGE),
        "metrics": metrics.filter(_EVERY_VERSION).select(TOOL_ID, *METRIC),
        "histograms": _histograms(tables),
        "inputs": tables.rows("tool_input", EVERY_VERSION, of_all=True, columns=(TOOL_ID, *INPUT)),
        "versions": _versions(usage, metrics),
        "months": _months(tables),
        "params": _params(tables),
    }
    for name, rows in parts.items():
        for tool_id, text in lists(rows, (TOOL_ID,)).iter_rows():
            if tool_id in pages:
                pages[tool_id][name] = text
    return ToolPages(_overview(usage, metrics), pages)


def _overview(usage: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each tool."""
    everything = usage.filter(_EVERY_VERSION, _ALL_TIME).drop("period", TOOL_VERSION)
    recent = usage.filter(_EVERY_VERSION, pl.col("period") == "30d")
    recent = recent.select(TOOL_ID, jobs_30d="jobs", error_rate_30d="error_rate", broken_30d="likely_broken")
    found = everything.join(recent, on=TOOL_ID, how="left")
    for metric, column, name in (("runtime_seconds", "p50", "runtime_p50"), ("memory_bytes", "p95", "memory_p95")):
        found = found.join(_metric(metrics.filter(_EVERY_VERSION), metric, (TOOL_ID,), {name: column}), TOOL_ID, "left")
    labels = told_apart(Tool(tool_id) for tool_id in found[TOOL_ID])
    return found.with_columns(
        pl.Series("label", [labels[Tool(tool_id)] for tool_id in found[TOOL_ID]], pl.String)
    ).sort(TOOL_ID)


def _metric(metrics: pl.DataFrame, metric: str, key: Sequence[str], columns: dict[str, str]) -> pl.DataFrame:
    """Return columns of one metric, by their new names."""
    renamed = (pl.col(column).alias(name) for name, column in columns.items())
    return metrics.filter(pl.col("metric") == metric).select(*key, *renamed)


def _histograms(tables: ReportTables) -> pl.DataFrame:
    wanted = EVERY_VERSION | {"metric": HISTOGRAMS}
    return tables.rows("tool_histogram", wanted, of_all=True, columns=(TOOL_ID, "metric", *BIN))


def _versions(usage: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """Return the versions of each tool, the most used first."""
    key = (TOOL_ID, TOOL_VERSION)
    rows = usage.filter(~_EVERY_VERSION, _ALL_TIME)
    for metric, name in _OF_VERSIONS.items():
        percentiles = {f"{name}_{column}": column for column in ("p50", "p95")}
        rows = rows.join(_metric(metrics, metric, key, percentiles), on=key, how="left")
    rows = rows.sort(pl.col("jobs"), pl.col(TOOL_ID), pl.col(TOOL_VERSION), descending=(True, False, False))
    return rows.select(versionless(rows[TOOL_ID]), TOOL_VERSION, *VERSION)


def versionless(ids: pl.Series) -> pl.Series:
    """Return the ids of tools over all their versions."""
    different = ids.unique()
    return ids.replace_strict(different, different.str.replace(SHED_ID, WITHOUT_VERSION), return_dtype=pl.String)


def _months(tables: ReportTables) -> pl.DataFrame:
    """Return the finished jobs of each tool by month: of the instances that are shown, as tool_day has no others."""
    parts = tables.parts("tool_day", {"state": _FINISHED}, columns=(TOOL_ID, "day", "state", "jobs"), of_all=False)
    none = pl.DataFrame(schema={TOOL_ID: pl.String, "month": pl.String} | dict.fromkeys(_FINISHED, pl.Int64))
    rows = _added_up(pl.concat([none, *(_added_up(_by_month(days)) for days in parts)])).sort(TOOL_ID, "month")
    return rows.group_by(TOOL_ID, maintain_order=True).tail(MONTHS).select(TOOL_ID, *MONTH)


def _by_month(days: pl.DataFrame) -> pl.DataFrame:
    days = days.drop_nulls("day")
    jobs = (pl.when(pl.col("state") == state).then("jobs").otherwise(0).alias(state) for state in _FINISHED)
    return days.select(versionless(days[TOOL_ID]), pl.col("day").str.head(7).alias("month"), *jobs)


def _added_up(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(TOOL_ID, "month").agg(pl.col(_FINISHED).sum())


def _params(tables: ReportTables) -> pl.DataFrame:
    """Return the parameters of each tool that most jobs have, with their most used values."""
    key = (TOOL_ID, "name")
    most = (pl.col("jobs"), pl.col("name"))
    rows = tables.rows("param", EVERY_VERSION, columns=(*key, "jobs", "distinct_values", "listed_jobs"))
    # A parameter that only names datasets, or whose values none may see, says nothing.
    values = tables.rows("param_value", EVERY_VERSION, columns=(*key, *VALUE))
    rows = rows.join(values.select(key).unique(), on=key, how="semi")
    rows = rows.sort(*most, descending=(True, False)).group_by(TOOL_ID, maintain_order=True).head(PARAMS)
    values = values.join(rows, on=key, how="semi").sort("jobs", "value", descending=(True, False))
    values = values.group_by(key, maintain_order=True).head(VALUES)
    long = pl.col("value").str.len_chars() > VALUE_CHARACTERS
    shortened = pl.concat_str(pl.col("value").str.head(VALUE_CHARACTERS), pl.lit("…"))
    values = values.with_columns(pl.when(long).then(shortened).otherwise("value").alias("value"))
    rows = rows.join(lists(values.select(*key, *VALUE), key), on=key, how="left", maintain_order="left")
    return rows.select(TOOL_ID, *PARAM[:-1], RAW)
