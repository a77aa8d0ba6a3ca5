"""A disk that is full ends a run with code 4 and a line that names the folder; with room again, the next is right."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from calling import query
from runs import published

from grt_batch.core.config import Config
from grt_batch.core.errors import CannotWrite, DatabaseRefused, NoEmbeddedServer, PublishedInPart
from grt_batch.core.work_folder import lock
from grt_batch.embedded_postgres.server import serve
from grt_batch.ledger.ledger import RUN
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL
from grt_batch.schema.tables import Column, Table, Type
from grt_batch.sinks.postgres import Publication

Run = Callable[..., RunSummary]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own for a folder. Skips the test where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=3000,mode=0755", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here: that takes root, and tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left, for bytes and for files."""
    others = folder / "of somebody else"
    others.mkdir()
    file = others / "large"
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        while stream.write(bytes(1 << 16)):
            pass
    with suppress(OSError), file.open("ab", buffering=0) as stream:
        while stream.write(b"0"):
            pass
    with suppress(OSError):
        for number in count():
            (others / f"{number}").touch()
    return others


@contextmanager
def no_room(folder: Path, how: str) -> Iterator[None]:
    """Nothing more can be written into a folder: its disk is full, or no file may be larger than a few bytes."""
    if how == "limit":
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return
    others = fill(folder)
    yield
    shutil.rmtree(others)


@pytest.fixture
def small(config: Config, good: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Config]:
    """A configuration one of whose folders is on a disk of its own."""
    config = replace(config, uploads=good)
    folder, how = request.param
    if how == "limit":
        yield config
        return
    with small_disk(tmp_path / folder, "8m"):
        yield config


ONE = Table("one", "a table", ("key",), (Column("key", Type.TEXT, "key"), Column("run", Type.BIGINT, "run")))
WAYS = [("work", "disk"), ("work", "limit"), ("reports", "disk"), ("reports", "limit")]


