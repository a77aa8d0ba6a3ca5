"""What has changed since last month, and what is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from grt_batch.modules.base import INSTANCE
from grt_batch.pages.report_tables import ReportTables
from grt_batch.pages.tools import EVERY_VERSION, ToolPages
from grt_batch.schema.records import ALL_VERSIONS
from grt_batch.schema.tool_ids import TOOL_ID, TOOL_VERSION

MOST = 500
"""The most rows of a table in a page; the set has all of them."""

_DAYS = 30

_RECENT = pl.col("period") == "30d"

_FAILING = 0.2
_FINISHED = 20
"""A tool is listed as failing often from this error rate on, of at least so many finished jobs."""

Table = dict[str, Any]
"""A table of a page: caption, columns with their kinds, rows, and how they are sorted."""

Named = Callable[[str], Sequence[str | None]]
"""An id, and what a person reads of it."""


def table(
    caption: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]], sort: tuple[int, bool] | None
) -> Table:
    """Return a table of a page, cut at MOST rows, and saying so."""
    cut = f" (the first {MOST} of {len(rows)})" if len(rows) > MOST else ""
    return {"caption": caption + cut, "columns": columns, "rows": rows[:MOST], "sort": sort}


def changed_tools(tables: ReportTables, tool: Named, instance: Named) -> Table:
    """Return the tools whose error rate or runtime has changed, the greatest differences of error rates first."""
    columns = ("error_rate_before", "error_rate_after", "error_rate_change", "runtime_p50_before", "runtime_p50_after")
    rows = tables.rows(
        "tool_change", columns=(INSTANCE, TOOL_ID, TOOL_VERSION, "changed", *columns, "runtime_ratio", "jobs_after")
    )
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
        [
            (instance(instance_id), tool(tool_id), _version(version), changed.replace(" ", " and "), *rest)
            for instance_id, tool_id, version, changed, *rest in rows.iter_rows()
        ],
        None,
    )


def new_tools(tools: ToolPages, as_of: date, tool: Named) -> Table:
    """Return the tools that ran for the first time in the last 30 days."""
    first_day = (as_of - timedelta(_DAYS - 1)).isoformat()
    rows = tools.overview.filter(pl.col("first_job") >= first_day).sort("jobs", TOOL_ID, descending=(True, False))
    return table(
        "Tools that ran for the first time in the last 30 days",
        (("tool", "tool"), ("first job", "day"), ("jobs", "count"), ("error rate", "share")),
        [
            (tool(tool_id), *rest)
            for tool_id, *rest in rows.select(TOOL_ID, "first_job", "jobs", "error_rate").iter_rows()
        ],
        None,
    )


def idle_tools(tools: ToolPages, as_of: date, tool: Named) -> Table:
    """Return the tools that ran in the 30 days before, and no more since."""
    now, before = ((as_of - timedelta(days - 1)).isoformat() for days in (_DAYS, 2 * _DAYS))
    gone = pl.col("last_job").is_between(pl.lit(before), pl.lit(now), closed="left")
    rows = tools.overview.filter(gone).sort("jobs", TOOL_ID, descending=(True, False))
    return table(
        "Tools that ran in the 30 days before, and not since",
        (("tool", "tool"), ("last job", "day"), ("jobs in all", "count")),
        [(tool(tool_id), *rest) for tool_id, *rest in rows.select(TOOL_ID, "last_job", "jobs").iter_rows()],
        None,
    )


def instance_changes(tables: ReportTables, as_of: date, instance: Named) -> Table:
    """Return the jobs of each instance in the last whole month and the one before."""
    last = as_of.replace(day=1) - timedelta(1)
    months = [(last.replace(day=1) - timedelta(1)).isoformat()[:7], last.isoformat()[:7]]
    rows = tables.rows("instance_month", pl.col("month").is_in(months), columns=(INSTANCE, "month", "jobs", "error"))
    by_month = {(instance_id, month): (jobs, error) for instance_id, month, jobs, error in rows.iter_rows()}
    found = []
    for instance_id in sorted({instance_id for instance_id, _ in by_month}):
        before, now = (by_month.get((instance_id, month), (0, 0)) for month in months)
        found.append((instance(instance_id), before[0], now[0], now[0] / before[0] if before[0] else None, now[1]))
    return table(
        f"Jobs by instance in {months[1]}, against {months[0]}",
        (
            ("instance", "instance"),
            (f"jobs in {months[0]}", "count"),
            (f"in {months[1]}", "count"),
            ("ratio", "ratio"),
            (f"failed in {months[1]}", "count"),
        ),
        found,
        (2, True),
    )


def broken_tools(tables: ReportTables, tool: Named, instance: Named) -> Table:
    """Return the tools that hardly ever succeed, in the last 30 days, of all instances together and of each."""
    return _failing(
        "Likely broken: more than 4 finished jobs in the last 30 days, and over 95 % of them failed",
        tables,
        (pl.col("likely_broken"),),
        tool,
        instance,
    )


def failing_tools(tables: ReportTables, tool: Named, instance: Named) -> Table:
    """Return the tools that fail often."""
    where = (
        ~pl.col("likely_broken").fill_null(value=False),
        pl.col("error_rate") >= _FAILING,
        pl.col("ok") + pl.col("error") >= _FINISHED,
    )
    caption = f"At least {_FAILING:.0%} of {_FINISHED} or more finished jobs failed in the last 30 days"
    return _failing(caption.replace("%", " %"), tables, where, tool, instance)


def _failing(caption: str, tables: ReportTables, where: Sequence[pl.Expr], tool: Named, instance: Named) -> Table:
    columns = (INSTANCE, TOOL_ID, "error", "ok", "error_rate", "oom", "last_job")
    rows = tables.rows("tool_usage", EVERY_VERSION, _RECENT, *where, columns=columns)
    rows = rows.sort("error", INSTANCE, TOOL_ID, descending=(True, False, False))
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
        [(instance(instance_id), tool(tool_id), *rest) for instance_id, tool_id, *rest in rows.iter_rows()],
        (2, True),
    )


def _version(version: str) -> str:
    return "all" if version == ALL_VERSIONS else version
