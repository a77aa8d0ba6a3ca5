"""Errors end with the right exit code and one line; a run that fails or is stopped leaves everything as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from calling import AS_OF, NOWHERE, Answer, Call, places, query
from runs import published

from grt_batch.core.config import Config
from grt_batch.core.errors import (
    BadConfig,
    BadDatabaseUrl,
    DatabaseRefused,
    DatabaseUnreadable,
    Locked,
    SchemaTooNew,
    Stopped,
    UnknownModule,
)
from grt_batch.ledger.ledger import RUN
from grt_batch.modules.registry import discover
from grt_batch.pipeline.request import RunSummary
from grt_batch.sinks.schema import SCHEMA_VERSION


@pytest.fixture
def options(good: Path, tmp_path: Path, database: str) -> list[object]:
    """The options of a run of its own for each test."""
    return ["--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF]


def write_config(folder: Path, text: str) -> Path:
    (folder / "grt_batch.toml").write_text(text)
    return folder / "grt_batch.toml"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--nothing"],
        ["nothing"],
        ["run", "--as-of", "30.6.2024"],
        ["run", "--as-of", "2024-02-30"],
        ["run", "--as-of", "0001-01-01"],
        ["run", "--ranks", "0"],
        ["run", "--ranks"],
        ["run", "--log-format", "xml"],
        ["check"],
        ["check", "a", "b"],
        ["plan", "--print", "ranking"],
        ["sample", "x", "--jobs", "many"],
        ["db", "nothing"],
        ["run", "--config", "."],
    ],
    ids=" ".join,
)
def test_a_wrong_argument_ends_with_2_and_a_line(call: Call, arguments: list[str]) -> None:
    answer = call(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.complaint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[paths", "declaration"),
        ("[reading]\nblock_size = 1", "block_size"),
        ('[reading]\nblock_bytes = "x"', "block_bytes"),
    ],
)
def test_a_wrong_configuration_ends_with_2(call: Call, good: Path, tmp_path: Path, text: str, said: str) -> None:
    file = write_config(tmp_path, text)
    answer = call("run", "--uploads", good, "--config", file)
    assert answer.code == BadConfig.exit_code
    assert str(file) in answer.complaint
    assert said in answer.complaint


def test_a_wrong_environment_ends_with_2(call: Call, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRT_BATCH_BLOCK_BYTES", "many")
    answer = call("plan", "--uploads", good)
    assert answer.code == 2
    assert "GRT_BATCH_BLOCK_BYTES" in answer.complaint


def test_an_unknown_module_ends_with_2_and_names_the_known(call: Call, options: list[object], tmp_path: Path) -> None:
    answer = call("run", *options, "toools")
    assert answer.code == 2
    assert answer.complaint == str(UnknownModule(name="toools", known=", ".join(discover())))
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["plan"]], ids=" ".join)
def test_nothing_to_read_ends_with_3(call: Call, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    work = ["--work", tmp_path / "work"]
    for name in ("empty", "missing"):
        answer = call(*command, *work, "--uploads", tmp_path / name)
        assert answer.code == 3
        assert str(tmp_path / name) in answer.complaint


@pytest.mark.parametrize("command", [["run", "--database", NOWHERE], ["plan"]], ids=["run", "plan"])
def test_an_unknown_instance_ends_with_3(call: Call, good: Path, tmp_path: Path, command: list[str]) -> None:
    answer = call(*command, "--uploads", good, "--work", tmp_path / "work", "--instance", "nobody")
    assert answer.code == 3
    assert "nobody" in answer.complaint


def test_check_of_nothing_ends_with_3(call: Call, tmp_path: Path) -> None:
    answer = call("check", tmp_path / "missing")
    assert answer.code == 3
    assert answer.complaint


@pytest.mark.parametrize("url", [NOWHERE, "postgresql://127.0.0.1:1/none", "no dsn"])
@pytest.mark.parametrize("command", ["run", "status", "db upgrade"])
def test_an_unreachable_database_ends_with_4(
    call: Call, options: list[object], tmp_path: Path, url: str, command: str
) -> None:
    answer = call(*command.split(), *(options if command == "run" else []), "--database", url)
    assert (answer.code, answer.out) == (4, "")
    failure = DatabaseUnreadable if command == "status" else DatabaseRefused
    assert answer.complaint.endswith((BadDatabaseUrl if url == "no dsn" else failure).remedy)
    assert not (tmp_path / "reports" / "latest").exists()


def test_a_database_without_tables_has_no_status(call: Call, database: str) -> None:
    answer = call("status", "--database", database)
    assert answer.code == 4
    assert answer.complaint


def test_a_schema_newer_than_the_program_ends_with_4(
    call: Call, options: list[object], database: str, tmp_path: Path
) -> None:
    assert call("run", *options).code == 0
    before = published(tmp_path / "reports")
    query(database, "INSERT INTO grt.schema_version (version, program) VALUES (99, 'of tomorrow')")
    for command in (["run", *options], ["db", "upgrade", "--database", database]):
        answer = call(*command)
        assert answer.code == 4
        assert answer.complaint == str(SchemaTooNew(found=99, known=SCHEMA_VERSION))
    assert published(tmp_path / "reports") == before
    assert query(database, f"SELECT count(*) FROM grt.{RUN.name}") == [(1,)]


def test_a_work_folder_that_is_a_file_ends_with_4(call: Call, options: list[object], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call("run", *options, "--work", tmp_path / "file" / "work")
    assert answer.code == 4
    assert str(tmp_path / "file" / "work") in answer.complaint


HOLD = """
import fcntl, sys
with open(sys.argv[1], "a+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write("process 4711 on another host")
    file.flush()
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Another process holds the lock."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.communicate("")


def test_a_lock_that_another_process_holds_ends_with_5(call: Call, options: list[object], tmp_path: Path) -> None:
    with held(tmp_path / "work" / "lock"):
        answer = call("run", *options)
        assert (answer.code, answer.out) == (5, "")
        assert answer.complaint == str(Locked(holder="process 4711 on another host", work=tmp_path / "work"))
        assert not (tmp_path / "reports").exists()
    assert call("run", *options).code == 0


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a fault\nof two lines")


def test_what_nobody_foresaw_ends_with_6_and_a_line(
    call: Call, options: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grt_batch.pipeline.run.survey", fail)
    answer = call("run", *options)
    assert (answer.code, answer.out) == (6, "")
    assert "ZeroDivisionError: a fault of two lines" in answer.complaint
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("command", [["run"], ["plan"], ["check", "missing"], ["db", "url"]], ids=" ".join)
def test_with_debug_the_place_in_the_program_is_shown(call: Call, command: list[str]) -> None:
    bad_config = ["--config", "missing.toml"]
    answer = call(*command, *bad_config, "--debug")
    assert answer.code == 2
    *trace, last = answer.err.splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert last.startswith("grt-batch: ") and "missing.toml" in last
    assert f"{last}\n" == call(*command, *bad_config).err


WAIT = """
import importlib, sys, time
from grt_batch.cli import main

place, *arguments = sys.argv[1:]
owner, _, name = place.rpartition(".")
module, _, kind = owner.rpartition(".")
kind = getattr(importlib.import_module(module), kind)

def wait(*_):
    print("waiting", flush=True)
    while True:
        # Not signal.pause(): it would miss a signal that came just before.
        time.sleep(0.1)

setattr(kind, name, wait)
main(["run", *arguments])
"""
STOPS = [
    (signal.SIGTERM, "grt_batch.pipeline.tasks.DecodeTask.run"),
    (signal.SIGINT, "grt_batch.pipeline.tasks.AggregateTask.run"),
    (signal.SIGTERM, "grt_batch.sinks.postgres.Publication.swap"),
]


@pytest.mark.parametrize(("number", "place"), STOPS, ids=lambda part: str(getattr(part, "name", part)))
def test_a_run_that_is_stopped_publishes_nothing_and_the_next_is_right(
    run_here: Callable[..., RunSummary],
    good: Path,
    tmp_path: Path,
    database: str,
    number: signal.Signals,
    place: str,
) -> None:
    options = ["--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF]
    command = [sys.executable, "-c", WAIT, place, *map(str, options)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        printed, complained = process.communicate(timeout=60)
    answer = Answer(process.returncode, printed, complained)
    assert (answer.code, answer.out) == (128 + number, "")
    assert answer.complaint == str(Stopped(number))
    assert published(tmp_path / "reports") == {}
    assert list((tmp_path / "reports").rglob("*.tsv")) == []
    assert query(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'grt%'") == []
    config = Config(uploads=good, reports=tmp_path / "reports", work=tmp_path / "work", database=database)
    run_here(config)
    fresh = replace(config, reports=tmp_path / "fresh", work=tmp_path / "fresh-work")
    run_here(fresh)
    assert published(config.reports) == published(fresh.reports)
    left = "relnamespace = 'grt_data'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    assert query(database, f"SELECT relname FROM pg_class WHERE {left}") == []
