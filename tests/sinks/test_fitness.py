"""A database that a run cannot publish into is refused before anything is computed, with what to do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from calling import AS_OF, Call, places, query
from coming_and_going import small_site
from examining import examined
from runs import administer, name_of

from grt_batch.embedded_postgres import process as server_process
from grt_batch.embedded_postgres.server import serve
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.sinks.connection import connection
from grt_batch.sinks.fitness import check, fitness
from grt_batch.sinks.postgres import upgrade
from grt_batch.sinks.schema import SCHEMA_VERSION
from grt_batch.verify.verification import verify_published


@pytest.fixture
def user(database: str) -> Iterator[str]:
    """The DSN of the database for a user without rights of its own."""
    query(database, "CREATE ROLE fit_test LOGIN")
    yield str(psycopg2.extensions.make_dsn(database, user="fit_test"))
    writable = psycopg2.extensions.make_dsn(database, options="-c default_transaction_read_only=off")
    query(writable, "DROP OWNED BY fit_test CASCADE; DROP ROLE fit_test")


def refused(call: Call, folder: Path, url: str) -> str:
    """What a run and an upgrade say that are refused with 4, nothing having been computed; `doctor` says the same."""
    site = small_site(folder, url)
    options = ["--uploads", site.config.uploads, *places(folder), "--database", url]
    answer = call("run", *options, "--as-of", AS_OF)
    assert (answer.code, answer.out) == (4, "")
    assert list(folder.glob("work/store/*/*")) == []
    assert not (folder / "reports" / "latest").exists()
    assert call("db", "upgrade", "--database", url).complaint == answer.complaint
    code, findings = examined(call, "doctor" and "--uploads", *options[1:])
    problems = [
        one for name in ("encoding", "schema", "rights") for one in findings[name] if one["status"] == "problem"
    ]
    assert code == 4
    assert f"{problems[0]['found']} {problems[0]['remedy']}" == answer.complaint
    return answer.complaint


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_an_encoding_without_all_of_unicode(server: str, call: Call, tmp_path: Path, encoding: str) -> None:
    name = f"fit_{encoding.lower()}"
    administer(
        server, f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
    )
    url = str(psycopg2.extensions.make_dsn(server, dbname=name))
    try:
        said = refused(call, tmp_path, url)
    finally:
        administer(server, f"DROP DATABASE {name} WITH (FORCE)")
    assert f"its encoding is {encoding}" in said
    assert said.endswith("Create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and run with its URL.")


READ_ONLY = "default_transaction_read_only = on"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"ALTER ROLE fit_test SET {READ_ONLY}", "says with ALTER ROLE."),
        (f"ALTER DATABASE {{}} SET {READ_ONLY}", "says with ALTER DATABASE."),
        (f"ALTER ROLE fit_test IN DATABASE {{}} SET {READ_ONLY}", "says with ALTER ROLE … IN DATABASE."),
    ],
)
def test_transactions_that_are_read_only_by_default(
    database: str, user: str, call: Call, tmp_path: Path, statement: str, said: str
) -> None:
    administer(database, statement.format(name_of(database)))
    complaint = refused(call, tmp_path, user)
    assert said in complaint
    assert complaint.endswith("Remove that setting for the user of the runs.")


def test_transactions_that_the_environment_makes_read_only(
    database: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    assert "says in PGOPTIONS, a service or the URL." in refused(call, tmp_path, database)


def test_a_user_who_may_not_create_schemas(database: str, user: str, call: Call, tmp_path: Path) -> None:
    said = refused(call, tmp_path, user)
    assert "fit_test may not create the schemas grt and grt_data" in said
    grant = f"GRANT CREATE ON DATABASE {name_of(database)} TO fit_test"
    assert f"Let an admin run: {grant}; then run again." in said
    query(database, grant)
    check(user)


def test_a_user_who_may_not_create_tables(database: str, user: str, call: Call, tmp_path: Path) -> None:
    query(database, "CREATE SCHEMA grt; CREATE SCHEMA grt_data; GRANT USAGE ON SCHEMA grt TO fit_test")
    said = refused(call, tmp_path, user)
    assert "fit_test may not create tables in grt, grt_data." in said
    query(database, "GRANT USAGE, CREATE ON SCHEMA grt, grt_data TO fit_test")
    check(user)


def test_tables_of_another_user(database: str, user: str, call: Call, tmp_path: Path) -> None:
    upgrade(database, [])
    said = refused(call, tmp_path, user)
    assert "of its tables belong to another user than fit_test" in said
    assert said.endswith("Run as their owner, or let an admin make fit_test the owner.")


def test_the_schema_of_a_newer_program(database: str, call: Call, tmp_path: Path) -> None:
    upgrade(database, [])
    query(database, "INSERT INTO grt.schema_version (version, program) VALUES (99, 'of tomorrow')")
    assert "schema version 99" in refused(call, tmp_path, database)


def test_without_the_right_to_temporary_tables_all_goes_well(database: str, user: str, tmp_path: Path) -> None:
    """As the documentation recommends it; the schemas may have been made by an admin."""
    query(database, f"REVOKE TEMPORARY ON DATABASE {name_of(database)} FROM PUBLIC")
    for schema in ("grt", "grt_data", "grt_public"):
        query(database, f"CREATE SCHEMA {schema} AUTHORIZATION fit_test")
    # What else an admin keeps there is of no concern.
    query(database, "CREATE TABLE grt.notes (n integer)")
    site = small_site(tmp_path, user)
    site.run()
    assert verify_published(site.config, user, SerialExecutor()).different == []


def test_what_a_database_is(database: str) -> None:
    with connection(database) as link, link.cursor() as cursor:
        found = fitness(cursor)
    assert (found.encoding, found.standby, found.read_only, found.schema) == ("UTF8", False, False, 0)
    assert (found.encoding_fault, found.rights_fault, found.schema_fault) == (None, None, None)
    upgrade(database, [])
    with connection(database) as link, link.cursor() as cursor:
        assert fitness(cursor).schema == SCHEMA_VERSION


@pytest.fixture
def home() -> Iterator[Path]:
    """The folder of a server of its own, whose user must be able to enter."""
    folder = Path(tempfile.mkdtemp(prefix="grt_batch-standby-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_process, "INITDB", (*server_process.INITDB, "--no-sync"))
        patch.setattr(server_process, "SETTINGS", (*server_process.SETTINGS, "wal_level=replica", "fsync=off"))
        yield folder
    shutil.rmtree(folder)


def test_a_standby_is_read_and_not_written(home: Path, call: Call, tmp_path: Path) -> None:
    with serve(home) as url:
        site = small_site(tmp_path / "before", url)
        site.run()
    (data,) = home.glob("postgres/*/data")
    (data / "standby.signal").touch()
    with serve(home) as url:
        said = refused(call, tmp_path, url)
        assert "the server is a standby, which accepts no writes" in said
        assert "add target_session_attrs=read-write" in said
        answer = call("query", "total-jobs", "--database", url, "--format", "tsv")
        assert (answer.code, answer.err) == (0, "")
        assert call("status", "--database", url).code == 0
        before = ["--uploads", site.config.uploads, "--work", site.config.work, "--reports", site.config.reports]
        answer = call("verify", *before, "--database", url)
        assert answer.code == 4
        assert "a standby" in answer.complaint
