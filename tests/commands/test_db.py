"""The commands for the schema of a database, its URL and psql."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from calling import NOWHERE, Answer, Call, query
from psycopg2.extensions import parse_dsn


def test_the_schema_is_upgraded_once(call: Call, database: str) -> None:
    first, second = (call("db", "upgrade", "--database", database) for _ in range(2))
    assert first == Answer(0, "schema version 2, from nothing\n", "")
    assert second == Answer(0, "schema version 2 already\n", "")
    assert query(database, "SELECT count(*) FROM grt.schema_version") == [(1,)]


def test_an_upgrade_after_a_run_changes_nothing(call: Call, finished: SimpleNamespace) -> None:
    before = query(finished.database, "SELECT count(*) FROM grt.tool_day")
    assert call("db", "upgrade", "--database", finished.database).out == "schema version 2 already\n"
    assert query(finished.database, "SELECT count(*) FROM grt.tool_day") == before


def test_the_url_is_the_configured_one(call: Call) -> None:
    assert call("db", "url", "--database", NOWHERE) == Answer(0, f"{NOWHERE}\n", "")


def test_psql_is_given_its_arguments(finished: SimpleNamespace, grt_batch: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "psql").write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    (tmp_path / "psql").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        done = grt_batch("db", "psql", "--database", finished.database, "-c", "SELECT 1", "--csv")
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == f"{finished.database} -c SELECT 1 --csv\n"


def test_without_psql_that_is_said(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = call("db", "psql", "--database", NOWHERE)
    assert answer.code == 2
    assert "psql is not on PATH" in answer.complaint


def test_psql_of_the_embedded_server_hears_nothing_of_another(
    server: str, grt_batch: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Path(parse_dsn(server)["host"]).parent
    (tmp_path / ".psqlrc").write_text("\\echo heard\n")
    for name, value in (("HOME", str(tmp_path)), ("PGSERVICE", "prod"), ("PGTZ", "Asia/Tokyo"), ("PGHOSTADDR", "::1")):
        monkeypatch.setenv(name, value)
    shown = ("SELECT current_database()", "SHOW timezone")
    options = [word for line in shown for word in ("-c", line)]
    done = grt_batch("db", "psql", "--work", work, "-A", "-t", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "grt\nUTC\n", "")


@pytest.mark.parametrize(
    "command", [("status",), ("query", "instance-popularity"), ("db", "psql")], ids=lambda command: command[0]
)
def test_what_only_reads_makes_no_embedded_database(call: Call, tmp_path: Path, command: tuple[str, ...]) -> None:
    answer = call(*command, "--work", tmp_path / "work", "--database", "embedded")
    assert (answer.code, answer.out) == (4, "")
    assert answer.complaint.startswith("Nothing was published yet")
    assert not (tmp_path / "work").exists()


@pytest.fixture
def with_target(database: str, tmp_path: Path) -> list[object]:
    """The option of a configuration with the target `second`, which is a database that is there."""
    file = tmp_path / "grt_batch.toml"
    url = f"{database} password=hunter2"
    file.write_text(f'[paths]\ndatabase = "{NOWHERE}"\n[targets.second]\nurl = "{url}"\ntables = ["tool"]\n')
    return ["--config", file]


def test_commands_of_the_database_take_the_name_of_a_target(
    call: Call, with_target: list[object], database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert call("db", "url", *with_target, "second") == Answer(0, f"{database}\n", "")
    assert call("db", "url", *with_target, "main") == call("db", "url", *with_target) == Answer(0, f"{NOWHERE}\n", "")
    assert call("db", "upgrade", *with_target, "second").out == "schema version 2, from nothing\n"
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'grt'::regnamespace AND relkind = 'p'"
    assert sorted(query(database, tables)) == [("archive",), ("instance",), ("tool",)]
    (tmp_path / "psql").write_text('#!/bin/sh\necho "$PGPASSWORD $@" > asked\nexit 7\n')
    (tmp_path / "psql").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert call("db", "psql", *with_target, "second", "-c", "SELECT 1").code == 7
    password, *asked = Path("asked").read_text().split()
    assert password == "hunter2"
    assert parse_dsn(" ".join(asked[:-3])) == parse_dsn(database)
    assert asked[-3:] == ["-c", "SELECT", "1"]


@pytest.mark.parametrize("command", ["url", "upgrade", "psql"])
def test_a_target_that_is_not_there_is_refused(call: Call, with_target: list[object], command: str) -> None:
    answer = call("db", command, *with_target, "third")
    assert answer.code == 2
    assert "there is no target 'third', only main, second" in answer.complaint
