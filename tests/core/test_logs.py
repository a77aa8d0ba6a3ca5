"""Passwords show nowhere: in no message, log, list of processes or summary; and libpq finds them where it looks."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from calling import AS_OF, Answer, Call, places, query

from grt_batch.core.logs import logger, set_up, without_passwords

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/d?sslmode=require", "postgresql://u@h:5432/d?sslmode=require"),
        ("postgresql://u:hun@ter2@h/d", "postgresql://u@h/d"),
        ("postgresql://u:hun/ter2@h/d", "postgresql://u@h/d"),
        ("postgresql://u:hun/t@er2@h/d", "postgresql://u@h/d"),
        ("postgresql://:hunter2@h/d", "postgresql://@h/d"),
        ("postgresql://h:5432/d?application_name=a@b", "postgresql://h:5432/d?application_name=a@b"),
        ("postgresql://u@h/d?password=hunter2&sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgresql:///d?host=/x&password=hunter2", "postgresql:///d?host=/x"),
        ("'postgresql://u:hunter2@h/d' is wrong", "'postgresql://u@h/d' is wrong"),
        ("host=h password=hunter2 dbname=d", "host=h dbname=d"),
        (r"host=h password = 'hun\'t er2' dbname=d", "host=h dbname=d"),
        ("s3://key:hunter2@bucket/x and sftp://a:hunter2@b", "s3://key@bucket/x and sftp://a@b"),
        ("service=grt", "service=grt"),
        ("no password supplied: see https://example.org:80/a", "no password supplied: see https://example.org:80/a"),
    ],
)
def test_a_text_is_shown_without_passwords(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_has_no_passwords(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        set_up(form, "run", 0, "serial")
        logging.getLogger("grt_batch").warning("copying to %s failed", f"sftp://u:{SECRET}@h/x")
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
    said = capsys.readouterr().err
    assert "sftp://u@h/x" in said
    assert SECRET not in said


READABLE = [
    f"postgresql://u:{SECRET}@127.0.0.1:1/d",
    f"postgresql://u:{SECRET}@/d?host=/nowhere",
    f"postgresql://u@/d?host=/nowhere&password={SECRET}",
    f"host=/nowhere dbname=d user=u password={SECRET}",
]
UNREADABLE = [
    # What libpq does not read as it is meant, and would quote.
    f"postgresql://u:a@{SECRET}@127.0.0.1:1/d",
    f"postgresql://u:a/{SECRET}@127.0.0.1:1/d",
    f"postgresql://u:{SECRET}/a@127.0.0.1:1/d",
    f"postgresql://u:a:{SECRET}@[::1/d",
    f"host=/nowhere password=a {SECRET}",
    f"host=/nowhere passwort={SECRET} password=x",
    f"postgresql://u:a@127.0.0.1:1/d?pasword={SECRET}",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the work and the reports of all runs: what one has computed, the next one need not."""
    return tmp_path_factory.mktemp("home")


def hidden(answer: Answer, home: Path) -> bool:
    """Whether the secret is neither in what was said nor in any file."""
    files = [file.read_bytes() for file in home.rglob("*") if file.is_file()]
    return not any(SECRET in text for text in (answer.out, answer.err, *map(repr, files)))


@pytest.mark.parametrize("url", [*READABLE, *UNREADABLE])
def test_no_message_has_the_password(url: str, call: Call, good: Path, home: Path) -> None:
    run = ("run", "--uploads", good, *places(home), "--as-of", AS_OF, "--database", url, "tools")
    for command in (run, (*run, "--debug"), (*run, "--dry-run"), *(("status",), ("db", "upgrade"), ("db", "url"))):
        answer = call(*command, *(() if command[0] == "run" else ("--database", url)))
        assert hidden(answer, home), command
        assert answer.code == (0 if command[-1] == "--dry-run" or (command[-1] == "url" and url in READABLE) else 4)


@pytest.mark.parametrize("url", READABLE)
def test_a_url_in_the_wrong_place_is_not_told_either(url: str, call: Call, good: Path, home: Path) -> None:
    run = ("run", "--uploads", good, *places(home))
    for command in ((*run, f"--databse={url}"), (*run, url), ("plan", "--uploads", good, url), ("modules", url)):
        answer = call(*command)
        assert answer.code == 2
        assert hidden(answer, home), command


@pytest.fixture
def guarded(database: str) -> Iterator[tuple[str, str]]:
    """The name and the password of a user of whom the server wants a password, and who owns the database."""
    user, password = f"guarded_{uuid.uuid4().hex[:8]}", "p@ss/w:rd %"
    parts = psycopg2.extensions.parse_dsn(database)
    query(database, f"CREATE ROLE {user} LOGIN PASSWORD '{password}'; ALTER DATABASE {parts['dbname']} OWNER TO {user}")
    (file,) = Path(parts["host"]).resolve().glob("*/data/pg_hba.conf")
    before = file.read_text()
    file.write_text(f"local all {user} scram-sha-256\n{before}")
    query(database, "SELECT pg_reload_conf()")
    yield user, password
    file.write_text(before)
    query(database, f"SELECT pg_reload_conf(); ALTER DATABASE {parts['dbname']} OWNER TO {parts['user']};"
          f" REASSIGN OWNED BY {user} TO {parts['user']}; DROP OWNED BY {user}; DROP ROLE {user}")  # fmt: skip


@pytest.mark.parametrize("way", ["PGPASSFILE", "PGPASSWORD", "PGSERVICEFILE", "the URL"])
def test_the_password_may_come_from_where_libpq_looks_for_it(
    guarded: tuple[str, str], database: str, good: Path, home: Path, tmp_path: Path, way: str, call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    user, password = guarded
    parts = psycopg2.extensions.parse_dsn(database)
    host, name, port = parts["host"], parts["dbname"], parts["port"]
    url = f"postgresql://{user}@/{name}?host={quote(host, safe='')}&port={port}"
    assert "no password supplied" in call("status", "--database", url).complaint
    file = tmp_path / "secret"
    match way:
        case "PGPASSFILE":
            file.write_text(f"*:*:*:{user}:{password.replace(':', chr(92) + ':')}\n")
            file.chmod(0o600)
            monkeypatch.setenv(way, str(file))
        case "PGPASSWORD":
            monkeypatch.setenv(way, password)
        case "PGSERVICEFILE":
            lines = (f"{key}={value}" for key, value in {**parts, "user": user, "password": password}.items())
            file.write_text("\n".join(["[grt]", *lines, ""]))
            monkeypatch.setenv(way, str(file))
            url = "service=grt"
        case _:
            url = url.replace(user, f"{user}:{quote(password, safe='')}")
    run = call("run", "--uploads", good, *places(home), "--as-of", AS_OF, "--database", url, "tools")
    assert run.code == 0, run.err
    assert query(database, "SELECT count(*) FROM grt.run") == [(1,)]


def test_psql_is_not_given_the_password_as_an_argument(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "psql"
    program.write_text(f'#!/bin/sh\necho "$@ $PGPASSWORD" > {tmp_path}/called\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert call("db", "psql", "--database", f"postgresql://u:{SECRET}@h/d", "--", "-c", "x").code == 0
    assert (tmp_path / "called").read_text() == f"user=u dbname=d host=h -c x {SECRET}\n"
