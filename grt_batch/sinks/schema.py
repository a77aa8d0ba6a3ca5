"""The database schema: permanent tables in `grt`, and their partitions in `grt_data`.

A table is partitioned by the first column of its key: one partition for each instance, or a single one. The public
views are in `grt_public`, see `grt_batch.sinks.public_views`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from grt_batch import __version__
from grt_batch.core.digest import digest
from grt_batch.core.errors import SchemaTooNew
from grt_batch.ledger.ledger import RUN
from grt_batch.schema.tables import Table

SCHEMA_VERSION = 2


SCHEMA, DATA, PUBLIC = "grt", "grt_data", "grt_public"


@dataclass(frozen=True)
class Partition:
    """A partition of a table: the rows of one instance, or all rows where `instance_id` is None. Partitions with the
    same `content` have the same rows."""

    table: Table
    instance_id: str | None
    content: str
    name: sql.Identifier

    @classmethod
    def of_all(cls, table: Table, run: str, content: str) -> Partition:
        """Return a run's partition of all rows."""
        return cls(table, None, content, sql.Identifier(DATA, f"{table.name}_{run}"))

    @classmethod
    def of_instance(cls, table: Table, run: str, instance_id: str, keys: Sequence[str]) -> Partition:
        """Return a run's partition of an instance, made of what has these keys.

        Its name has a hash of the instance's id, which may be longer than a name.
        """
        columns = [f"{column.name} {column.type.value}" for column in table.columns]
        content = f"{instance_id}: {digest(instance_id, columns, table.key, table.index, *keys)}"
        return cls(table, instance_id, content, sql.Identifier(DATA, f"{table.name}_{digest(instance_id)[:16]}_{run}"))

    def create(self, cursor: Any) -> None:
        """Create the table. Its check of the instance saves `attach` a scan of the rows."""
        cursor.execute(_create(self.name, self.table, instance_id=self.instance_id))
        cursor.execute(_comment("TABLE", self.name, self.content))

    def complete(self, cursor: Any) -> None:
        """Add the index and the statistics, which is cheaper after loading."""
        cursor.execute(_index(self.name, self.table))
        cursor.execute(sql.SQL("ANALYZE {}").format(self.name))

    def attach(self, cursor: Any) -> None:
        """Attach the partition to its table."""
        rows: sql.Composable = sql.SQL("DEFAULT")
        if self.instance_id is not None:
            rows = sql.SQL("FOR VALUES IN ({})").format(sql.Literal(self.instance_id))
        parent = sql.Identifier(SCHEMA, self.table.name)
        cursor.execute(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(parent, self.name, rows))


def attached(cursor: Any, table: Table) -> dict[str, sql.Identifier]:
    """Return the names of the partitions that are attached to a table, by their content."""
    cursor.execute(
        "SELECT coalesce(obj_description(c.oid, 'pg_class'), c.relname), n.nspname, c.relname"
        " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE i.inhparent = %s::regclass",
        (f"{SCHEMA}.{table.name}",),
    )
    return {content: sql.Identifier(schema, name) for content, schema, name in cursor.fetchall()}


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
    _ensure(cursor, RUN, partitioned=False)
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

    Its rows are computed again in the same transaction. The table of runs is never recreated: it gets the columns that
    it lacks.
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
    cursor.execute(_create(name, table, partitioned=partitioned))
    cursor.execute(_index(name, table))
    cursor.execute(_comment("TABLE", name, table.doc))
    for column in table.columns:
        text = f"{column.doc} [{column.unit}]" if column.unit else column.doc
        cursor.execute(_comment("COLUMN", sql.Identifier(SCHEMA, table.name, column.name), text))


def _comment(kind: str, name: sql.Identifier, text: str) -> sql.Composed:
    return sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), name, sql.Literal(text))


def _create(
    name: sql.Identifier, table: Table, *, partitioned: bool = False, instance_id: str | None = None
) -> sql.Composed:
    """Return the statement that creates a table; a partition of an instance fills in the instance by itself."""
    columns = []
    for column in table.columns:
        parts: list[sql.Composable] = [sql.Identifier(column.name), sql.SQL(column.type.value)]
        if column.name in table.key and column.name not in table.nullable:
            parts.append(sql.SQL("NOT NULL"))
        if instance_id is not None and column.name == table.key[0]:
            rule = sql.SQL("DEFAULT {0} CHECK ({1} = {0})")
            parts.append(rule.format(sql.Literal(instance_id), sql.Identifier(column.name)))
        columns.append(sql.SQL(" ").join(parts))
    by = sql.SQL(" PARTITION BY LIST ({})").format(sql.Identifier(table.key[0])) if partitioned else sql.SQL("")
    return sql.SQL("CREATE TABLE {} ({}){}").format(name, sql.SQL(", ").join(columns), by)


def _index(name: sql.Identifier, table: Table) -> sql.Composed:
    """Return the statement that adds the primary key, or a plain index where a key column may be null."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.index or table.key))
    statement = "CREATE INDEX ON {} ({})" if table.index or table.nullable else "ALTER TABLE {} ADD PRIMARY KEY ({})"
    return sql.SQL(statement).format(name, columns)
