"""Results in InfluxDB's line protocol, as the exec plugin of Telegraf reads them.

A row is a line: the name of the query, its tags, its fields, and no time, so that Telegraf adds its own. Unless the
query says which columns are tags, texts and dates are; the others are fields. Null has no place in the protocol: such a
tag or field is left out. https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from grt_batch.core.errors import BadQueries
from grt_batch.queries.definitions import Query
from grt_batch.queries.results import Answer, cell_text

_KEY = str.maketrans({"\n": r"\n", "\r": r"\r", "\f": r"\f", "\t": r"\t"} | {sign: f"\\{sign}" for sign in ", ="})
_STRING = str.maketrans({"\n": r"\\n", "\r": r"\\r", "\f": r"\\f", '"': r"\"", "\\": r"\\"})
"""How signs are written. The ends of lines, which cannot be escaped, become a backslash and a letter."""


def as_influx(query: Query, answer: Answer) -> tuple[bytes, int]:
    """Return the lines, and how many rows have none, for want of a field.

    Raise BadQueries if a tag of the query is none of its columns.
    """
    unknown = set(query.tags) - set(answer.columns)
    if unknown:
        what = f"{query.name}: of its tags {', '.join(sorted(unknown))} is no column"
        raise BadQueries(file=query.file, what=what)
    rows = [list(zip(answer.columns, row, strict=True)) for row in answer.rows]
    tags = set(query.tags) or {column for row in rows for column, value in row if _is_tag(value)}
    lines = [line for row in rows if (line := _line(query.name, row, tags))]
    return "".join(lines).encode(), len(rows) - len(lines)


def _line(name: str, row: Iterable[tuple[str, Any]], tags: set[str]) -> str:
    keys, fields = [name], list[str]()
    for column, value in row:
        text = _key(cell_text(value)) if column in tags else _field(value)
        if text:
            (keys if column in tags else fields).append(f"{_key(column)}={text}")
    return f"{','.join(keys)} {','.join(fields)}\n" if fields else ""


def _is_tag(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, date) and not isinstance(value, datetime))


def _key(text: str) -> str:
    """Escape the key or the value of a tag, or the key of a field. A backslash at its end would escape what follows."""
    return text.rstrip("\\").translate(_KEY)


def _field(value: Any) -> str:
    """Return the value of a field, empty for null and what is no number. Times are seconds since 1970."""
    match value:
        case None:
            return ""
        case bool():
            return cell_text(value)
        case int():
            return f"{value}i"
        case float() | Decimal():
            return cell_text(value) if math.isfinite(value) else ""
        case datetime():
            return f"{math.floor((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())}i"
        case date():
            return _field(datetime(value.year, value.month, value.day))
    return f'"{cell_text(value).translate(_STRING)}"'
