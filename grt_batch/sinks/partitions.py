"""The partitions of a published table, in `grt_data`: what rows they have, and how they are made and attached.

A table is partitioned by the first column of its key: one partition for each group of instances, or a single one. The
partition of a group may be partitioned in turn, by years.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg2 import sql

from grt_batch.core.digest import digest
from grt_batch.schema.parts import WHOLE, Group, Years
from grt_batch.schema.tables import Table
from grt_batch.sinks.schema import DATA, SCHEMA, add_index, comment_on, create_table, new_year


@dataclass(frozen=True)
class Partition:
    """A partition of a table: the rows of these instances, or all rows where there are none, and of these years.
    Partitions of a table with the same `content` have the same rows.

    With years it is a partition of the `branch`, which has all years of the instances, and no rows of its own.
    """

    table: Table
    instances: tuple[str, ...]
    years: Years | None
    content: str
    name: sql.Identifier

    @classmethod
    def of_all(cls, table: Table, run: str, content: str) -> Partition:
        """Return a run's partition of all rows."""
        return cls.of_part(table, run, content, WHOLE)

    @classmethod
    def of_part(cls, table: Table, run: str, content: str, group: Group, years: Years | None = None) -> Partition:
        """Return a run's partition of a group of instances and years."""
        name = _name(table, group.instances, years, run) if group.instances else f"{table.name}_{run}"
        return cls(table, group.instances, years, content, sql.Identifier(DATA, name))

    @classmethod
    def of_instance(cls, table: Table, run: str, instance_id: str, keys: Sequence[str]) -> Partition:
        """Return a run's partition of an instance, made of what has these keys."""
        columns = [f"{column.name} {column.type.value}" for column in table.columns]
        content = f"{instance_id}: {digest(instance_id, columns, table.key, table.index, *keys)}"
        return cls.of_part(table, run, content, Group(instance_id, (instance_id,)))

    @property
    def branch(self) -> str:
        """The name of the partition in between, empty where there is none. It outlives runs."""
        return _name(self.table, self.instances) if self.years else ""

    def create(self, cursor: Any) -> None:
        """Create the table. Its checks save `attach` a scan of the rows."""
        table = create_table(self.name, self.table, instances=self.instances, years=self.years)
        cursor.execute(_together(table, comment_on("TABLE", self.name, self.content)))

    def complete(self, cursor: Any) -> None:
        """Add the index and the statistics, which is cheaper after loading."""
        cursor.execute(_together(add_index(self.name, self.table), sql.SQL("ANALYZE {}").format(self.name)))

    def attach_branch(self, cursor: Any) -> None:
        """Create the branch, and attach it to the table. It is empty, and its checks would have to be those of its
        partitions, by name: it has none."""
        branch, table = sql.Identifier(DATA, self.branch), self.table
        by = sql.SQL(" PARTITION BY RANGE ({})").format(sql.Identifier(table.by_year))
        create = create_table(branch, table) + by
        cursor.execute(_together(create, _attach(SCHEMA, table.name, branch, _instances_of(self.instances))))

    def attach(self, cursor: Any) -> None:
        """Attach the partition to its table, or to its branch."""
        if self.years:
            cursor.execute(_attach(DATA, self.branch, self.name, _range_of(self.years)))
        else:
            cursor.execute(_attach(SCHEMA, self.table.name, self.name, _instances_of(self.instances)))


_NAME_BYTES, _HASH_DIGITS = 63, 20
"""The most bytes of a name, and digits of the hash of what it is about: ids of instances may be longer."""


def _name(table: Table, *about: object) -> str:
    beginning = table.name.encode()[: _NAME_BYTES - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{beginning}_{digest(*about)[:_HASH_DIGITS]}"


def _together(*statements: sql.Composable) -> sql.Composed:
    return sql.SQL("; ").join(statements)


def _attach(schema: str, parent: str, name: sql.Identifier, rows: sql.Composable) -> sql.Composed:
    statement = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}")
    return statement.format(sql.Identifier(schema, parent), name, rows)


def _instances_of(instances: Sequence[str]) -> sql.Composable:
    if not instances:
        return sql.SQL("DEFAULT")
    return sql.SQL("FOR VALUES IN ({})").format(sql.SQL(", ").join(map(sql.Literal, instances)))


def _range_of(years: Years) -> sql.Composable:
    if years.end is None:
        return sql.SQL("DEFAULT")
    begin = sql.SQL("MINVALUE") if years.begin is None else sql.Literal(new_year(years.begin))
    return sql.SQL("FOR VALUES FROM ({}) TO ({})").format(begin, sql.Literal(new_year(years.end)))


class Attached(NamedTuple):
    """What is attached to a published table: a branch, which has no content, or a partition with rows, of the table or
    of one of its branches."""

    schema: str
    table: str
    content: str | None
    branch: str

    @property
    def name(self) -> sql.Identifier:
        """The name of the table."""
        return sql.Identifier(self.schema, self.table)


def attached(cursor: Any, table: Table) -> list[Attached]:
    """Return what is attached to a table."""
    cursor.execute(
        "SELECT n.nspname, c.relname,"
        " CASE WHEN c.relkind <> 'p' THEN coalesce(obj_description(c.oid, 'pg_class'), c.relname) END,"
        " CASE WHEN p.oid = to_regclass(%(name)s) THEN '' ELSE p.relname END"
        " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhparent = to_regclass(%(name)s)"
        " OR i.inhparent IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%(name)s)) ORDER BY 1, 2",
        {"name": f"{SCHEMA}.{table.name}"},
    )
    return [Attached(*row) for row in cursor.fetchall()]


def contents(cursor: Any, table: Table) -> set[str]:
    """Return the contents of the partitions that are attached to a table."""
    return {found.content for found in attached(cursor, table) if found.content is not None}
