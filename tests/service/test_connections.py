"""A database that is slow, busy, gone, back, or not for everybody: each is an answer in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg2
import pytest
from answering import refusal, served
from calling import NOWHERE, query

from grt_batch.core.config import Config
from grt_batch.queries.definitions import Query
from grt_batch.service.keys import ADMIN, KeyStore
from grt_batch.service.questions import LAST_PAGE

SQL = {
    "slow": "SELECT pg_sleep(60)::text",
    "short": "SELECT pg_sleep(0.05)::text, pg_backend_pid()",
    "secret": "SELECT rolpassword FROM pg_authid",
    "data": "SELECT 1 / 0",
    "write": "CREATE TABLE grt.own (x integer)",
    "none": "SELECT * FROM grt.nothing",
    "who": "SELECT current_user::text, current_setting('search_path')",
    "written": r"SELECT '\xff'::bytea::text AS bytes, (interval '1 day')::text AS span, 0.1::real::text AS real",
    "escape": "SELECT set_config('role', 'none', true), (SELECT count(*) FROM grt.tool_day)",
}
QUERIES = {name: Query(name, "?", (), sql, Path("own.sql")) for name, sql in SQL.items()}


@pytest.fixture(scope="module")
def config(published_sample: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("connections")
    keys = str(folder / "keys.json")
    return replace(published_sample, keys_file=keys, query_timeout_seconds=1, query_connections=2)


@pytest.fixture(scope="module")
def client(config: Config) -> Iterator[httpx.Client]:
    with served(config, QUERIES) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("slow", 504, "The answer took longer than 1 s: ask for less"),
        ("secret", 403, "This is for administrators: ask with one of their keys"),
        ("data", 400, "The database cannot compute that: division by zero"),
        ("write", 503, "The database cannot be asked now: try again later"),
        ("none", 503, "No run has published these tables yet: ask again after the next run"),
    ],
)
def test_what_the_database_refuses_is_a_sentence(client: httpx.Client, name: str, status: int, said: str) -> None:
    for _ in range(2):
        assert refusal(client.get(f"/api/queries/{name}"), status) == said
    assert client.get("/api/queries/who").status_code == 200


def test_everybody_reads_as_the_reader_and_an_administrator_as_the_service(
    client: httpx.Client, config: Config
) -> None:
    key = KeyStore(config.keys_path, config.uploads).add(ADMIN)
    users = [
        client.get("/api/queries/who", headers=headers).json()[0]["current_user"]
        for headers in ({}, {"Authorization": f"{ADMIN}:{key}"}, {})
    ]
    assert users == ["grt_reader", "grt", "grt_reader"]


def test_answers_are_written_alike_whatever_the_defaults_of_the_session_are(config: Config) -> None:
    defaults = "-c bytea_output=escape -c IntervalStyle=iso_8601 -c extra_float_digits=-5"
    hostile = replace(config, database=psycopg2.extensions.make_dsn(config.database, options=defaults))
    with served(hostile, QUERIES) as client:
        assert client.get("/api/queries/written").json() == [{"bytes": r"\xff", "span": "1 day", "real": "0.1"}]


def test_a_question_cannot_leave_its_schema(client: httpx.Client, config: Config) -> None:
    everything = query(config.database, "SELECT count(*) FROM grt_public.tool_day")
    assert client.get("/api/queries/escape").json()[0]["count"] == everything[0][0]


def test_the_last_page_of_all_is_empty(client: httpx.Client, config: Config) -> None:
    answer = client.get("/api/queries/who", params={"page": LAST_PAGE, "page_size": config.query_page_rows})
    assert (answer.status_code, answer.json()) == (200, [])


def test_connections_are_few_and_are_used_again(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.get, ["/api/queries/short"] * 12))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()[0]["pg_backend_pid"] for answer in answers}) <= 2


def test_a_connection_that_was_lost_is_made_anew(client: httpx.Client, config: Config) -> None:
    first = client.get("/api/queries/short").json()[0]["pg_backend_pid"]
    query(config.database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE application_name = 'grt_batch serve'")  # fmt: skip
    answer = client.get("/api/queries/short")
    assert answer.status_code == 200
    assert answer.json()[0]["pg_backend_pid"] != first


@pytest.mark.parametrize("database", [NOWHERE, "no dsn"])
def test_a_database_that_is_down_is_a_sentence(config: Config, database: str) -> None:
    with served(replace(config, database=database), QUERIES) as client:
        for path in ("/api/queries/who", "/api/instances.geojson"):
            answer = client.get(path)
            assert refusal(answer, 503) == "The database cannot be asked now: try again later"
            assert answer.headers["retry-after"]
        assert client.get("/healthz").status_code == 200


def test_before_the_first_run_that_is_said(config: Config, database: str) -> None:
    with served(replace(config, database=database), QUERIES) as client:
        for _ in range(2):
            assert "No run has published" in refusal(client.get("/api/instances.geojson"), 503)


def test_too_many_questions_at_once_are_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grt_batch.service.connections.WAIT_SECONDS", 0.1)
    with served(replace(config, query_connections=1), QUERIES) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(client.get, ["/api/queries/slow"] * 4))
    assert sorted(answer.status_code for answer in answers) == [503, 503, 503, 504]
