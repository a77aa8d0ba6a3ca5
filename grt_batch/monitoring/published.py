"""The newest report set, as far as monitors need it: all they say of instances and archives was published there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson


class Published:
    """The report set that was the newest when this was made. A table that it has not, has no rows."""

    def __init__(self, reports: Path) -> None:
        # Here, since it loads the library of columns, which the service does without as long as nobody asks.
        from grt_batch.sinks.report_set import LATEST, SUMMARY

        # Resolved once: all that is said is of one run.
        self.folder = (reports / LATEST).resolve()
        self.summary: dict[str, Any] = _object(self.folder / SUMMARY)

    def rows(self, table: str, *columns: str) -> Iterator[tuple[str, ...]]:
        """Return these columns of a table as text, empty where they are null; no rows where it lacks one of them."""
        from grt_batch.sinks.report_file import rows_of

        return rows_of(self.folder / f"{table}.tsv", columns)

    def targets(self) -> dict[str, str | None]:
        """Return the targets of the run that made the set, and of those that it did not reach, why."""
        found = self.summary.get("targets")
        known = {name: it for name, it in found.items() if isinstance(it, dict)} if isinstance(found, dict) else {}
        return {name: None if it.get("state") == "published" else str(it.get("reason")) for name, it in known.items()}

    def seconds(self, key: str) -> float | None:
        """Return a time of run.json in Unix seconds, None where it is not there."""
        return moment(str(self.summary.get(key)))


def moment(text: str) -> float | None:
    """Return a time of a table or of run.json, which are in UTC, in Unix seconds; None for what is no time."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _object(file: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
