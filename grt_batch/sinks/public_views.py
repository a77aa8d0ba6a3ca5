"""Who may see what: the views of the schema `grt_public`, and the role `grt_reader`, which reads them and nothing else.

A view has the columns of its table, and those of its rows that are public. Each table says which rows these are
(`grt_batch.schema.visibility`), and each column what of it is shown; the rules are here:

- an instance is public where `instance.public` is true; where that is null, or there is no such row, it is not;
- a row of all instances together is public where a public instance contributed to that very row.

So the jobs of other instances count in `*`, and show nowhere else. A table that says nothing has no view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2 import errors, sql

from grt_batch.core.digest import digest
from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.schema.tables import Column, Shown, Table
from grt_batch.schema.visibility import (
    CountedInstances,
    Evidence,
    FromPublicInstances,
    NotShown,
    OfPublicInstances,
    ShownToAll,
)
from grt_batch.sinks.schema import PUBLIC, SCHEMA, has_schema, is_current, public_views

ROLE = "grt_reader"


_INSTANCES = "instance"
"""The table that says which instances are public."""


EMAIL = r'[^\s"@\\<>()]+@[^\s"@\\<>()]+'
"""Matches an address; the pages hide what the views hide."""


@dataclass(frozen=True)
class Threshold:
    """How many jobs, of how many instances, a row needs for `CountedInstances(enough=True)`."""

    jobs: int = 5
    instances: int = 2


def refresh(cursor: Any, tables: Iterable[Table], threshold: Threshold) -> str:
    """Make the views of those of `tables` that are in the database, drop all others, and give the role its rights.

    A view that is as it should be is not touched, so that this waits for none of its readers. Return what an admin has
    to do first, the empty text for nothing.
    """
    schema = sql.SQL("CREATE SCHEMA {} AUTHORIZATION CURRENT_USER").format(sql.Identifier(PUBLIC))
    if not has_schema(cursor, PUBLIC) and not _allowed(cursor, schema):
        return _request(cursor, schema)
    _make_views(cursor, _definitions(cursor, tables, threshold))
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,))
    role = sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(ROLE))
    if cursor.fetchone() is None and not _allowed(cursor, role):
        return _request(cursor, role)
    _grant(cursor)
    return ""


def _allowed(cursor: Any, statement: sql.Composed) -> bool:
    """Carry out a statement, unless the user may not. A program that was faster has done it as well."""
    cursor.execute("SAVEPOINT allowed")
    try:
        cursor.execute(statement)
    except (errors.DuplicateObject, errors.DuplicateSchema, errors.UniqueViolation):
        cursor.execute("ROLLBACK TO SAVEPOINT allowed")
    except errors.InsufficientPrivilege:
        cursor.execute("ROLLBACK TO SAVEPOINT allowed")
        return False
    return True


def _request(cursor: Any, statement: sql.Composed) -> str:
    cursor.execute("SELECT current_user")
    (user,) = cursor.fetchone()
    text = statement.as_string(cursor).replace("CURRENT_USER", sql.Identifier(user).as_string(cursor))
    return (
        f"{ROLE} cannot read {PUBLIC}: {user} may not make what is missing. Have an admin run: {text}; then run again"
    )


def _make_views(cursor: Any, definitions: Mapping[str, sql.Composed]) -> None:
    there = public_views(cursor)
    for name in there.keys() - definitions.keys():
        cursor.execute(sql.SQL("DROP VIEW {}").format(sql.Identifier(PUBLIC, name)))
    for name, query in definitions.items():
        view = sql.Identifier(PUBLIC, name)
        # Without the barrier a reader's own conditions would see the other rows first, and could tell of them.
        create = sql.SQL("CREATE OR REPLACE VIEW {} WITH (security_barrier) AS {}").format(view, query)
        note = f"What is public of {SCHEMA}.{name} [{digest(create.as_string(cursor))[:16]}]"
        if there.get(name) != note:
            cursor.execute(create)
            cursor.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(note)))


def _grant(cursor: Any) -> None:
    """Let the role read. A right that it has is not given again: that would write into the catalogue."""
    cursor.execute("SELECT has_schema_privilege(%s, %s, 'USAGE')", (ROLE, PUBLIC))
    if not cursor.fetchone()[0]:
        usage = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}")
        cursor.execute(usage.format(sql.Identifier(PUBLIC), sql.Identifier(ROLE)))
    cursor.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = ANY (%s)"
        " AND NOT has_table_privilege(%s, c.oid, 'SELECT') ORDER BY 1",
        (f'"{PUBLIC}"', list(public_views(cursor)), ROLE),
    )
    for (name,) in cursor.fetchall():
        select = sql.SQL("GRANT SELECT ON {} TO {}")
        cursor.execute(select.format(sql.Identifier(PUBLIC, name), sql.Identifier(ROLE)))


def _definitions(cursor: Any, tables: Iterable[Table], threshold: Threshold) -> dict[str, sql.Composed]:
    """Return the query of the view of each table. A table that another version of the program made has no view until a
    run makes it again."""
    there = {table.name: table for table in (ARCHIVE, RUN, DATASOURCE, *tables) if is_current(cursor, table)}
    rules = {name: _rule(table, there, threshold) for name, table in sorted(there.items())}
    return {name: _query(there[name], rule) for name, rule in rules.items() if rule is not None}


def _rule(table: Table, there: Mapping[str, Table], threshold: Threshold) -> sql.Composable | None:
    """Return the condition on the public rows of a table, called t; None where no row is, or that cannot be said."""
    match table.visibility:
        case NotShown():
            return None
        case ShownToAll():
            return sql.SQL("TRUE")
        case CountedInstances(enough=False):
            return sql.SQL("t.public_instances > 0")
        case CountedInstances(enough=True):
            enough = sql.SQL("t.jobs >= {} AND t.instances >= {} AND t.public_instances > 0")
            return enough.format(sql.Literal(threshold.jobs), sql.Literal(threshold.instances))
        case FromPublicInstances(evidence):
            return _contributed(table, there, evidence)
        case OfPublicInstances(evidence) if _INSTANCES in there:
            of_instance = sql.SQL("t.{} IN (SELECT i.instance_id FROM {} AS i WHERE i.public)").format(
                sql.Identifier(INSTANCE), _name(_INSTANCES)
            )
            of_all = _contributed(table, there, evidence or Evidence(table.name, "TRUE"))
            if of_all is None:
                return of_instance
            # Not a union, whose parts PostgreSQL would take out of the barrier.
            return sql.SQL("{} OR t.{} = {} AND {}").format(
                of_instance, sql.Identifier(INSTANCE), sql.Literal(ALL_INSTANCES), of_all
            )
    return None


def _contributed(table: Table, there: Mapping[str, Table], evidence: Evidence) -> sql.Composed | None:
    """Return the condition that a public instance has a row with the same key in the table of the evidence; None where
    that table, or the one of instances, is missing."""
    if not {_INSTANCES, evidence.table} <= there.keys():
        return None
    same = [
        sql.SQL("other.{0} IS NOT DISTINCT FROM t.{0}" if name in table.nullable else "other.{0} = t.{0}").format(
            sql.Identifier(name)
        )
        for name in table.key
        if name != INSTANCE
    ]
    # OFFSET keeps the planner from joining all rows of all instances: to look into the index for each row that is
    # asked for is as fast where all are, and a thousand times as fast where few are.
    return sql.SQL(
        "EXISTS (SELECT FROM {} AS i JOIN {} AS other ON other.{} = i.instance_id WHERE i.public AND {} OFFSET 0)"
    ).format(
        _name(_INSTANCES),
        _name(evidence.table),
        sql.Identifier(INSTANCE),
        sql.SQL(" AND ").join([*same, sql.SQL(evidence.where)]),
    )


def _query(table: Table, rule: sql.Composable) -> sql.Composed:
    columns = sql.SQL(", ").join(map(_column, table.columns))
    return sql.SQL("SELECT {} FROM {} AS t WHERE {}").format(columns, _name(table.name), rule)


def _column(column: Column) -> sql.Composed:
    name = sql.Identifier(column.name)
    match column.shown:
        case Shown.AS_IT_IS:
            return sql.SQL("t.{}").format(name)
        case Shown.AS_NULL:
            return sql.SQL("NULL::{} AS {}").format(sql.SQL(column.type.value), name)
        case Shown.WITHOUT_EMAILS:
            cleaned = sql.SQL("regexp_replace(t.{0}::text, {1}, '[redacted]', 'g')::{2} AS {0}")
            return cleaned.format(name, sql.Literal(EMAIL), sql.SQL(column.type.value))


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table)
