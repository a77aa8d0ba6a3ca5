"""Probes of the database: whether it answers, what it is, and whether a run may write to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from grt_batch.core.errors import GrtError
from grt_batch.doctor.findings import Finding, Status, ok, problem

SECONDS = 5
"""The time limit of a connection, and of a statement."""


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


def target(name: str, url: str) -> Iterator[Finding]:
    """Report the state of a further database. A run goes on without it, so nothing there is a problem."""
    try:
        findings = list(_state(url))
    except GrtError as error:
        findings = [problem("database", error)]
    for found in findings:
        status = Status.WARNING if found.status is Status.PROBLEM else found.status
        yield replace(found, status=status, subject=f"target {name}", exit_code=0)


def _state(url: str) -> Iterator[Finding]:
    import psycopg2

    from grt_batch.sinks.connection import connection
    from grt_batch.sinks.database_url import parameters
    from grt_batch.sinks.fitness import fitness
    from grt_batch.sinks.schema import SCHEMA_VERSION

    if "connect_timeout" not in parameters(url):
        url = psycopg2.extensions.make_dsn(url, connect_timeout=SECONDS)
    with connection(url) as link, link.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{SECONDS}s'")
        found = fitness(cursor)
    yield ok("database", f"PostgreSQL {found.server}, {url}")
    yield _verdict("encoding", found.encoding, found.encoding_fault)
    state = "current" if found.schema == SCHEMA_VERSION else f"the next run upgrades it to {SCHEMA_VERSION}"
    yield _verdict("schema", f"version {found.schema or 'none'}, {state}", found.schema_fault)
    yield _verdict("rights", "the user may write", found.rights_fault)


def _verdict(subject: str, found: str, fault: GrtError | None) -> Finding:
    return problem(subject, fault) if fault else ok(subject, found)
