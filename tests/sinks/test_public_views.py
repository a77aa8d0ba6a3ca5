"""What anyone may see: nothing that only instances added that are not public, and nothing but that for the reader."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from build import HEADERS, line, write_archive
from calling import query
from psycopg2 import errors

from grt_batch.core.config import Config
from grt_batch.core.logs import logger
from grt_batch.core.work_folder import lock
from grt_batch.ledger.datasource import DATASOURCE
from grt_batch.ledger.ledger import ARCHIVE, RUN
from grt_batch.modules.registry import discover
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.schema.members import Kind
from grt_batch.schema.tables import Table
from grt_batch.sinks import public_views
from grt_batch.sinks.postgres import upgrade
from grt_batch.sinks.public_views import PUBLIC, ROLE, Threshold

AS_OF = date(2024, 6, 30)
COUNTING = ("errors", "inputs", "instances", "metrics", "params", "tools")
"""The house's reports: another one changes nothing here."""
TABLES = {
    table.name: table
    for table in (ARCHIVE, RUN, DATASOURCE, *(table for name in COUNTING for table in discover()[name].tables))
}
METADATA: dict[str, dict[str, object] | None] = {
    "open": {
        "public": True,
        "title": "Open",
        "owners": ["Jürg Müller <jm@open.example>", "x@y.org", "no one"],
        "contact": "closed",
    },
    "wide": {"public": True},
    "closed": {"public": False, "title": "closed title", "owners": ["closed owner"]},
    "closed-null": {"public": None},
    "closed-silent": None,
}
"""Whatever the reader must not see has `closed` in it."""
CLOSED = [name for name in METADATA if "closed" in name]


SHED = "shed/repos/o/r/both"
"""A tool that a public instance runs in one version, and others in another."""


