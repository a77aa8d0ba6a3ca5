"""COPY of text and of binary rows, in parts of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from psycopg2 import sql

from grt_batch.modules.exports.records import encoded
from grt_batch.schema.tables import Column, Table, Type, render
from grt_batch.sinks.connection import connection
from grt_batch.sinks.copying import copy_rows
from grt_batch.sinks.schema import create_table

TABLE = Table("t", "a table", ("key",), (Column("key", Type.TEXT, "key"), Column("n", Type.BIGINT, "n")))
NAME = sql.Identifier("public", "copied")
ROWS = pl.DataFrame({"key": ["", "a\tb", "大 😀 café", "\\N"], "n": [1, None, 3, 2**62]})


@pytest.fixture
def cursor(database: str) -> Iterator[Any]:
    """A cursor of a transaction that has created the table."""
    with connection(database) as link, link.cursor() as cursor:
        cursor.execute(create_table(NAME, TABLE))
        yield cursor


def copied(cursor: Any) -> list[tuple[Any, ...]]:
    cursor.execute("SELECT key, n FROM public.copied ORDER BY n")
    return list(cursor.fetchall())


WANTED = [*ROWS.drop_nulls().rows(), ("a\tb", None)]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_text_may_come_in_any_parts_and_empty_ones(cursor: Any, size: int) -> None:
    text = b"".join(render(TABLE, TABLE.frame(ROWS)))
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    copy_rows(cursor, NAME, TABLE.columns, [b"", *parts, b""])
    assert copied(cursor) == WANTED


def test_no_rows_are_none(cursor: Any) -> None:
    copy_rows(cursor, NAME, TABLE.columns, [])
    assert copied(cursor) == []


def test_binary_rows_have_neither_header_nor_trailer(cursor: Any) -> None:
    rows = encoded(ROWS)
    copy_rows(cursor, NAME, TABLE.columns, [rows[:9], rows[9:]], binary=True)
    assert copied(cursor) == WANTED
