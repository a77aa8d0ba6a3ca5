"""What is meant for another PostgreSQL does not reach the embedded one, nor its clients."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from grt_batch.embedded_postgres import environment
from grt_batch.embedded_postgres.environment import unheard
from grt_batch.embedded_postgres.server import serve, start_persistent, stop
from tests.embedded_postgres.test_server import ask

OF_ANOTHER = {
    "PGSERVICE": "prod",
    "PGSERVICEFILE": "/nowhere/pg_service.conf",
    "PGSYSCONFDIR": "/nowhere",
    "PGOPTIONS": "-c default_transaction_read_only=on -c statement_timeout=1",
    "PGHOST": "db.example.org",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGUSER": "prod",
    "PGDATABASE": "prod",
    "PGPASSWORD": "hunter2",
    "PGPASSFILE": "/nowhere/pgpass",
    "PGSSLMODE": "verify-full",
    "PGREQUIRESSL": "1",
    "PGGSSENCMODE": "require",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "prod",
    "PGMINPROTOCOLVERSION": "3.2",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "random",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGCLIENTENCODING": "WIN1252",
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "German",
    "PGGEQO": "nonsense",
    "PGAPPNAME": "prod",
    "PGDATA": "/nowhere",
    "PG_COLOR": "always",
    "TZ": "Asia/Tokyo",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "nowhere",
    "LD_LIBRARY_PATH": "/nowhere",
    "OPENSSL_CONF": "/nowhere",
}

HEARD = """
CREATE TEMPORARY TABLE heard (line text);
COPY heard FROM PROGRAM 'env';
SELECT string_agg(line, E'\\n') FROM heard
"""

SESSION = {
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "geqo": "on",
    "application_name": "",
    "lc_messages": "C",
}


@pytest.fixture
def of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OF_ANOTHER.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("of_another")
def test_no_variable_of_another_server_is_heard(base: Path, work: Path) -> None:
    for place in (work, base / "new"):  # the second is initialized, too
        url = start_persistent(place)
        with unheard():
            heard = ask(url, HEARD)
            assert not {value for value in OF_ANOTHER.values() if len(value) > 3 and value in heard}, heard
            assert {name: ask(url, f"SHOW {name}") for name in SESSION} == SESSION
        assert stop(place)
    with serve(work) as url:
        assert {name: ask(url, f"SHOW {name}") for name in SESSION} == SESSION
        assert os.environ.keys() & OF_ANOTHER.keys() == {*filter(lambda name: name[:2] != "PG", OF_ANOTHER)}
    assert os.environ.items() >= OF_ANOTHER.items()


def test_variables_are_hidden_from_programs_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "prod")
    monkeypatch.setenv("OTHER", "kept")
    with pytest.raises(ZeroDivisionError), unheard():
        shown = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
        assert "OTHER=kept" in shown
        assert not [line for line in shown if line.startswith("PG")]
        _ = 1 / 0
    assert os.environ["PGSERVICE"] == "prod"


def test_the_server_is_given_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    monkeypatch.setenv("PATH", "/one:/two")
    assert environment.of_server() == {"PATH": "/one:/two", "LC_ALL": "C"}
    monkeypatch.delenv("PATH")
    assert environment.of_server()["PATH"] == os.defpath
