"""The newest report set, as far as monitors need it: all they say of instances and archives was published there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from grt_batch.schema.escapes import ESCAPES

_WRITTEN = {escaped: character for character, escaped in ESCAPES.items()}


_ESCAPE = re.compile(r"\\[\\tnr]")


class Published:
    """The report set that was the newest when this was made. A table that it has not, has no rows."""

    def __init__(self, reports: Path) -> None:
        # Here, since it loads the library of columns, which the service does without as long as nobody asks.
        from grt_batch.sinks.report_set import LATEST, SUMMARY

        # Resolved once: all that is said is of one run.
        self.folder = (reports / LATEST).resolve()
        self.summary: dict[str, Any] = _object(self.folder / SUMMARY)

    def rows(self, table: str, *columns: str) -> Iterator[tuple[str, ...]]:
        """Yield these columns of a table as text, empty where they are null; no rows where it lacks one of them."""
        try:
            with (self.folder / f"{table}.tsv").open(encoding="utf-8", errors="replace", newline="\n") as lines:
                titles = next(lines, "").rstrip("\n").split("\t")
                places = _places(titles, columns)
                for line in lines if places else ():
                    cells = line.rstrip("\n").split("\t")
                    if len(cells) == len(titles):
                        yield tuple(_unescaped(cells[place]) for place in places)
        except OSError:
            return

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


def held(reports: Path) -> dict[str, Any] | None:
    """Return run.json of the last set that the gate holds back and no later run has settled, None if there is none."""
    from grt_batch.sinks.report_set import HELD, SUMMARY

    published = str(Published(reports).summary.get("started", ""))
    found = [_object(file) for file in (reports / HELD).glob(f"*/{SUMMARY}")]
    waiting = [summary for summary in found if str(summary.get("started", "")) > published]
    return max(waiting, key=lambda summary: str(summary["started"]), default=None)


def _object(file: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _places(titles: Sequence[str], columns: Sequence[str]) -> list[int]:
    return [titles.index(column) for column in columns] if set(columns) <= set(titles) else []


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _WRITTEN[found[0]], text) if "\\" in text else text
