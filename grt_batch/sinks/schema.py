"""The database schema: permanent tables in `grt`, and their partitions in `grt_data`.

The partitions are those of `grt_batch.sinks.partitions`; the public views are in `grt_public`, see
`grt_batch.sinks.public_views`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg2 import sql

from grt_batch import __version__
from grt_batch.core.errors import SchemaTooNew
from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.ledger.ledger import RUN
from grt_batch.schema.parts import Years
from grt_batch.schema.tables import Table

SCHEMA_VERSION = 2


SCHEMA, DATA, PUBLIC = "grt", "grt_data", "grt_public"


def prepare(cursor: Any, tables: Iterable[Table]) -> int:
    """Create or upgrade the schema in the current transaction. Return the version found, 0 for none."""
    cursor.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.schema_version",))
    found = 0
    if cursor.fetchone()[0] is not None:
        cursor.execute(sql.SQL("SELECT max(version) FROM {}").format(sql.Identifier(SCHEMA, "schema_version")))
        found = cursor.fetchone()[0] or 0
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(found=found, known=SCHEMA_VERSION)
    if found < SCHEMA_VERSION:
        for schema in (SCHEMA, DATA):
            # An administrator may have created it for a user without that right.
            if not has_schema(cursor, schema):
                cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        cursor.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (version integer PRIMARY KEY, program text NOT NULL,"
                " upgraded timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'))"
            ).format(sql.Identifier(SCHEMA, "schema_version"))
        )
        cursor.execute(
            sql.SQL("INSERT INTO {} (version, program) VALUES (%s, %s)").format(
                sql.Identifier(SCHEMA, "schema_version")
            ),
            (SCHEMA_VERSION, __version__),
        )
    for table in (RUN, DATASOURCE):
        _ensure(cursor, table, partitioned=False)
    for table in tables:
        _ensure(cursor, table, partitioned=True)
    return found


def has_schema(cursor: Any, name: str) -> bool:
    """Return whether there is a schema of this name."""
    cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,))
    return cursor.fetchone() is not None


def is_current(cursor: Any, table: Table) -> bool | None:
    """Return whether a table has the columns of this version, None where there is no such table."""
    cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (f"{SCHEMA}.{table.name}",),
    )
    found = cursor.fetchall()
    wanted = [(column.name, column.type.value) for column in table.columns]
    wanted = [(name, kind.replace("timestamp", "timestamp without time zone")) for name, kind in wanted]
    return found == wanted if found else None


def public_views(cursor: Any) -> dict[str, str]:
    """Return the views of `grt_public` that have the name of a table, with their comments."""
    cursor.execute(
        "SELECT v.relname, coalesce(obj_description(v.oid, 'pg_class'), '') FROM pg_class v"
        " JOIN pg_class t ON t.relname = v.relname AND t.relnamespace = to_regnamespace(%s) AND t.relkind IN ('p', 'r')"
        " WHERE v.relnamespace = to_regnamespace(%s) AND v.relkind = 'v'",
        (SCHEMA, PUBLIC),
    )
    return dict(cursor.fetchall())


def _ensure(cursor: Any, table: Table, *, partitioned: bool) -> None:
    """Create a table of `grt`, or recreate one whose columns are of another version.

    Its rows are computed again in the same transaction. A table without partitions is never recreated: it gets the
    columns that it lacks.
    """
    current = is_current(cursor, table)
    if current:
        return
    name = sql.Identifier(SCHEMA, table.name)
    if current is False and not partitioned:
        for column in table.columns:
            add = sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}")
            cursor.execute(add.format(name, sql.Identifier(column.name), sql.SQL(column.type.value)))
        return
    if current is False:
        # Several views may read it; they are recreated with the exchange.
        for view in public_views(cursor):
            cursor.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(PUBLIC, view)))
        cursor.execute(sql.SQL("DROP TABLE {}").format(name))
    cursor.execute(create_table(name, table, partitioned=partitioned))
    cursor.execute(add_index(name, table))
    cursor.execute(comment_on("TABLE", name, table.doc))
    for column in table.columns:
        text = f"{column.doc} [{column.unit}]" if column.unit else column.doc
        cursor.execute(comment_on("COLUMN", sql.Identifier(SCHEMA, table.name, column.name), text))


def comment_on(kind: str, name: sql.Identifier, text: str) -> sql.Composed:
    """Return the statement that says what a table or a column is."""
    return sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), name, sql.Literal(text))


def create_table(
    name: sql.Identifier,
    table: Table,
    *,
    partitioned: bool = False,
    unlogged: bool = False,
    instances: Sequence[str] = (),
    years: Years | None = None,
) -> sql.Composed:
    """Return the statement that creates a table, with checks of the rows of a partition; one of a single instance fills
    in the instance by itself."""
    columns = []
    for column in table.columns:
        identifier = sql.Identifier(column.name)
        parts: list[sql.Composable] = [identifier, sql.SQL(column.type.value)]
        if column.name in table.key and column.name not in table.nullable:
            parts.append(sql.SQL("NOT NULL"))
        if instances and column.name == table.key[0]:
            ids = [sql.Literal(instance_id) for instance_id in instances]
            if len(ids) == 1:
                parts.append(sql.SQL("DEFAULT {0} CHECK ({1} = {0})").format(*ids, identifier))
            else:
                parts.append(sql.SQL("CHECK ({} IN ({}))").format(identifier, sql.SQL(", ").join(ids)))
        if years and column.name == table.by_year:
            parts.append(_check(identifier, years))
        columns.append(sql.SQL(" ").join(parts))
    by = sql.SQL(" PARTITION BY LIST ({})").format(sql.Identifier(table.key[0])) if partitioned else sql.SQL("")
    kind = sql.SQL("UNLOGGED TABLE" if unlogged else "TABLE")
    return sql.SQL("CREATE {} {} ({}){}").format(kind, name, sql.SQL(", ").join(columns), by)


def _check(column: sql.Identifier, years: Years) -> sql.Composed:
    if years.end is None:
        return sql.SQL("CHECK ({} IS NULL)").format(column)
    known = [sql.SQL("{} IS NOT NULL").format(column)]
    for sign, year in ((">=", years.begin), ("<", years.end)):
        if year is not None:
            known.append(sql.SQL("{} {} {}::date").format(column, sql.SQL(sign), sql.Literal(new_year(year))))
    return sql.SQL("CHECK ({})").format(sql.SQL(" AND ").join(known))


def add_index(name: sql.Identifier, table: Table) -> sql.Composed:
    """Return the statement that adds the primary key, or a plain index where a key column may be null."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.index or table.key))
    statement = "CREATE INDEX ON {} ({})" if table.index or table.nullable else "ALTER TABLE {} ADD PRIMARY KEY ({})"
    return sql.SQL(statement).format(name, columns)


def new_year(year: int) -> str:
    """Return the first day of a year. A date of Python has no year 10000."""
    return f"{year:04}-01-01"
