"""The results of the ready queries, and the formats they are written in."""

from __future__ import annotations

import csv
import io
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import psycopg2

from grt_batch.core.errors import NoTable, QueryFailed
from grt_batch.queries.definitions import Query
from grt_batch.schema.escapes import escape
from grt_batch.schema.figures import without_exponent
from grt_batch.schema.tool_ids import TOOL_ID, TOOL_VERSION, Tool
from grt_batch.sinks.connection import reading
from grt_batch.sinks.schema import SCHEMA

_MISSING = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(%s || name) IS NULL"


_WIDEST = 100
"""The longest cell in a table for people; values of parameters may be whole files."""


@dataclass(frozen=True)
class Answer:
    """The rows that a query returned, with the values as psycopg2 gives them."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    milliseconds: float


def tables_of(query: Query) -> list[str]:
    """Return the published tables that a query reads."""
    return list(dict.fromkeys(re.findall(rf"\b{SCHEMA}\.(\w+)", query.sql)))


def ask(url: str, query: Query, values: Mapping[str, Any], show: Callable[[str], None] = lambda sql: None) -> Answer:
    """Run a query in a read-only transaction, which sees the tables of one run.

    `show` receives the SQL before it is sent. Raise DatabaseUnreadable if the database cannot be reached, NoTable if no
    run has published a table that the query reads, and QueryFailed for any other error of the database.
    """
    with reading(url) as link, link.cursor() as cursor:
        try:
            cursor.execute(_MISSING, (tables_of(query), f"{SCHEMA}."))
            missing = [name for (name,) in cursor.fetchall()]
            if missing:
                raise NoTable(query=query.name, tables=", ".join(missing))
            statement = cursor.mogrify(query.sql, dict(values))
            show(statement.decode())
            begun = time.perf_counter()
            cursor.execute(statement)
            rows = cursor.fetchall()
        except psycopg2.Error as error:
            raise QueryFailed(query=query.name, what=error) from None
        return Answer([column.name for column in cursor.description], rows, 1000 * (time.perf_counter() - begun))


def with_ids(answer: Answer, shown: Callable[[Iterable[Tool]], Mapping[Tool, str]]) -> Answer:
    """Return an answer with the ids of its tools as `shown` gives them: `told_apart` or `without_shed`."""
    if TOOL_ID not in answer.columns:
        return answer
    records = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    tools = [Tool(str(record[TOOL_ID]), cell_text(record.get(TOOL_VERSION))) for record in records]
    ids, place = shown(tools), answer.columns.index(TOOL_ID)
    rows = [
        row if row[place] is None else (*row[:place], ids[tool], *row[place + 1 :])
        for tool, row in zip(tools, answer.rows, strict=True)
    ]
    return replace(answer, rows=rows)


def as_table(answer: Answer) -> tuple[list[str], list[list[str]]]:
    """Return titles and cells for people: numbers are rounded, texts but for ids shortened, and control characters
    escaped."""
    rows = (zip(answer.columns, row, strict=True) for row in answer.rows)
    return answer.columns, [[_visible(_shortened(column, _rounded(value))) for column, value in row] for row in rows]


def as_tsv(answer: Answer) -> bytes:
    """Return TSV as the reports have it: a header, null is empty, tab and newline in a value are escaped."""
    lines = [answer.columns, *([cell_text(value) for value in row] for row in answer.rows)]
    return "".join("\t".join(map(escape, line)) + "\n" for line in lines).encode()


def as_csv(answer: Answer) -> bytes:
    """Return CSV as in RFC 4180, with a header; null is empty."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([answer.columns, *([cell_text(value) for value in row] for row in answer.rows)])
    return text.getvalue().encode()


def as_json(answer: Answer) -> bytes:
    """Return a JSON list with an object for each row. Decimals keep all their digits; times are in ISO 8601."""
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    return orjson.dumps(rows, default=_json, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def cell_text(value: Any) -> str:
    """Return a value with all its digits, as the reports write it: whole numbers without .0, times with a space between
    day and hour and six digits of a second."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case Decimal():
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case float():
            return without_exponent(str(value + 0.0).removesuffix(".0"))
        case dict() | list():
            return orjson.dumps(value, default=_json).decode()
    return str(value)


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(cell_text(value)) if value.is_finite() else None
    return str(value)


def _rounded(value: Any) -> str:
    """Round fractions to four digits, or to their whole part if that is longer, and times to seconds."""
    match value:
        case datetime():
            return str(value.replace(microsecond=0))
        case float() | Decimal() if math.isfinite(value) and value % 1:
            return f"{value:.4g}" if -1000 < value < 1000 else f"{value:.0f}"
        case float() if math.isfinite(value):
            return f"{value:.0f}"
    return cell_text(value)


def _shortened(column: str, text: str) -> str:
    return text if column == TOOL_ID or len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _visible(text: str) -> str:
    text = escape(text)
    signs = (sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return text if text.isprintable() else "".join(signs)
