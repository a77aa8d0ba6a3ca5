"""What the pages say of each instance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import polars as pl

from grt_batch.modules.base import INSTANCE
from grt_batch.pages.report_tables import ReportTables
from grt_batch.pages.tools import ALL_TIME, EVERY_VERSION
from grt_batch.schema.tool_ids import TOOL_ID

MONTHS = ("month", "jobs", "ok", "error", "other")
USERS = ("generated", "active", "total")
STATUS = (
    ("export", "text"),
    ("days silent", "count"),
    ("archives", "count"),
    ("size", "bytes"),
    ("quota", "bytes"),
    ("jobs", "count"),
    ("last 30 days", "count"),
    ("not finished", "share"),
    ("without metrics", "share"),
    ("implausible", "share"),
)
"""The columns of the table about an export, with their kinds."""

_STATUS = (
    "warning",
    "days_silent",
    "archives",
    "bytes",
    "quota_bytes",
    "jobs",
    "jobs_30d",
    "non_terminal",
    "without_metrics",
    "implausible",
)

WARNINGS = {1: "1: ok", 2: "2: kinda ok", 3: "3: not ok"}
"""The levels of instance_status, in words beside the number."""

_TOOLS = 50
"""How many of its tools the page of an instance lists."""


@dataclass(frozen=True)
class Instance:
    """An instance: its row of the table `instance`, and of `instance_status` the columns of STATUS."""

    instance_id: str
    row: dict[str, Any]
    status: list[Any]
    late: bool

    @property
    def label(self) -> str:
        """What a person calls it."""
        return str(self.row["title"] or self.row["url"] or self.instance_id)


def instances(tables: ReportTables) -> list[Instance]:
    """Return the instances, in the order of their ids."""
    columns = (INSTANCE, "url", "title", "description", "latitude", "longitude", "last_generated", "jobs")
    rows = tables.rows("instance", columns=columns).to_dicts()
    status = {row[INSTANCE]: row for row in tables.rows("instance_status", columns=(INSTANCE, *_STATUS)).to_dicts()}
    found = []
    for row in rows:
        of_it = status.get(row[INSTANCE], {})
        level = of_it.get("warning")
        shown = [WARNINGS.get(level or 0), *(of_it.get(name) for name in _STATUS[1:])]
        found.append(Instance(row[INSTANCE], row, shown, late=(level or 0) > 1))
    return found


def instance_pages(tables: ReportTables, known: list[Instance], labels: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return what the page of each instance shows, by its id. `labels` are what a person reads of the tools' ids."""
    months = _by_instance(tables.rows("instance_month", columns=(INSTANCE, *MONTHS)))
    users = _by_instance(tables.rows("instance_users", columns=(INSTANCE, *USERS)))
    usage = tables.rows(
        "tool_usage",
        EVERY_VERSION | ALL_TIME,
        of_all=False,
        columns=(INSTANCE, TOOL_ID, "jobs", "error_rate", "core_hours"),
    )
    usage = usage.sort(INSTANCE, "jobs", TOOL_ID, descending=(False, True, False))
    tools = _by_instance(usage.group_by(INSTANCE, maintain_order=True).head(_TOOLS))
    return {
        each.instance_id: {
            "label": each.label,
            "url": each.row["url"],
            "description": each.row["description"],
            "status": [each.status],
            "months": months[each.instance_id],
            "users": users[each.instance_id],
            "tools": [((tool_id, labels.get(tool_id, tool_id)), *rest) for tool_id, *rest in tools[each.instance_id]],
        }
        for each in known
    }


def jobs_by_month(tables: ReportTables) -> pl.DataFrame:
    """Return the jobs of the instances that are shown, by month and state."""
    rows = tables.rows("instance_month", columns=MONTHS).drop_nulls("month")
    return rows.group_by("month").agg(pl.col("jobs", "ok", "error", "other").sum()).sort("month")


def _by_instance(rows: pl.DataFrame) -> defaultdict[str, list[tuple[Any, ...]]]:
    found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for instance_id, *rest in rows.iter_rows():
        found[instance_id].append(tuple(rest))
    return found
