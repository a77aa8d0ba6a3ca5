"""What has changed since last month, and what is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from grt_batch.modules.base import INSTANCE
from grt_batch.pages.report_tables import ReportTables
from grt_batch.pages.tools import EVERY_VERSION, ToolPages, versionless
from grt_batch.schema.records import ALL_VERSIONS
from grt_batch.schema.tool_ids import TOOL_ID, TOOL_VERSION

MOST = 500
"""The most rows of a table in a page; the set has all of them."""

_DAYS = 30

_RECENT = {"period": ("30d",)}

_FAILING = 0.2
_FINISHED = 20
"""A tool is listed as failing often from this error rate on, of at least so many finished jobs."""

Table = dict[str, Any]
"""A table of a page: caption, columns with their kinds, rows, and how they are sorted."""

Named = Callable[[str], Sequence[str | None]]
"""An id, and what a person reads of it."""


def table(
    caption: str,
    columns: Sequence[tuple[str, str]],
    rows: pl.DataFrame,
    named: Callable[..., Sequence[Any]],
    sort: tuple[int, bool] | None = None,
) -> Table:
    """Return a table of a page, whose rows `named` makes of those of a frame. It is cut at MOST rows, and says so."""
    cut = f" (the first {MOST} of {rows.height})" if rows.height > MOST else ""
    shown = [named(*row) for row in rows.head(MOST).iter_rows()]
    return {"caption": caption + cut, "columns": columns, "rows": shown, "sort": sort}


def changed_tools(tables: ReportTables, tool: Named, instance: Named) -> Table:
    """Return the tools whose error rate or runtime has changed, the greatest differences of error rates first."""
    columns = ("error_rate_before", "error_rate_after", "error_rate_change", "runtime_p50_before", "runtime_p50_after")
    rows = tables.rows(
        "tool_change", columns=(INSTANCE, TOOL_ID, TOOL_VERSION, "changed", *columns, "runtime_ratio", "jobs_after")
    )
    # A tool has one page for all its versions.
    rows = rows.with_columns(versionless(rows[TOOL_ID]))
    rows = rows.sort(pl.col("error_rate_change").abs(), descending=True, nulls_last=True, maintain_order=True)
    return table(
        "Error rate and median runtime, the last 30 days against the 30 days before",
        (
            ("instance", "instance"),
            ("tool", "tool"),
            ("version", "text"),
            ("changed", "text"),
            ("error rate before", "share"),
            ("now", "share"),
            ("change", "points"),
            ("runtime before", "seconds"),
            ("now", "seconds"),
            ("ratio", "ratio"),
            ("jobs now", "count"),
        ),
        rows,
        lambda instance_id, tool_id, version, changed, *rest: (
            instance(instance_id),
            tool(tool_id),
            _version(version),
            changed.replace(" ", " and ").replace("_", " "),
            *rest,
        ),
    )


def new_tools(tools: ToolPages, as_of: date, tool: Named) -> Table:
    """Return the tools that ran for the first time in the last 30 days."""
    first_day = (as_of - timedelta(_DAYS - 1)).isoformat()
    rows = tools.overview.filter(pl.col("first_job") >= first_day).sort("jobs", TOOL_ID, descending=(True, False))
    return table(
        "Tools that ran for the first time in the last 30 days",
        (("tool", "tool"), ("first job", "day"), ("jobs", "count"), ("error rate", "share")),
        rows.select(TOOL_ID, "first_job", "jobs", "error_rate"),
        lambda tool_id, *rest: (tool(tool_id), *rest),
    )


def idle_tools(tools: ToolPages, as_of: date, tool: Named) -> Table:
    """Return the tools that ran in the 30 days before, and no more since."""
    now, before = ((as_of - timedelta(days - 1)).isoformat() for days in (_DAYS, 2 * _DAYS))
    gone = pl.col("last_job").is_between(pl.lit(before), pl.lit(now), closed="left")
    rows = tools.overview.filter(gone).sort("jobs", TOOL_ID, descending=(True, False))
    return table(
        "Tools that ran in the 30 days before, and not since",
        (("tool", "tool"), ("last job", "day"), ("jobs in all", "count")),
        rows.select(TOOL_ID, "last_job", "jobs"),
        lambda tool_id, *rest: (tool(tool_id), *rest),
    )


def instance_changes(tables: ReportTables, as_of: date, instance: Named) -> Table:
    """Return the jobs of each instance in the last whole month and the one before."""
    last = as_of.replace(day=1) - timedelta(1)
    months = [(last.replace(day=1) - timedelta(1)).isoformat()[:7], last.isoformat()[:7]]
    rows = tables.rows("instance_month", {"month": months}, columns=(INSTANCE, "month", "jobs", "error"))
    of_month = [
        rows.filter(pl.col("month") == month).select(INSTANCE, pl.col("jobs", "error").name.suffix(suffix))
        for month, suffix in zip(months, ("_before", ""), strict=True)
    ]
    rows = of_month[0].join(of_month[1], on=INSTANCE, how="full", coalesce=True).fill_null(0).sort(INSTANCE)
    ratio = pl.when(pl.col("jobs_before") > 0).then(pl.col("jobs") / pl.col("jobs_before")).alias("ratio")
    return table(
        f"Jobs by instance in {months[1]}, against {months[0]}",
        (
            ("instance", "instance"),
            (f"jobs in {months[0]}", "count"),
            (f"in {months[1]}", "count"),
            ("ratio", "ratio"),
            (f"failed in {months[1]}", "count"),
        ),
        rows.select(INSTANCE, "jobs_before", "jobs", ratio, "error"),
        lambda instance_id, *rest: (instance(instance_id), *rest),
        (2, True),
    )


def recent_use(tables: ReportTables) -> pl.DataFrame:
    """Return the use of tools in the last 30 days, over all versions, of all instances together and of each."""
    columns = (INSTANCE, TOOL_ID, "error", "ok", "error_rate", "oom", "last_job", "likely_broken")
    return tables.rows("tool_usage", EVERY_VERSION | _RECENT, columns=columns)


def broken_tools(recent: pl.DataFrame, tool: Named, instance: Named) -> Table:
    """Return the tools that hardly ever succeed, of those of `recent_use`."""
    caption = "Likely broken: more than 4 finished jobs in the last 30 days, and over 95 % of them failed"
    return _failing(caption, recent.filter(pl.col("likely_broken")), tool, instance)


def failing_tools(recent: pl.DataFrame, tool: Named, instance: Named) -> Table:
    """Return the tools that fail often, of those of `recent_use`."""
    where = (
        ~pl.col("likely_broken").fill_null(value=False),
        pl.col("error_rate") >= _FAILING,
        pl.col("ok") + pl.col("error") >= _FINISHED,
    )
    caption = f"At least {_FAILING:.0%} of {_FINISHED} or more finished jobs failed in the last 30 days"
    return _failing(caption.replace("%", " %"), recent.filter(*where), tool, instance)


def _failing(caption: str, rows: pl.DataFrame, tool: Named, instance: Named) -> Table:
    return table(
        caption,
        (
            ("instance", "instance"),
            ("tool", "tool"),
            ("failed", "count"),
            ("ok", "count"),
            ("error rate", "share"),
            ("killed for memory", "count"),
            ("last job", "day"),
        ),
        rows.drop("likely_broken").sort("error", INSTANCE, TOOL_ID, descending=(True, False, False)),
        lambda instance_id, tool_id, *rest: (instance(instance_id), tool(tool_id), *rest),
        (2, True),
    )


def _version(version: str) -> str:
    return "all" if version == ALL_VERSIONS else version
