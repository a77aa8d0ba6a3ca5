"""Whether a run can publish into a database as its user: asked before anything is computed, and by `doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grt_batch.core.errors import DatabaseUnfit, GrtError, SchemaTooNew
from grt_batch.sinks.connection import ENCODING, connection
from grt_batch.sinks.schema import DATA, SCHEMA, SCHEMA_VERSION

_STATE = """
SELECT current_setting('server_version') AS server, current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') = 'on' AS read_only,
    -- To look at one setting, all are made.
    CASE WHEN current_setting('default_transaction_read_only') = 'on'
        THEN (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only') END AS read_only_by,
    quote_ident(current_database()) AS database, quote_ident(current_user) AS user,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    -- Partitions are made anew by every run, other tables only where they are missing.
    ARRAY(SELECT nspname::text FROM pg_namespace WHERE NOT (has_schema_privilege(oid, 'USAGE')
        AND has_schema_privilege(oid, 'CREATE')) AND (nspname = %(data)s OR nspname = %(schema)s
        AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid)) ORDER BY 1) AS closed,
    (SELECT count(*) FROM pg_namespace WHERE nspname IN (%(schema)s, %(data)s)) AS schemas,
    -- Others than partitioned ones are of no run, but for these.
    (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND (relkind = 'p' OR relkind = 'r'
        AND relname IN ('run', 'datasource', 'schema_version')) AND NOT pg_has_role(relowner, 'USAGE'))
        AS foreign_tables,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relname = 'schema_version')
        AS has_version
"""


_SET_BY = {
    "client": "in PGOPTIONS, a service or the URL",
    "user": "with ALTER ROLE",
    "database": "with ALTER DATABASE",
    "database user": "with ALTER ROLE … IN DATABASE",
}
"""Where a default is set, by the source that PostgreSQL names; anything else is the server's own configuration."""


@dataclass(frozen=True)
class Fitness:
    """What a database is, and what its user may do there. `schema` is the version of the schema, 0 for none."""

    server: str
    encoding: str
    standby: bool
    read_only: bool
    read_only_by: str | None
    database: str
    user: str
    may_create: bool
    closed: list[str]
    schemas: int
    foreign_tables: int
    has_version: bool
    schema: int = 0

    @property
    def encoding_fault(self) -> GrtError | None:
        """Return why it cannot hold every text, None where it can."""
        if self.encoding == ENCODING:
            return None
        return DatabaseUnfit(
            what=f"its encoding is {self.encoding}, which does not hold all of Unicode",
            action=f"Create one with CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0, and run with its URL",
        )

    @property
    def schema_fault(self) -> GrtError | None:
        """Return why this program does not know the schema, None where it does."""
        return SchemaTooNew(found=self.schema, known=SCHEMA_VERSION) if self.schema > SCHEMA_VERSION else None

    @property
    def rights_fault(self) -> GrtError | None:
        """Return why its user cannot write the tables, None where the user can."""
        fault = self._fault()
        return DatabaseUnfit(what=fault[0], action=fault[1]) if fault else None

    def _fault(self) -> tuple[str, str] | None:
        if self.standby:
            return (
                "the server is a standby, which accepts no writes",
                "Name the primary in --database; where the URL has both hosts, add target_session_attrs=read-write",
            )
        if self.read_only:
            where = _SET_BY.get(self.read_only_by or "", "in the configuration of the server")
            return (
                f"transactions are read-only by default, as default_transaction_read_only says {where}",
                "Remove that setting for the user of the runs",
            )
        if self.foreign_tables:
            return (
                f"{self.foreign_tables} of its tables belong to another user than {self.user}",
                f"Run as their owner, or let an admin make {self.user} the owner",
            )
        if self.schemas < 2 and not self.may_create:
            return (
                f"{self.user} may not create the schemas {SCHEMA} and {DATA}",
                f"Let an admin run: GRANT CREATE ON DATABASE {self.database} TO {self.user}; then run again",
            )
        if self.closed:
            names = ", ".join(self.closed)
            return (
                f"{self.user} may not create tables in {names}",
                f"Let an admin run: GRANT USAGE, CREATE ON SCHEMA {names} TO {self.user}; then run again",
            )
        return None


def fitness(cursor: Any) -> Fitness:
    """Return what the database of a cursor is."""
    cursor.execute(_STATE, {"schema": SCHEMA, "data": DATA})
    found = dict(zip((column.name for column in cursor.description), cursor.fetchone(), strict=True))
    # Who may not read the tables need not know their version.
    if found["has_version"] and not found["foreign_tables"]:
        cursor.execute(f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.schema_version")
        (found["schema"],) = cursor.fetchone()
    return Fitness(**found)


def require_fit(cursor: Any) -> None:
    """Raise DatabaseUnfit or SchemaTooNew where a run cannot publish."""
    found = fitness(cursor)
    fault = found.encoding_fault or found.rights_fault or found.schema_fault
    if fault:
        raise fault


def check(url: str) -> None:
    """Raise DatabaseUnfit or SchemaTooNew where a run cannot publish, DatabaseRefused where it cannot be asked now."""
    with connection(url) as link, link.cursor() as cursor:
        require_fit(cursor)
