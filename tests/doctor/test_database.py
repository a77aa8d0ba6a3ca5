"""The probes of the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from calling import Call, query
from examining import examined, statuses

from grt_batch.core.errors import BadDatabaseUrl
from grt_batch.doctor.database import database as examine_database
from grt_batch.doctor.findings import ok
from grt_batch.sinks.postgres import upgrade
from grt_batch.sinks.schema import SCHEMA_VERSION

UNREACHABLE = "postgresql://user:hunter2@127.0.0.1:1/none"


def test_an_unreachable_database_is_a_problem_that_shows_no_password(call: Call, options: list[object]) -> None:
    code, findings = examined(call, *options, "--database", UNREACHABLE)
    assert (code, statuses(findings, "database")) == (4, {"problem"})
    assert "hunter2" not in json.dumps(findings)


def test_a_further_database_that_fails_stops_no_run_and_shows_no_password(
    call: Call, options: list[object], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_TARGETS", f'{{good = {{url = "{database}"}}, bad = {{url = "{UNREACHABLE}"}}}}')
    code, findings = examined(call, *options)
    assert code == 0
    assert (statuses(findings, "target good"), statuses(findings, "target bad")) == ({"ok"}, {"warning"})
    assert "hunter2" not in json.dumps(findings)


def test_the_schema_of_a_newer_program_is_a_problem(call: Call, options: list[object], database: str) -> None:
    upgrade(database, [])
    assert f"version {SCHEMA_VERSION}, current" in examined(call, *options)[1]["schema"][0]["found"]
    query(database, "INSERT INTO grt.schema_version (version, program) VALUES (99, 'of tomorrow')")
    code, findings = examined(call, *options)
    assert (code, statuses(findings, "schema")) == (4, {"problem"})


@pytest.fixture
def stranger(database: str) -> Iterator[str]:
    """The URL of the database for a user who may only read."""
    query(database, "CREATE ROLE doctor_test LOGIN")
    yield psycopg2.extensions.make_dsn(database, user="doctor_test")
    query(database, "DROP ROLE doctor_test")


def test_a_user_who_may_not_write_is_a_problem(call: Call, options: list[object], stranger: str) -> None:
    code, findings = examined(call, *options, "--database", stranger)
    assert (code, statuses(findings, "rights")) == (4, {"problem"})
    read_only = psycopg2.extensions.make_dsn(stranger, options="-c default_transaction_read_only=on")
    code, findings = examined(call, *options, "--database", read_only)
    assert (code, statuses(findings, "rights")) == (4, {"problem"})


def test_the_embedded_server_is_not_started(call: Call, options: list[object]) -> None:
    code, findings = examined(call, *options, "--database", "embedded")
    assert (code, statuses(findings, "database")) == (0, {"ok"})
    assert "not running" in findings["database"][0]["found"]


def test_a_running_embedded_server_is_found_though_libpq_is_told_of_another(
    call: Call, server: str, options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Path(psycopg2.extensions.parse_dsn(server)["host"]).parent
    with monkeypatch.context() as patch:
        for name, value in (("PGSERVICE", "prod"), ("PGOPTIONS", "-c default_transaction_read_only=on")):
            patch.setenv(name, value)
        code, findings = examined(call, *options, "--database", "embedded", "--work", work)
    assert (code, statuses(findings, "database"), statuses(findings, "rights")) == (0, {"ok"}, {"ok"})


def test_the_state_of_a_database_is_told_in_its_order(database: str, tmp_path: Path) -> None:
    findings = list(examine_database(database, tmp_path))
    assert [finding.subject for finding in findings] == ["database", "encoding", "schema", "rights"]
    assert findings[1:] == [
        ok("encoding", "UTF8"),
        ok("schema", f"version none, the next run upgrades it to {SCHEMA_VERSION}"),
        ok("rights", "the user may write"),
    ]


def test_a_url_that_cannot_be_read_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(BadDatabaseUrl) as raised:
        list(examine_database("host=a password=hunter2 nothing", tmp_path))
    assert "hunter2" not in str(raised.value)
