"""Writes tables of a contender into PostgreSQL as ours: types, keys, statistics, one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg2
from psycopg2 import sql

from grt_batch.modules.registry import discover
from grt_batch.schema.tables import Column, Table


@dataclass(frozen=True)
class Form:
    """A form of tab-separated files: their folder, the text for null, and whether they have a header."""

    folder: str
    null: str
    header: bool

    def file(self, home: Path, table: str) -> Path:
        """The file of a table."""
        return home / self.folder / f"{table}.tsv"


REPORTS = Form("reports", "", header=True)
COPIES = Form("copies", r"\N", header=False)
"""What people read, and what COPY reads: only there an empty text differs from null."""


@cache
def our_tables() -> dict[str, Table]:
    """The tables of the modules that run by default, by name: their columns and keys are those of a contender's."""
    modules = (module for module in discover().values() if not module.opt_in)
    return {table.name: table for module in modules for table in module.tables}


def columns_of(table: Table, names: Collection[str]) -> list[Column]:
    """The columns of one of our tables that a contender has as well."""
    return [column for column in table.columns if column.name in names]


def publish(url: str, schema: str, home: Path, names: Iterable[str]) -> None:
    """Replace `schema` by one of the tables `names`, of which `home` holds the files in both forms."""
    with closing(psycopg2.connect(url)) as link, link, link.cursor() as cursor:
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        for name in names:
            table, spec = sql.Identifier(schema, name), our_tables()[name]
            with REPORTS.file(home, name).open(encoding="utf-8") as lines:
                columns = columns_of(spec, lines.readline().rstrip("\n").split("\t"))
            types = (sql.SQL(f"{{}} {column.type.value}").format(sql.Identifier(column.name)) for column in columns)
            cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(", ").join(types)))
            with COPIES.file(home, name).open("rb") as rows:
                copy = sql.SQL("COPY {} FROM STDIN WITH (FREEZE)").format(table)
                cursor.copy_expert(copy.as_string(link), rows, 1 << 20)
            key = sql.SQL(", ").join(map(sql.Identifier, spec.key))
            index = "CREATE INDEX ON {} ({})" if spec.nullable else "ALTER TABLE {} ADD PRIMARY KEY ({})"
            cursor.execute(sql.SQL(index).format(table, key))
            cursor.execute(sql.SQL("ANALYZE {}").format(table))
