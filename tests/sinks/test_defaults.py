"""What the environment, a role or a database set by default changes nothing that is sent, stored or read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psycopg2
import pytest
from build import line, write_archive
from calling import query
from coming_and_going import NOON, small_site
from places import ROOT
from runs import administer, name_of

from grt_batch.core.config import Config
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import read
from grt_batch.schema.members import Kind
from grt_batch.schema.tables import render
from grt_batch.sinks import connection as connection_file
from grt_batch.sinks.connection import connection, reading
from grt_batch.verify.verification import verify_published
from tests.sinks.test_postgres import ONE, publication, row

TEXTS = ["café_tool", "naïve", "大 😀", "€"]
QUERIES = read(ROOT / "config" / "sql")

HOSTILE = {
    "client_encoding": "WIN1252",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "row_security": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "array_nulls": "off",
    "xmloption": "document",
    "lc_messages": "C",
    "search_path": "shadow, pg_catalog",
    "lock_timeout": "7777",
    "statement_timeout": "77777",
    "idle_in_transaction_session_timeout": "77777",
}
"""Defaults that a role or a database may have, each another than PostgreSQL's own."""


SHADOW = """
CREATE SCHEMA shadow;
CREATE DOMAIN shadow.text AS pg_catalog.text; CREATE DOMAIN shadow.jsonb AS pg_catalog.jsonb;
CREATE FUNCTION shadow.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::regclass';
CREATE VIEW shadow.pg_inherits AS SELECT * FROM pg_catalog.pg_inherits WHERE false;
CREATE VIEW shadow.pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE false;
"""
"""A schema whose names come before those of PostgreSQL itself."""


def alter(url: str, settings: dict[str, str]) -> None:
    """Make these the defaults of the database."""
    for name, value in settings.items():
        values = value if name == "search_path" else f"'{value}'"
        administer(url, f"ALTER DATABASE {name_of(url)} SET {name} = {values}")


@pytest.fixture
def hostile(database: str) -> str:
    """The DSN of a database with hostile defaults."""
    query(database, SHADOW)
    alter(database, HOSTILE)
    return database


def in_environment(patch: pytest.MonkeyPatch, url: str) -> str:
    patch.setenv("PGCLIENTENCODING", "WIN1252")
    return url


def in_options(patch: pytest.MonkeyPatch, url: str) -> str:
    patch.setenv("PGOPTIONS", "-c client_encoding=LATIN1 -c standard_conforming_strings=off")
    return url


def in_url(_: pytest.MonkeyPatch, url: str) -> str:
    return str(psycopg2.extensions.make_dsn(url, client_encoding="WIN1252"))


def in_service(patch: pytest.MonkeyPatch, url: str, folder: Path) -> str:
    lines = [f"{name}={value}" for name, value in psycopg2.extensions.parse_dsn(url).items()]
    (folder / "services").write_text("\n".join(["[grt]", *lines, "client_encoding=WIN1252\n"]))
    patch.setenv("PGSERVICEFILE", str(folder / "services"))
    return "service=grt"


def in_database(_: pytest.MonkeyPatch, url: str) -> str:
    alter(url, {"client_encoding": "WIN1252"})
    return url


