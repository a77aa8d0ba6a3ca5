"""The ready queries, a page at a time, and the parameters that a page has in a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grt_batch import __version__
from grt_batch.core.digest import digest
from grt_batch.queries.definitions import Query
from grt_batch.service.replies import Refused

FORMATS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
}
"""The formats of an answer, as `grt-batch query` writes them, and their media types."""


LAST_PAGE = 1_000_000


_FURTHEST = 2**31 - 1
"""PostgreSQL moves a cursor no further at a time, and no answer has more rows."""


OF_PAGES = ("page", "page_size")


OF_ANSWERS = ("format", *OF_PAGES)
"""Names in a URL that are no parameters of the query."""


@dataclass(frozen=True)
class Page:
    """The rows of a long answer from `begin` to before `end`."""

    number: int
    size: int

    @property
    def begin(self) -> int:
        """Return how many rows come before."""
        return (self.number - 1) * self.size

    @classmethod
    def parse(cls, given: Mapping[str, str], most: int) -> Page:
        """Return the page of the parameters `page` and `page_size`. Raises Refused."""
        return cls(_number(given, "page", 1, LAST_PAGE), _number(given, "page_size", most, most))


@dataclass(frozen=True)
class Question:
    """A query with the values of its parameters, the format of the answer, and a page of it."""

    query: Query
    values: Mapping[str, Any]
    form: str
    page: Page

    def tag(self, run_id: str, schema: str) -> str:
        """Return the ETag of the answer: as long as no other run has published, the answer is the same."""
        parts = (__version__, schema, self.query.sql, sorted(self.values.items()), self.form, self.page)
        return f'"{run_id}.{digest(*parts)[:16]}"'

    def answer(self, link: Any, schema: str) -> tuple[bytes, bool]:
        """Return the page in its format, and whether another one follows."""
        from grt_batch.queries import results
        from grt_batch.sinks.schema import SCHEMA

        statement = re.sub(rf"\b{SCHEMA}\.(?=\w)", f"{schema}.", self.query.sql)
        # A cursor of the server keeps the order of the rows, which a query around the query need not.
        with link.cursor(name="page") as cursor:
            cursor.execute(statement.rstrip("; \n"), dict(self.values))
            if self.page.begin:
                cursor.scroll(min(self.page.begin, _FURTHEST))
            rows = cursor.fetchmany(self.page.size + 1)
            columns = [column.name for column in cursor.description]
        write = {"json": results.as_json, "csv": results.as_csv, "tsv": results.as_tsv}[self.form]
        return write(results.Answer(columns, rows[: self.page.size], 0.0)), len(rows) > self.page.size


def latest_run(link: Any, schema: str) -> str:
    """Return the run that published last. Raises Refused before the first one."""
    with link.cursor() as cursor:
        cursor.execute(f"SELECT run_id FROM {schema}.run ORDER BY finished DESC, run_id DESC LIMIT 1")
        found = cursor.fetchone()
    if found is None:
        raise Refused(503, "No run has published anything yet: ask again after the first run")
    return str(found[0])


def _number(given: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= most):
        raise Refused(400, f"{name} is a whole number from 1 to {most}, not {text!r:.100}")
    return int(text)
