"""Fixtures and options of several tests: sample uploads, a PostgreSQL, a run in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from build import QUICK
from calling import Call, calling
from frozen import Bucket, FrozenStore, frozen_store, new_bucket
from places import ROOT
from runs import administer, create_database, name_of

from grt_batch.core.config import Config
from grt_batch.core.errors import NoEmbeddedServer
from grt_batch.core.logs import logger
from grt_batch.core.work_folder import lock
from grt_batch.embedded_postgres.server import serve
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest, RunSummary, new_run_id
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL, write_sample

NOT_QUICK = {"frozen_server", "server", "grt_batch", "subprocess", "find_mpirun", "threading"}
"""Fixtures that start a process, and names that a test module imports to start processes or several ranks itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --bless, which writes the gold files again, and --quick, which leaves out what starts processes."""
    parser.addoption("--bless", action="store_true", help="replace the gold files by what the modules give now")
    parser.addoption(
        "--quick",
        action="store_true",
        help="leave out tests that start processes or ranks, and try half as many examples",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say --quick to the settings of hypothesis, which are made when test files are read."""
    if config.getoption("quick"):
        os.environ[QUICK] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what starts processes or ranks, if --quick is given."""
    if config.getoption("quick"):
        slow = [item for item in items if NOT_QUICK & {*item.fixturenames, *vars(item.module)}]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]


@pytest.fixture(autouse=True)
def own_umask() -> Iterator[None]:
    """A command, and a rank in a thread, set the umask of this process: it is as before after each test."""
    before = os.umask(0)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample uploads of 6,000 jobs: 4 instances of 3 archives, all metadata versions, a re-export, broken lines."""
    folder = tmp_path_factory.mktemp("sample") / "uploads"
    write_sample(folder, jobs=6000, seed=5)
    return folder


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of an embedded PostgreSQL for the whole session."""
    if pytestconfig.getoption("quick"):
        pytest.skip("no database with --quick")
    # pytest's own folders are closed to the user that the server of root runs as.
    folder = Path(tempfile.mkdtemp(prefix="grt_batch-server-"))
    folder.chmod(0o755)
    try:
        with serve(folder) as url:
            yield url
    except NoEmbeddedServer as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The URL of an empty database."""
    with _database(server, "template1") as url:
        yield url


@contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    """A copy of another database."""
    url = create_database(server, template)
    yield url
    administer(server, f"DROP DATABASE {name_of(url)} WITH (FORCE)")


@pytest.fixture
def config(tmp_path: Path, sample: Path, database: str) -> Config:
    """A configuration of its own for each test, over the sample."""
    return Config(uploads=sample, reports=tmp_path / "reports", work=tmp_path / "work", database=database)


@pytest.fixture(scope="session")
def run_here() -> Callable[..., RunSummary]:
    """A run in this process, serially."""

    def run(config: Config, *, as_of: date = UNTIL, **changes: object) -> RunSummary:
        request = replace(RunRequest(config=config, as_of=as_of), **changes)
        request = replace(request, run_id=new_run_id(request.started))
        with lock(config.work):
            return execute(request, SerialExecutor(), lambda: nullcontext(config.database))

    return run


@pytest.fixture(scope="session")
def _published(
    tmp_path_factory: pytest.TempPathFactory, sample: Path, server: str, run_here: Callable[..., RunSummary]
) -> Iterator[Config]:
    folder = tmp_path_factory.mktemp("published")
    with _database(server, "template1") as url:
        config = Config(uploads=sample, reports=folder / "reports", work=folder / "work", database=url)
        run_here(config)
        yield config


@pytest.fixture(scope="session")
def published_sample(server: str, _published: Config) -> Iterator[Config]:
    """The configuration of the one run over the sample that is made for all tests; nothing may be changed in it. Its
    database is a copy, since none can be made of one that a service is connected to."""
    with _database(server, str(psycopg2.extensions.parse_dsn(_published.database)["dbname"])) as url:
        yield replace(_published, database=url)


@pytest.fixture
def ran(tmp_path: Path, server: str, _published: Config) -> Iterator[Config]:
    """A configuration whose sample was published: a copy of the one run that is made for all tests."""
    for folder in (_published.reports, _published.work):
        shutil.copytree(folder, tmp_path / folder.name, symlinks=True)
    with _database(server, str(psycopg2.extensions.parse_dsn(_published.database)["dbname"])) as url:
        yield replace(_published, reports=tmp_path / "reports", work=tmp_path / "work", database=url)


@pytest.fixture
def grt_batch() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program as a command, with its output."""

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "grt_batch.cli", *map(str, arguments)]
        environment = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
            check=False, **options,
        )  # fmt: skip

    return call


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """The program in this process, in a folder without a configuration."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    with calling(capsys) as run:
        yield run


@pytest.fixture(scope="session")
def frozen_server() -> Iterator[FrozenStore]:
    """An S3 server with archive classes."""
    with frozen_store() as store:
        yield store


_BUCKETS = count(1)


@pytest.fixture
def bucket(frozen_server: FrozenStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket of that server for each test."""
    with new_bucket(frozen_server, next(_BUCKETS), monkeypatch) as bucket:
        yield bucket


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """What the ranks log; the logger is as before afterwards."""
    before = logger.handlers[:], logger.propagate, logger.level
    yield capsys
    logger.handlers[:], logger.propagate, logger.level = before


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small uploads of 2 instances, without fault but for lines that are rejected."""
    folder = tmp_path_factory.mktemp("good") / "uploads"
    write_sample(folder, instances=2, archives=2, jobs=240, seed=11)
    return folder