@pytest.fixture(scope="module")
def undisturbed(good: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """What a run has published that had all the room that it wanted."""
    home = tmp_path_factory.mktemp("undisturbed")
    config = Config(uploads=good, reports=home / "reports", work=home / "work", database=server)
    with lock(config.work):
        execute(RunRequest(config, UNTIL, run_id="undisturbed"), SerialExecutor(), lambda: nullcontext(server))
    return config


@pytest.mark.parametrize(("small", "way"), [(way, way) for way in WAYS], ids=map("-".join, WAYS), indirect=["small"])
def test_a_full_disk_publishes_nothing_and_the_next_run_is_right(
    small: Config, way: tuple[str, str], run_here: Run, undisturbed: Config
) -> None:
    folder, how = way
    if folder == "reports":
        # All that is computed is there already.
        shutil.copytree(undisturbed.work, small.work)
    place = getattr(small, folder)
    place.mkdir(exist_ok=True)
    with no_room(place, how), pytest.raises(CannotWrite) as raised:
        run_here(small)
    assert raised.value.exit_code == 4
    assert str(place) in str(raised.value)
    assert ("No space left on device" if how == "disk" else "File too large") in str(raised.value)
    assert "\n" not in str(raised.value)
    assert published(small.reports) == {}
    assert list(small.reports.rglob("*.tsv")) == []
    assert query(small.database, "SELECT FROM pg_namespace WHERE nspname = 'grt'") == []
    run_here(small)
    assert published(small.reports) == published(undisturbed.reports)


@pytest.mark.parametrize("small", [("reports", "disk")], ids=["reports"], indirect=True)
def test_reports_appear_even_where_the_disk_is_full_by_then(
    small: Config, run_here: Run, undisturbed: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed.work, small.work)
    commit = Publication.commit

    def commit_and_fill(sink: Publication) -> None:
        commit(sink)
        fill(small.reports)

    monkeypatch.setattr(Publication, "commit", commit_and_fill)
    run_here(small)
    assert published(small.reports) == published(undisturbed.reports)


def test_reports_that_cannot_be_renewed_after_the_database_are_told_of(
    config: Config, good: Path, run_here: Run, undisturbed: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, uploads=good)
    shutil.copytree(undisturbed.work, config.work)
    commit = Publication.commit

    def commit_and_block(sink: Publication) -> None:
        commit(sink)
        (config.reports / "latest").mkdir()

    with monkeypatch.context() as patch:
        patch.setattr(Publication, "commit", commit_and_block)
        with pytest.raises(PublishedInPart) as raised:
            run_here(config)
    assert raised.value.exit_code == 4
    assert raised.value.folder == config.reports
    (config.reports / "latest").rmdir()
    run_here(config)
    assert published(config.reports) == published(undisturbed.reports)


def test_what_cannot_be_kept_after_the_publication_is_told_of(
    config: Config, good: Path, run_here: Run, undisturbed: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, uploads=good)
    shutil.copytree(undisturbed.work, config.work)

    def full(*_: object) -> None:
        raise CannotWrite(folder=config.work, what="No space left on device")

    monkeypatch.setattr("grt_batch.pipeline.run.hold_cap", full)
    with pytest.raises(PublishedInPart, match=str(config.work)):
        run_here(config)
    assert published(config.reports) == published(undisturbed.reports)


@pytest.fixture
def cramped(server: str) -> Iterator[str]:
    """The URL of a database whose tables go on a disk of their own."""
    name = f"cramped_{uuid.uuid4().hex[:12]}"
    # Not below pytest's own folders, which are closed to the user of root's server.
    home = Path(tempfile.mkdtemp(prefix="grt_batch-cramped-"))
    home.chmod(0o755)
    with small_disk(home / "disk", "6m") as disk, closing(psycopg2.connect(server)) as link:
        link.autocommit = True
        cursor = link.cursor()
        owner = Path(psycopg2.extensions.parse_dsn(server)["host"]).stat()
        os.chown(disk, owner.st_uid, owner.st_gid)
        cursor.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
        cursor.execute(f"CREATE DATABASE {name}")
        cursor.execute(f"ALTER DATABASE {name} SET default_tablespace = {name}")
        yield psycopg2.extensions.make_dsn(server, dbname=name)
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        cursor.execute(f"DROP TABLESPACE {name}")
    shutil.rmtree(home)


def test_a_full_disk_of_the_database_publishes_nothing(cramped: str) -> None:
    def publish(rows: int) -> None:
        run = dict.fromkeys(column.name for column in RUN.columns) | {"run_id": f"r{rows}"}
        with Publication(cramped, [ONE], lock_timeout_ms=100, lock_tries=3, run_id=f"r{rows}") as sink:
            sink.copy(ONE, [b"key %d\t%d\n" % (i, rows) for i in range(rows)], f"{rows} rows")
            sink.swap(run)
            sink.commit()

    publish(10)
    with pytest.raises(DatabaseRefused, match="No space left on device") as raised:
        publish(200_000)
    assert raised.value.exit_code == 4
    assert "\n" not in str(raised.value)
    assert query(cramped, "SELECT count(*), max(run) FROM grt.one") == [(10, 10)]
    assert query(cramped, "SELECT relname FROM pg_class WHERE relname ~ '^one_r[0-9]+$'") == [("one_r10",)]
    publish(20_000)
    assert query(cramped, "SELECT count(*), max(run) FROM grt.one") == [(20_000, 20_000)]


def test_a_full_disk_of_the_embedded_server_is_named() -> None:
    home = Path(tempfile.mkdtemp(prefix="grt_batch-cramped-"))
    home.chmod(0o755)
    with small_disk(home / "work", "8m") as work:
        with pytest.raises(NoEmbeddedServer, match="No space left on device") as raised, serve(work):
            raise AssertionError("there is no room for it")
        assert raised.value.exit_code == 4
        assert "\n" not in str(raised.value)
    shutil.rmtree(home)