class Uploads:
    """Archives of some jobs, each with a parameter p, an input and a runtime."""

    def __init__(self) -> None:
        self.members: dict[str, dict[Kind, bytes]] = {name: dict(HEADERS) for name in METADATA}
        self.jobs = 0

    def add(
        self, instance: str, value: str, count: int = 1, *, tool: str = "tool", name: str = "p", extension: str = "bam",
        seconds: int = 4, month: int = 6, memory: int = 0, state: str = "ok",
    ) -> None:  # fmt: skip
        """Add so many jobs."""
        members = self.members[instance]
        for _ in range(count):
            self.jobs += 1
            job = self.jobs
            members[Kind.JOBS] += line(job, tool, "1", state, f"2024-{month:02}-15 00:00:00")
            members[Kind.METRIC_NUM] += line(job, "core", "runtime_seconds", f"{seconds}.0000000")
            if memory:
                members[Kind.METRIC_NUM] += line(job, "cgroup", "memory.peak", f"{memory}.0000000")
            members[Kind.PARAMS] += line(job, name, value)
            members[Kind.DATASETS] += line(job, job, extension, 1000, "in", "input")

    def write(self, root: Path) -> Path:
        """Write them; one of the instance `open` is in quarantine, and says why."""
        for name, members in self.members.items():
            folder = root / name
            write_archive(folder / "archives", "1", members, generated="1719000000")
            document = METADATA[name]
            if document is not None:
                (folder / "metadata.json").write_text(json.dumps(document))
        write_archive(root / "open" / "archives", "2", {}, version=9, closed=1)
        return root


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Uploads()
    made.add("open", "common", 3)
    made.add("closed", "common", 2)
    made.add("open", "few", 2)
    made.add("wide", "few", 2)
    made.add("open", "lonely", 9, memory=1_000_000)
    for name in CLOSED:
        made.add(name, "closed value", 5)
        made.add(name, "common", 5, tool="closed tool", memory=2_000_000)
        made.add(name, "common", 5, name="closed parameter")
        made.add(name, "common", extension="closed extension")
        made.add(name, "common", seconds=4000, memory=5_000_000)
    for tool, instances in {"tool": METADATA, "closed tool": CLOSED, "left": ["open", "closed"]}.items():
        for name in instances:
            made.add(name, "common", 2, tool=tool, month=5, seconds=900)
    made.add("closed", "common", tool="left", state="error")
    made.add("open", "common", tool=f"{SHED}/1")
    for name in CLOSED:
        made.add(name, "common", 3, tool=f"{SHED}/closed")
    return made.write(tmp_path_factory.mktemp("public") / "uploads")


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory, uploads: Path) -> Config:
    """A configuration with which any change of a tool is worth a row; who runs it names a database."""
    home = tmp_path_factory.mktemp("home")
    return Config(
        uploads=uploads, reports=home / "reports", work=home / "work",
        change_min_jobs=1, change_p_value=1.0, change_min_rate=0, change_runtime_percent=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def published(lenient: Config, server: str) -> Iterator[str]:
    """The URL of a database with all tables but the raw ones, for those who leave it as it is."""
    with made(server) as url:
        run(replace(lenient, database=url))
        yield url


@pytest.fixture
def copied(published: str) -> Iterator[str]:
    """The URL of a database that is like it."""
    with made(published, f"TEMPLATE {psycopg2.extensions.parse_dsn(published)['dbname']}") as url:
        yield url


@contextmanager
def made(server: str, template: str = "") -> Iterator[str]:
    """The URL of a new database."""
    name = f"public_{uuid.uuid4().hex[:12]}"
    with closing(psycopg2.connect(psycopg2.extensions.make_dsn(server, dbname="postgres"))) as link:
        link.autocommit = True
        link.cursor().execute(f"CREATE DATABASE {name} {template}")
        yield psycopg2.extensions.make_dsn(server, dbname=name)
        link.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(config: Config, *modules: str) -> None:
    """Run these modules, or all reports of the house."""
    request = RunRequest(config, AS_OF, modules or COUNTING, run_id=uuid.uuid4().hex)
    with lock(config.work):
        execute(request, SerialExecutor(), lambda: nullcontext(config.database))


@pytest.fixture
def reader(published: str) -> Iterator[Any]:
    """A connection that has become the reader."""
    with closing(psycopg2.connect(published)) as link:
        link.autocommit = True
        link.cursor().execute(f"SET ROLE {ROLE}")
        yield link


def rows(url: str, relation: str) -> list[dict[str, Any]]:
    """The rows of a table or view."""
    return [row for (row,) in query(url, f"SELECT to_jsonb(t) FROM {relation} AS t")]


def views(url: str) -> list[tuple[Any, ...]]:
    """The views of the schema, with what changes when one is made anew."""
    return query(
        url, f"SELECT relname, oid, xmin::text FROM pg_class WHERE relnamespace = '{PUBLIC}'::regnamespace ORDER BY 1"
    )


def test_there_is_a_view_of_each_table_with_its_columns(published: str) -> None:
    found = query(
        published,
        "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position)"
        f" FROM information_schema.columns WHERE table_schema = '{PUBLIC}' GROUP BY 1",
    )
    assert dict(found) == {name: [column.name for column in table.columns] for name, table in TABLES.items()}


def test_nothing_shows_that_only_instances_added_which_are_not_public(published: str) -> None:
    for name in TABLES:
        assert all("closed" not in json.dumps(row, ensure_ascii=False) for row in rows(published, f"{PUBLIC}.{name}"))
        if name not in ("datasource", "run", "param", "param_value", "tool"):
            assert any("closed" in json.dumps(row) for row in rows(published, f"grt.{name}")), name


OF_INSTANCES = [
    table
    for table in TABLES.values()
    # An owner may be a mail address, of which nothing shows.
    if "instance_id" in table.key and table.name not in ("tool_change", "instance_owner")
]


@pytest.mark.parametrize("table", OF_INSTANCES, ids=lambda table: table.name)
def test_rows_of_public_instances_show_and_of_all_those_that_one_added_to(published: str, table: Table) -> None:
    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in table.key)

    every = {key(row): row for row in rows(published, f"grt.{table.name}")}
    of_public = {place for place in every if place[0] in ("open", "wide")}
    of_all = {place for place in every if place[0] == "*" and {("open", *place[1:]), ("wide", *place[1:])} & of_public}
    shown = {key(row): row for row in rows(published, f"{PUBLIC}.{table.name}")}
    assert shown.keys() == of_public | of_all
    assert of_public
    if table.name in ("instance", "archive"):
        return
    assert all(row == every[place] for place, row in shown.items())
    assert (len(of_all) > 0) == (
        table.name in ("tool_usage", "tool_metric", "tool_histogram", "tool_input", "tool_extension", "tool_memory")
    )
    assert len(of_all) < len([place for place in every if place[0] == "*"]) or not of_all


def test_a_change_over_all_shows_where_a_public_instance_ran_the_tool_lately(published: str) -> None:
    changes = {(row["instance_id"], row["tool_id"]) for row in rows(published, f"{PUBLIC}.tool_change")}
    assert changes == {("open", "tool"), ("wide", "tool"), ("*", "tool")}
    every = {row["tool_id"] for row in rows(published, "grt.tool_change") if row["instance_id"] == "*"}
    assert every == {"tool", "closed tool", "left"}


def test_their_jobs_count_in_all(published: str) -> None:
    found = query(
        published,
        f"SELECT tool_version, jobs FROM {PUBLIC}.tool_usage"
        " WHERE instance_id = '*' AND period = 'all' AND tool_id = 'tool'",
    )
    assert dict(found) == dict.fromkeys(("1", "*"), 3 + 2 + 4 + 9 + len(CLOSED) * 12 + 2 * len(METADATA))


