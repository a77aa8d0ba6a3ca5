"""Who may see what: the views of the schema `grt_public`, and the role `grt_reader`, which reads them and nothing else.

A view has the columns of its table, and those of its rows that are public:

- of an instance, where `instance.public` is true; where it is null, or the table has no such instance, it is not;
- of `*`, where a public instance contributed to the very row, which is to say, has a row of the same key;
- of a tool that a public instance ran, and of a parameter that one used;
- of a parameter's value that enough jobs of enough instances have, one of which is public at least.

So the jobs of all other instances count in `*` and show nowhere else. What nobody has said to be public is null: other
keys of metadata.json, all of N.json, what is wrong with an archive; and owners lose their e-mail addresses. The records
of single jobs have no view, nor has a table for which there is no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg2 import errors, sql

from grt_batch.core.digest import digest
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.base import ALL_INSTANCES, INSTANCE
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.modules.reports.errors import TOOL_CHANGE
from grt_batch.modules.reports.instances import INSTANCES
from grt_batch.modules.reports.params import PARAM, PARAM_VALUE
from grt_batch.modules.reports.tools import TOOL, TOOL_USAGE
from grt_batch.schema.tables import Table
from grt_batch.sinks.schema import PUBLIC, SCHEMA, has_schema, is_current, public_views

ROLE = "grt_reader"


_UNSAID = {INSTANCES.name: {"metadata"}, ARCHIVE.name: {"reason", "metadata"}}


_EMAIL = r'[^\s"@\\<>()]+@[^\s"@\\<>()]+'


@dataclass(frozen=True)
class Threshold:
    """A parameter's value is shown that so many jobs of so many instances have."""

    jobs: int = 5
    instances: int = 2


def refresh(cursor: Any, tables: Iterable[Table], threshold: Threshold) -> str:
    """Make the views of all published tables that there are, and give the role its rights. What is as it should be is
    not touched, so that nobody who reads it is waited for. Gives what an admin has to do first, empty for nothing."""
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
    """The query of the view of each table. A table of another version of the program has none until a run makes it
    anew."""
    known = {table.name: table for table in (ARCHIVE, RUN, *tables)}
    for module in discover().values():
        for table in module.tables:
            known[table.name] = table
            if isinstance(module, Export):
                del known[table.name]
    there = {name: table for name, table in known.items() if is_current(cursor, table)}
    rules = {name: _rule(table, there, threshold) for name, table in sorted(there.items())}
    return {name: _query(there[name], rule) for name, rule in rules.items() if rule is not None}


def _rule(table: Table, there: Mapping[str, Table], threshold: Threshold) -> sql.Composable | None:
    """Which rows of a table, called t, are public; None where that cannot be said."""
    if table.name == RUN.name:
        return sql.SQL("TRUE")
    if table.name == PARAM.name:
        return sql.SQL("t.public_instances > 0")
    if table.name == PARAM_VALUE.name:
        enough = sql.SQL("t.jobs >= {} AND t.instances >= {} AND t.public_instances > 0")
        return enough.format(sql.Literal(threshold.jobs), sql.Literal(threshold.instances))
    if INSTANCES.name not in there:
        return None
    if table.name == TOOL.name:
        return _contributed(table, there, TOOL_USAGE, TOOL.key, "other.period = 'all'")
    if INSTANCE not in table.key:
        return None
    of_instance = sql.SQL("t.{} IN (SELECT i.instance_id FROM {} AS i WHERE i.public)").format(
        sql.Identifier(INSTANCE), _name(INSTANCES)
    )
    if table.name == TOOL_CHANGE.name:
        # An instance has a row only where its own numbers changed: who had finished jobs has contributed.
        recent = "other.period = '30d' AND other.ok + other.error > 0"
        of_all = _contributed(table, there, TOOL_USAGE, TOOL.key, recent)
    else:
        of_all = _contributed(table, there, table, [name for name in table.key if name != INSTANCE])
    if of_all is None:
        return of_instance
    # Not a union, whose parts PostgreSQL would take out of the barrier.
    return sql.SQL("{} OR t.{} = {} AND {}").format(
        of_instance, sql.Identifier(INSTANCE), sql.Literal(ALL_INSTANCES), of_all
    )


def _contributed(
    table: Table, there: Mapping[str, Table], other: Table, key: Iterable[str], condition: str = "TRUE"
) -> sql.Composed | None:
    """Whether a public instance has a row in the `other` table with the same `key`; None where that is not there."""
    if other.name not in there:
        return None
    same = [
        sql.SQL("other.{0} IS NOT DISTINCT FROM t.{0}" if name in table.nullable else "other.{0} = t.{0}").format(
            sql.Identifier(name)
        )
        for name in key
    ]
    # OFFSET keeps the planner from joining all rows of all instances: to look into the index for each row that is
    # asked for is as fast where all are, and a thousand times as fast where few are.
    return sql.SQL(
        "EXISTS (SELECT FROM {} AS i JOIN {} AS other ON other.{} = i.instance_id WHERE i.public AND {} OFFSET 0)"
    ).format(
        _name(INSTANCES), _name(other), sql.Identifier(INSTANCE), sql.SQL(" AND ").join([*same, sql.SQL(condition)])
    )


def _query(table: Table, rule: sql.Composable) -> sql.Composed:
    columns = []
    for column in table.columns:
        name = sql.Identifier(column.name)
        if column.name in _UNSAID.get(table.name, ()):
            columns.append(sql.SQL("NULL::{} AS {}").format(sql.SQL(column.type.value), name))
        elif (table.name, column.name) == (INSTANCES.name, "owners"):
            cleaned = sql.SQL("regexp_replace(t.{0}::text, {1}, '[redacted]', 'g')::jsonb AS {0}")
            columns.append(cleaned.format(name, sql.Literal(_EMAIL)))
        else:
            columns.append(sql.SQL("t.{}").format(name))
    return sql.SQL("SELECT {} FROM {} AS t WHERE {}").format(sql.SQL(", ").join(columns), _name(table), rule)


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table.name)
