"""Queries of a test's own, and the ready ones on what a run published."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from calling import query
from places import ROOT

from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.queries import results as answers
from grt_batch.queries.definitions import read
from grt_batch.sample import UNTIL

QUERIES = read(ROOT / "config" / "sql")


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a folder with queries of one's own."""

    def write(text: str, name: str = "own.sql") -> Path:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_text(text, encoding="utf-8")
        return tmp_path / "own"

    return write


@pytest.fixture(scope="package")
def filled(server: str, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with what all modules publish of the sample."""
    name, folder = f"queries_{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("queries")
    administer(server, f"CREATE DATABASE {name}")
    url = psycopg2.extensions.make_dsn(server, dbname=name)
    config = Config(uploads=sample, reports=folder / "reports", work=folder / "work", database=url)
    with lock(config.work):
        execute(RunRequest(config=config, as_of=UNTIL, run_id="queries"), SerialExecutor(), lambda: nullcontext(url))
    yield url
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def administer(url: str, statement: str) -> None:
    link = psycopg2.connect(url)
    link.autocommit = True
    link.cursor().execute(statement)
    link.close()


@pytest.fixture(scope="package")
def popular(filled: str) -> str:
    """The id of the tool with the most jobs."""
    ((tool,),) = query(
        filled,
        "SELECT tool_id FROM grt.tool_usage WHERE instance_id = '*' AND tool_version = '*' AND period = 'all'"
        " ORDER BY jobs DESC LIMIT 1",
    )
    return str(tool)


@pytest.fixture
def ask(filled: str) -> Callable[..., list[dict[str, Any]]]:
    """Asks a query, and gives its rows by column."""

    def rows(name: str, **given: str) -> list[dict[str, Any]]:
        found = QUERIES[name]
        answer = answers.ask(filled, found, found.values(given))
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    return rows