@pytest.mark.parametrize("where", ["environment", "options", "url", "service", "database"])
def test_text_is_stored_as_it_is_wherever_another_encoding_is_set(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    ways: dict[str, Callable[[], str]] = {
        "environment": lambda: in_environment(monkeypatch, database),
        "options": lambda: in_options(monkeypatch, database),
        "url": lambda: in_url(monkeypatch, database),
        "service": lambda: in_service(monkeypatch, database, tmp_path),
        "database": lambda: in_database(monkeypatch, database),
    }
    url = ways[where]()
    with publication(url, 1) as sink:
        rows = ONE.frame(pl.DataFrame({"key": TEXTS, "run": [1] * len(TEXTS)}))
        sink.copy(ONE, list(render(ONE, rows)), "of a test")
        sink.swap({**row(1), "version": TEXTS[0]})
        sink.commit()
    monkeypatch.delenv("PGCLIENTENCODING", raising=False)
    sent = "SELECT array_agg(encode(convert_to({}, 'UTF8'), 'hex') ORDER BY 1) FROM grt.{}"
    ((found,),) = query(database, sent.format("key", "one"))
    assert sorted(found) == sorted(text.encode().hex() for text in TEXTS)
    assert query(database, sent.format("version", "run")) == [([TEXTS[0].encode().hex()],)]
    with reading(url) as link, link.cursor() as cursor:
        cursor.execute('SELECT array_agg(key ORDER BY key COLLATE "C") FROM grt.one WHERE key <> %s', ("ü大",))
        assert cursor.fetchone() == (sorted(TEXTS),)


@pytest.mark.parametrize("opened", [connection, reading])
def test_no_default_is_in_force(hostile: str, opened: Any) -> None:
    with opened(hostile) as link, link.cursor() as cursor:
        cursor.execute("SELECT name, current_setting(name) FROM unnest(%s) AS name", (list(HOSTILE),))
        found = dict(cursor.fetchall())
        cursor.execute("SELECT current_setting('transaction_isolation')")
        (isolation,) = cursor.fetchone()
    wanted = {**connection_file._OF_A_RUN, "client_encoding": "UTF8"}
    own = {"lc_messages", "xmloption", "array_nulls", "default_transaction_isolation", "default_transaction_deferrable"}
    if opened is reading:
        # Of questions these are the user's: a table of one's own may be read, and for how long.
        own |= {"search_path", "row_security", "statement_timeout", "lock_timeout"}
        own |= {"idle_in_transaction_session_timeout"}
        assert isolation == "repeatable read"
    else:
        assert isolation == "read committed"
    assert {name: found[name] for name in HOSTILE.keys() - own} == {name: wanted[name] for name in HOSTILE.keys() - own}


def test_a_run_and_its_verification_are_the_same_under_any_defaults(hostile: str, tmp_path: Path) -> None:
    site = small_site(tmp_path, hostile)
    members = {
        Kind.JOBS: line(1, TEXTS[0], "1", "ok", "2024-06-01 10:00:00"),
        Kind.PARAMS: line(1, "name", json.dumps(json.dumps(TEXTS[2], ensure_ascii=False), ensure_ascii=False)),
    }
    write_archive(site.config.uploads / "c" / "archives", "1", members, version=2, generated=NOON)
    modules = ("tools", "params", "instances", "records")
    site.run(modules)
    made = query(hostile, "SELECT oid::int FROM pg_catalog.pg_class WHERE relkind = 'p' ORDER BY 1")
    site.write("a", "4", [7])
    site.run(modules)
    # A table whose columns seem to be others would be made again.
    assert query(hostile, "SELECT oid::int FROM pg_catalog.pg_class WHERE relkind = 'p' ORDER BY 1") == made
    assert verify_published(site.config, hostile, SerialExecutor()).different == []
    stored = ("SELECT tool_id FROM grt.tool", "SELECT tool_id FROM grt.job", "SELECT value FROM grt.job_param")
    for statement, text in zip(stored, (TEXTS[0], TEXTS[0], TEXTS[2]), strict=True):
        sent = f"SELECT DISTINCT encode(convert_to(t, 'UTF8'), 'hex') FROM ({statement}) AS x (t)"
        assert (text.encode().hex(),) in query(hostile, sent)


def test_every_query_has_the_same_answer_under_any_defaults(ran: Config) -> None:
    given = {"tool": "a", "tools": "upload1,Cut1"}

    def asked() -> dict[str, bytes]:
        found = {}
        for name, asked in QUERIES.items():
            required = {one.name: given[one.name] for one in asked.parameters if one.default is None}
            answer = answers.ask(ran.database, asked, asked.values(required))
            found[name] = answers.as_tsv(answer) + answers.as_json(answer)
        return found

    before = asked()
    alter(ran.database, {name: value for name, value in HOSTILE.items() if name != "search_path"})
    assert asked() == before
