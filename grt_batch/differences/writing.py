"""Differences as text: a screen for people, and TSV and JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from grt_batch.core.wording import counted
from grt_batch.differences.report_sets import COUNTS, Differences
from grt_batch.differences.rows import CHANGED, ROWS

_SCREEN = 20
"""The rows that people are shown."""


_WIDEST = 60


_DIGITS = ".4g"


BY = ("row", "table")


def as_table(differences: Differences, by: str) -> tuple[Sequence[str], list[list[str]]]:
    """Return titles and cells for people: the worst rows, or how many rows of each table differ."""
    if by == "table":
        tables = differences.by_table()
        return ("table", *COUNTS), [[table, *(str(counts[what]) for what in COUNTS)] for table, counts in tables]
    titles = ("table", "row", "what", "column", "before", "after", "by")
    return titles, [[_shortened(cell) for cell in _shown(row)] for row in differences.records(_SCREEN)]


def summary(differences: Differences, by: str) -> str:
    """Return how many rows differ, and how many of them a table for people does not show."""
    rows = differences.rows.height
    tables = differences.by_table()
    if not rows:
        return "no row differs"
    totals = ", ".join(f"{sum(counts[what] for _, counts in tables)} {what}" for what in COUNTS)
    hidden = f"; the worst {_SCREEN} are shown" if by == "row" and rows > _SCREEN else ""
    what = f"{counted(rows, 'row')} of {counted(len(tables), 'table')} {'differs' if rows == 1 else 'differ'}"
    return f"{what} ({totals}){hidden}"


def as_tsv(differences: Differences, by: str = "row") -> Iterator[bytes]:
    """Yield all rows as lines of TSV, with a header. The texts of rows are those of their reports, escapes included."""
    if by == "table":
        titles, rows = as_table(differences, by)
        yield from (("\t".join(line) + "\n").encode() for line in (titles, *rows))
        return
    yield ("\t".join(ROWS.names()) + "\n").encode()
    for row in differences.records():
        numbers = {name: f"{row[name]:{_DIGITS}}" for name in ("ratio", "share")}
        cells = {**row, "key": _key(row["key"]), **numbers}
        yield ("\t".join(str(cell) for cell in cells.values()) + "\n").encode()


def as_json(differences: Differences, by: str) -> bytes:
    """Return all rows, or the counts of each table, as a JSON list of objects."""
    if by == "table":
        found: list[dict[str, Any]] = [{"table": table, **counts} for table, counts in differences.by_table()]
    else:
        found = list(differences.records())
    return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _key(key: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())


def _shown(row: dict[str, Any]) -> Iterator[str]:
    changed = row["what"] == CHANGED
    yield from (row["table"], " ".join(value or "''" for value in row["key"].values()), row["what"])
    more = f" (+{row['columns'] - 1})" if row["columns"] > 1 else ""
    yield from (f"{row['column']}{more}", row["before"], row["after"])
    yield f"{100 * row['ratio']:.3g} %" if changed else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
