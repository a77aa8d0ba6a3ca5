"""Probes of the database: whether it answers, what it is, and whether a run may write to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from grt_batch.core.errors import DatabaseRefused, SchemaTooNew
from grt_batch.doctor.findings import Finding, ok, problem, warning

SECONDS = 5
"""The time limit of a connection, and of a statement."""


_STATE = """
SELECT current_setting('server_version'), current_setting('server_encoding'),
    current_setting('transaction_read_only') = 'on', has_database_privilege(current_database(), 'CREATE'),
    (SELECT count(*) FROM pg_namespace WHERE nspname IN (%(schema)s, %(data)s) AND has_schema_privilege(oid, 'CREATE')),
    (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind IN ('p', 'r')
        AND NOT pg_has_role(relowner, 'USAGE')),
    to_regclass(%(schema)s || '.schema_version') IS NOT NULL
"""


def database(url: str, work: Path) -> Iterator[Finding]:
    """Report the state of the configured database. An embedded server that does not run is not started."""
    if url == "embedded":
        from grt_batch.embedded_postgres.environment import unheard
        from grt_batch.embedded_postgres.programs import binaries
        from grt_batch.embedded_postgres.server import EmbeddedServer

        server = EmbeddedServer(work)
        binaries()
        if not server.running():
            yield ok("database", f"the embedded server of {work} is not running; a run starts it")
            return
        if host := server.other_host():
            yield ok("database", f"the embedded server of {work} is running on another host, {host}")
            return
        yield ok("database", f"the embedded server of {work} is running")
        with unheard():
            findings = list(_state(server.url))
        yield from findings
    else:
        yield from _state(url)


def _state(url: str) -> Iterator[Finding]:
    import psycopg2

    from grt_batch.sinks.connection import connection, parameters
    from grt_batch.sinks.schema import DATA, SCHEMA, SCHEMA_VERSION

    if "connect_timeout" not in parameters(url):
        url = psycopg2.extensions.make_dsn(url, connect_timeout=SECONDS)
    with connection(url) as link, link.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = '{SECONDS}s'")
        cursor.execute(_STATE, {"schema": SCHEMA, "data": DATA})
        version, encoding, read_only, may_create, schemas, foreign, upgraded = cursor.fetchone()
        found = 0
        if upgraded:
            cursor.execute(f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.schema_version")
            (found,) = cursor.fetchone()
    yield ok("database", f"PostgreSQL {version}, {url}")
    if encoding == "UTF8":
        yield ok("encoding", encoding)
    else:
        yield warning("encoding", encoding, "Create the database with ENCODING 'UTF8'.")
    if found > SCHEMA_VERSION:
        yield problem("schema", SchemaTooNew(found=found, known=SCHEMA_VERSION))
    else:
        state = "current" if found == SCHEMA_VERSION else f"the next run upgrades it to {SCHEMA_VERSION}"
        yield ok("schema", f"version {found or 'none'}, {state}")
    yield _rights(read_only=read_only, may_create=may_create, schemas=schemas, foreign=foreign)


def _rights(*, read_only: bool, may_create: bool, schemas: int, foreign: int) -> Finding:
    """Report whether a run may make its schemas and tables."""
    if read_only:
        return problem("rights", DatabaseRefused(what="it accepts no writes: it is a standby, or set to read-only"))
    if foreign:
        return problem("rights", DatabaseRefused(what=f"{foreign} of its tables belong to another user"))
    if not may_create and schemas < 2:
        return problem("rights", DatabaseRefused(what="the user may create neither schemas nor tables in it"))
    return ok("rights", "the user may write")
