"""COPY of rows into a table that the same transaction has created."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from psycopg2 import sql

from grt_batch.schema.tables import Column

_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""The signature, then two zeros: no flags, no header extension."""


_BINARY_TRAILER = b"\xff\xff"


_PIECE = 1 << 16
"""Bytes that COPY reads at a time."""


def copy_rows(
    cursor: Any, table: sql.Identifier, columns: Sequence[Column], parts: Iterable[bytes], *, binary: bool = False
) -> None:
    """Copy rows into a table that this transaction has created: text as `render` makes it, or rows in PostgreSQL's
    binary format, without header and trailer.

    FREEZE saves the write-ahead log and the first reader's work.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT {}, FREEZE)").format(
        table,
        sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
        sql.SQL("binary" if binary else "text"),
    )
    data = (_BINARY_HEADER, *parts, _BINARY_TRAILER) if binary else parts
    cursor.copy_expert(statement.as_string(cursor), _Reader(iter(data)), _PIECE)


class _Reader:
    """The parts of a text as a file for COPY."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            # An empty read means the end of the file, so empty parts are skipped.
            self._rest = memoryview(next(filter(None, self._parts), b""))
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)