def test_all_versions_together_show_where_a_public_instance_ran_one(published: str) -> None:
    found = query(
        published,
        "SELECT instance_id, tool_id, tool_version, jobs, instances"
        f" FROM {PUBLIC}.tool_usage WHERE period = 'all' AND tool_id LIKE '{SHED}%'",
    )
    assert set(found) == {
        ("open", f"{SHED}/1", "1", 1, 1),
        ("*", f"{SHED}/1", "1", 1, 1),
        ("open", SHED, "*", 1, 1),
        ("*", SHED, "*", 1 + 3 * len(CLOSED), 1 + len(CLOSED)),
    }


def test_values_show_that_enough_jobs_of_enough_instances_have(published: str) -> None:
    shown = {(row["tool_id"], row["value"]): row for row in rows(published, f"{PUBLIC}.param_value")}
    assert {value for tool, value in shown if tool == "tool"} == {"common"}
    assert shown["tool", "common"]["instances"] == len(METADATA)
    assert shown["tool", "common"]["public_instances"] == 2
    assert {row["name"] for row in rows(published, f"{PUBLIC}.param")} == {"p"}
    assert {row["tool_id"] for row in rows(published, f"{PUBLIC}.tool")} == {"tool", "left", f"{SHED}/1"}


@pytest.mark.parametrize(
    ("threshold", "values"),
    [
        (Threshold(1, 1), {"common", "few", "lonely"}),
        (Threshold(4, 2), {"common", "few"}),
        (Threshold(9, 1), {"common", "lonely"}),
        (Threshold(10, 1), {"common"}),
        (Threshold(1, 6), set()),
    ],
)
def test_the_threshold_is_configured(copied: str, threshold: Threshold, values: set[str]) -> None:
    upgrade(copied, list(TABLES.values()), threshold)
    shown = query(copied, f"SELECT value FROM {PUBLIC}.param_value WHERE tool_id = 'tool'")
    assert {value for (value,) in shown} == values


def test_what_nobody_has_said_to_be_public_is_null(published: str) -> None:
    instances = {row["instance_id"]: row for row in rows(published, f"{PUBLIC}.instance")}
    assert instances["open"]["owners"] == ["Jürg Müller <[redacted]>", "[redacted]", "no one"]
    assert instances["open"]["metadata"] is None
    archives = {row["archive"]: row for row in rows(published, f"{PUBLIC}.archive") if row["instance_id"] == "open"}
    assert archives["2"]["state"] == "quarantined"
    assert {(row["reason"], row["metadata"]) for row in archives.values()} == {(None, None)}


def test_an_instance_that_nobody_knows_is_not_public(copied: str) -> None:
    query(copied, "UPDATE grt.instance SET public = NULL WHERE instance_id = 'open'")
    assert {row["instance_id"] for row in rows(copied, f"{PUBLIC}.tool_day")} == {"wide"}


def test_the_reader_reads_the_views_and_nothing_else(reader: Any) -> None:
    cursor = reader.cursor()
    for name in TABLES:
        cursor.execute(f"SELECT * FROM {PUBLIC}.{name}")
        assert cursor.fetchall(), name
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(f"SELECT 1 FROM grt.{name}")
    cursor.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace IN ('grt'::regnamespace, 'grt_data'::regnamespace)"
    )
    partitions = [name for (name,) in cursor.fetchall()]
    assert len(partitions) >= 2 * len(TABLES)
    for name in partitions:
        with pytest.raises(errors.InsufficientPrivilege):
            cursor.execute(f"SELECT 1 FROM {name}")


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO {PUBLIC}.run SELECT * FROM {PUBLIC}.run",
        f"UPDATE {PUBLIC}.run SET jobs = 0",
        f"DELETE FROM {PUBLIC}.run",
        f"TRUNCATE {PUBLIC}.run",
        f"DROP VIEW {PUBLIC}.run",
        f"CREATE VIEW {PUBLIC}.mine AS SELECT 1",
        f"CREATE TABLE {PUBLIC}.mine (one integer)",
        "CREATE TABLE grt.mine (one integer)",
        "CREATE TABLE public.mine (one integer)",
        "CREATE SCHEMA mine",
    ],
)
def test_the_reader_writes_nothing(reader: Any, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.WrongObjectType)):
        reader.cursor().execute(statement)


