"""Differences as text: a screen for people, and TSV and JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from grt_batch.core.wording import counted
from grt_batch.differences.report_sets import COUNTS, Differences
from grt_batch.differences.rows import CHANGED, LEAST, ROWS
from grt_batch.schema.tool_ids import TOOL_ID, TOOL_VERSION, Tool, told_apart

_SCREEN = 20
"""The rows that people are shown."""


_WIDEST, _WIDEST_VALUE = 80, 20
"""The longest cells on a screen: that of the key, and those of values."""


_DIGITS = ".4g"


BY = ("row", "table")


def as_table(differences: Differences, by: str) -> tuple[Sequence[str], list[list[str]]]:
    """Return titles and cells for people: the worst rows, or how many rows of each table differ."""
    if by == "table":
        tables = differences.by_table()
        return ("table", *COUNTS), [[table, *(str(counts[what]) for what in COUNTS)] for table, counts in tables]
    rows = list(differences.records(_SCREEN))
    ids = told_apart(tool for row in rows if (tool := _tool(row["key"])))
    return ("table", "row", "what", "column", "before", "after", "by"), [list(_shown(row, ids)) for row in rows]


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


def _tool(key: Mapping[str, str]) -> Tool | None:
    return Tool(key[TOOL_ID], key.get(TOOL_VERSION)) if TOOL_ID in key else None


def _shown(row: Mapping[str, Any], ids: Mapping[Tool, str]) -> Iterator[str]:
    key, tool = row["key"], _tool(row["key"])
    if tool:
        key = {**key, TOOL_ID: ids[tool]}
    yield from (row["table"], _shortened(" ".join(value or "''" for value in key.values()), _WIDEST), row["what"])
    more = f" (+{row['columns'] - 1})" if row["columns"] > 1 else ""
    yield f"{row['column']}{more}"
    yield from (_shortened(row[side], _WIDEST_VALUE) for side in ("before", "after"))
    yield f"{100 * row['ratio']:.3g} %" if row["what"] == CHANGED and row["ratio"] > LEAST else ""


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
