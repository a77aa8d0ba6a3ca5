"""The last published run, by its run.json and the tables `archive` and `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson
from psycopg2 import sql

from grt_batch.core.errors import NothingPublished
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.pipeline.request import BACKFILLED
from grt_batch.sinks.connection import reading
from grt_batch.sinks.report_file import rows_of
from grt_batch.sinks.report_set import SUMMARY
from grt_batch.sinks.schema import SCHEMA, is_current
from grt_batch.store.archive_index import ArchiveName

_COLUMNS = ("instance_id", "archive", "state", "reason", "sha256")


Row = Mapping[str, str]
"""A row of the table `archive`, with at least the columns _COLUMNS, as texts; null is empty."""


@dataclass(frozen=True)
class LastRun:
    """A run: its run.json, its rows of the table `archive`, and the id of the last run in the database."""

    summary: Mapping[str, Any]
    archives: Mapping[ArchiveName, Row]
    in_database: str | None

    @property
    def run_id(self) -> str:
        """Return the id of the run."""
        return str(self.summary["run_id"])

    @property
    def as_of(self) -> date:
        """Return the end of its windows."""
        return date.fromisoformat(self.summary["as_of"])


def last_run(reports: Path, url: str) -> LastRun:
    """Return the last run that published into `reports`, with the rows of `archive` in the reports or in the database.

    Raises NothingPublished and DatabaseUnreadable.
    """
    summaries = [summary for file in reports.glob(f"[0-9]*/{SUMMARY}") if (summary := _summary(file))]
    if not summaries:
        raise NothingPublished(reports=reports)
    summary = max(summaries, key=lambda summary: (summary["finished"], summary["run_id"]))
    archives = published_archives(reports / summary["as_of"])
    with reading(url) as link, link.cursor() as cursor:
        query = "SELECT run_id FROM {} ORDER BY finished DESC, run_id DESC LIMIT 1"
        runs = _rows(cursor, query, RUN.name) if is_current(cursor, RUN) else []
        query = f"SELECT {', '.join(_COLUMNS)} FROM {{}}"
        for row in _rows(cursor, query, ARCHIVE.name) if is_current(cursor, ARCHIVE) else ():
            archives[row[0], row[1]] = {name: value or "" for name, value in zip(_COLUMNS, row, strict=True)}
    return LastRun(summary, archives, runs[0][0] if runs else None)


def published_archives(folder: Path) -> dict[ArchiveName, Row]:
    """Return the rows of the table `archive` of a report set, none where they cannot be read."""
    rows = rows_of(folder / f"{ARCHIVE.name}.tsv", _COLUMNS)
    return {(row[0], row[1]): dict(zip(_COLUMNS, row, strict=True)) for row in rows}


def _summary(file: Path) -> Mapping[str, Any] | None:
    """Return a run.json, None for a damaged one, and for that of a backfill, which is in no database."""
    try:
        summary = orjson.loads(file.read_bytes())
        date.fromisoformat(summary["as_of"])
        texts = (summary["finished"], summary["run_id"], *summary["modules"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if summary.get("state") == BACKFILLED:
        return None
    return summary if all(isinstance(text, str) for text in texts) else None


def _rows(cursor: Any, query: str, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(sql.SQL(query).format(sql.Identifier(SCHEMA, table)))
    return list(cursor.fetchall())