def test_a_condition_of_the_reader_sees_no_row_that_is_not_shown(reader: Any) -> None:
    """Any role may make functions of its own, and the cheapest condition is asked first: of all rows, were it let."""
    cursor = reader.cursor()
    cursor.execute(
        "CREATE FUNCTION pg_temp.told(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " 'BEGIN RAISE NOTICE ''%'', $1; RETURN TRUE; END'"
    )
    for name in TABLES:
        cursor.execute(f"SELECT * FROM {PUBLIC}.{name} AS t WHERE pg_temp.told(t::text)")
        cursor.execute(f"SELECT * FROM {PUBLIC}.{name} AS t WHERE pg_temp.told({TABLES[name].key[0]})")
    assert reader.notices
    assert not [notice for notice in reader.notices if "closed" in notice]


def test_the_records_of_single_jobs_have_no_view(lenient: Config, database: str) -> None:
    run(replace(lenient, database=database), "records", "instances")
    assert query(database, "SELECT count(*) > 0 FROM grt.job_param") == [(True,)]
    shown = {name for name, *_ in views(database)}
    assert shown == {"archive", "datasource", "run", *(table.name for table in discover()["instances"].tables)}


def test_without_a_table_of_instances_nothing_of_them_shows(lenient: Config, database: str) -> None:
    run(replace(lenient, database=database), "tools", "errors")
    assert {name for name, *_ in views(database)} == {"datasource", "run"}
    run(replace(lenient, database=database), "instances")
    assert rows(database, f"{PUBLIC}.tool_change")


def test_what_is_as_it_should_be_is_not_touched(copied: str, lenient: Config) -> None:
    before = views(copied)
    run(replace(lenient, database=copied))
    assert views(copied) == before
    run(replace(lenient, database=copied, public_value_jobs=6))
    after = views(copied)
    assert [new[:2] for new in after] == [old[:2] for old in before]
    assert [new[0] for new, old in zip(after, before, strict=True) if new != old] == ["param_value"]


def test_a_table_of_another_version_has_no_view_until_it_is_made_anew(copied: str, lenient: Config) -> None:
    query(copied, "ALTER TABLE grt.param_value RENAME COLUMN instances TO something_else")
    run(replace(lenient, database=copied), "tools")
    assert {name for name, *_ in views(copied)} == TABLES.keys() - {"param_value"}
    run(replace(lenient, database=copied))
    assert {name for name, *_ in views(copied)} == TABLES.keys()
    ((granted,),) = query(copied, f"SELECT has_table_privilege('{ROLE}', '{PUBLIC}.param_value', 'SELECT')")
    assert granted


@pytest.fixture
def user(database: str) -> Iterator[str]:
    """A user who may make schemas in the database, but no roles."""
    name = f"user_{uuid.uuid4().hex[:8]}"
    query(database, f"CREATE ROLE {name} LOGIN")
    query(database, f"GRANT CREATE ON DATABASE {database.rpartition('dbname=')[2].split()[0]} TO {name}")
    yield name
    query(database, f"DROP OWNED BY {name} CASCADE")
    query(database, f"DROP ROLE {name}")


def test_who_may_make_no_role_goes_on_and_says_what_an_admin_has_to_do(
    database: str, user: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    role = f'the "reader" {user}'
    monkeypatch.setattr(public_views, "ROLE", role)
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    monkeypatch.setattr(logger, "propagate", False)
    url = psycopg2.extensions.make_dsn(database, user=user)
    upgrade(url, list(TABLES.values()))
    (said,) = caplog.messages
    statement = f'CREATE ROLE "the ""reader"" {user}" NOLOGIN'
    assert f"{user} may not make what is missing. Have an admin run: {statement};" in said
    assert "\n" not in said
    query(database, statement)
    try:
        upgrade(url, list(TABLES.values()))
        assert len(caplog.messages) == 1
        assert query(database, f"SET ROLE {statement[12:-8]}; SELECT count(*) FROM {PUBLIC}.run") == [(0,)]
    finally:
        query(database, f"DROP OWNED BY {statement[12:-8]}; DROP ROLE {statement[12:-8]}")


def test_who_may_make_no_schema_says_so_too(
    database: str, user: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    query(database, f"REVOKE CREATE ON DATABASE {database.rpartition('dbname=')[2].split()[0]} FROM {user}")
    query(database, f"CREATE SCHEMA grt AUTHORIZATION {user}; CREATE SCHEMA grt_data AUTHORIZATION {user}")
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    monkeypatch.setattr(logger, "propagate", False)
    url = psycopg2.extensions.make_dsn(database, user=user)
    upgrade(url, list(TABLES.values()))
    (said,) = caplog.messages
    statement = f'CREATE SCHEMA "{PUBLIC}" AUTHORIZATION "{user}"'
    assert f"Have an admin run: {statement};" in said
    query(database, statement)
    upgrade(url, list(TABLES.values()))
    assert {name for name, *_ in views(database)} == TABLES.keys()
