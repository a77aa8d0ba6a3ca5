"""The command line: what every command prints, its exit codes, and errors of one line each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import psycopg2
import pytest
from build import line, write_archive
from conftest import ROOT, copy_uploads, published

from grt_batch import cli
from grt_batch.config import Config
from grt_batch.ledger import RUN
from grt_batch.logs import logger
from grt_batch.module import discover
from grt_batch.records import Kind
from grt_batch.run import Summary
from grt_batch.sample import write_sample

AS_OF = "2024-06-30"
NOWHERE = "host=/nowhere dbname=none"


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of its error."""
        assert self.err.startswith("grt-batch: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n")
        return self.err.removeprefix("grt-batch: ").rstrip()


Call = Callable[..., Answer]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """The program in this process, in a folder without a configuration."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    log = logger.handlers[:], logger.level, logger.propagate
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Answer(int(ended.value.code or 0), printed.out, printed.err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)
    logger.handlers[:], logger.level, logger.propagate = log


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small uploads of 2 instances, without fault but for lines that are rejected."""
    folder = tmp_path_factory.mktemp("good") / "uploads"
    write_sample(folder, instances=2, archives=2, jobs=240, seed=11)
    return folder


@pytest.fixture(scope="module")
def bad(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but one archive is damaged, one half there, and a file lies about."""
    folder = tmp_path_factory.mktemp("bad") / "uploads"
    copy_uploads(good, folder)
    damaged, half, *_ = sorted(folder.rglob("*.tar.gz"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    half.with_name(half.name.replace(".tar.gz", ".json")).unlink()
    (folder / "stray").touch()
    return folder


@pytest.fixture
def options(good: Path, tmp_path: Path, database: str) -> list[object]:
    """The options of a run of its own for each test."""
    return ["--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF]


def places(folder: Path) -> list[object]:
    return ["--reports", folder / "reports", "--work", folder / "work"]


def query(database: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg2.connect(database) as link, link.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall() if cursor.description else []
    link.close()
    return rows


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    yield before
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


# Help, and what only looks.


@pytest.mark.parametrize("command", list(commands(cli.cli)), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(call: Call, command: tuple[str, ...], option: str) -> None:
    answer = call(*command, option)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: {' '.join(['grt-batch', *command])} ")


def test_the_program_tells_its_version(call: Call) -> None:
    answer = call("--version")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("grt-batch, version ")


def test_manager_py_is_run(good: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "manager.py"), "--dry-run", "--uploads", str(good), "tools"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "never read" in done.stdout


def test_modules_are_listed_with_their_questions_and_tables(call: Call) -> None:
    answer = call("modules")
    assert (answer.code, answer.err) == (0, "")
    for name, module in discover().items():
        assert f"{name}: {' '.join((module.__doc__ or '').split())}\n" in answer.out.replace(" (opt-in)", "")
        assert f"tables: {', '.join(table.name for table in module.tables)}\n" in answer.out


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"], ["run", "--dry-run", "--ranks", "4"]], ids=str)
def test_a_plan_tells_all_and_writes_nothing(call: Call, bad: Path, tmp_path: Path, command: list[str]) -> None:
    work = tmp_path / "work"
    answer = call(*command, "--uploads", bad, "--work", work)
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["instance", "archive", "state", "bytes", "why"]
    assert sum(" new " in line and line.endswith("never read") for line in lines) == 3
    assert sum(" incomplete " in line for line in lines) == 1
    assert lines[-2] == "passed over: stray: not a folder"
    assert lines[-1].endswith("bytes to read; advised: --ranks 3, 15 minutes of a batch system")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not list((tmp_path / "home").iterdir())


def test_a_plan_may_be_json(call: Call, bad: Path) -> None:
    answer = call("plan", "--uploads", bad, "--print", "json")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    assert [row["state"] for row in document["archives"]].count("new") == 3
    to_read = sum(row["bytes"] for row in document["archives"] if row["state"] == "new")
    assert document["advice"] == {"bytes_to_read": to_read, "ranks": 3, "minutes": 15}
    assert document["passed_over"] == ["stray: not a folder"]


@pytest.mark.parametrize(("form", "number"), [("ranks", "3"), ("minutes", "15")])
def test_a_plan_may_be_a_number_for_a_script(call: Call, good: Path, form: str, number: str) -> None:
    answer = call("plan", "--uploads", good, "--print", form)
    assert answer == Answer(0, f"{number}\n", "")


def test_a_plan_may_be_of_one_instance(call: Call, good: Path) -> None:
    name = min(path.name for path in good.iterdir())
    rows = json.loads(call("plan", "--uploads", good, "--instance", name, "--print", "json").out)["archives"]
    assert {row["instance"] for row in rows} == {name}


def test_check_finds_good_uploads_good(call: Call, good: Path, tmp_path: Path) -> None:
    answer = call("check", good)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count(": good: ") == 4
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_check_names_what_is_damaged_and_what_is_incomplete(call: Call, bad: Path) -> None:
    answer = call("check", bad)
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.count(": good: ") == 2
    assert answer.out.count(": quarantine: the hash in ") == 1
    assert answer.out.count(": incomplete: ") == 1
    assert "passed over: stray: not a folder\n" in answer.out


def test_check_takes_what_is_only_incomplete_for_good(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    write_archive(folder / "3" / "archives", "0", {}).with_name("0.json").unlink()
    answer = call("check", folder)
    assert answer == Answer(0, "3/0: incomplete: 0.tar.gz has no 0.json\n", "")


def test_check_counts_by_reason(call: Call, tmp_path: Path) -> None:
    jobs = line(1, "a", "1", "ok", "2020-01-01 00:00:00") + b"2\ta\n" * 3
    write_archive(tmp_path / "uploads" / "3" / "archives", "0", {Kind.JOBS: jobs})
    answer = call("check", tmp_path / "uploads")
    assert answer == Answer(0, "3/0: good: 1 jobs; 3 rejected; 3 × jobs: 2 columns instead of 5\n", "")


def test_sample_writes_what_check_takes_and_writes_over_nothing(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    arguments = ["sample", folder, "--jobs", "30", "--instances", "2", "--archives", "1", "--seed", "3"]
    answer = call(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"30 jobs in 2 archives of 2 instances written to {folder} (")
    assert call("check", folder).code == 0
    again = call(*arguments)
    assert again.code == 2
    assert again.complaint.startswith("The command cannot be carried out: ")


def test_warm_compiles(call: Call) -> None:
    assert call("warm") == Answer(0, "", "")


# A run, and what shows its results.


@pytest.fixture(scope="module")
def finished(bad: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run over the bad uploads as a process, into the database that the server began with."""
    folder = tmp_path_factory.mktemp("finished")
    arguments = ["--uploads", bad, *places(folder), "--database", server, "--as-of", AS_OF, "--log-format", "json"]
    command = [sys.executable, "-m", "grt_batch.cli", "run", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=200
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    return SimpleNamespace(answer=answer, folder=folder, reports=folder / "reports", database=server)


def test_a_run_ends_with_0_where_all_is_in(call: Call, options: list[object], tmp_path: Path, database: str) -> None:
    answer = call("run", *options)
    assert (answer.code, answer.err) == (0, "")
    ((jobs,),) = query(database, "SELECT jobs FROM grt.run")
    said = (
        f"{jobs} jobs of 4 archives published in {tmp_path}/reports/{AS_OF} (0 archives in quarantine, 0 incomplete, "
    )
    assert answer.out.startswith(said)
    assert (tmp_path / "reports" / "latest" / "tool_usage.tsv").is_file()


def test_a_run_ends_with_1_where_an_archive_is_in_quarantine(finished: SimpleNamespace) -> None:
    assert finished.answer.code == 1
    assert "2 archives published" in finished.answer.out
    assert "(1 archives in quarantine, 1 incomplete, " in finished.answer.out
    assert (finished.reports / "latest").is_dir()


def test_each_line_of_a_json_log_says_who_and_what(finished: SimpleNamespace) -> None:
    events = [json.loads(event) for event in finished.answer.err.splitlines()]
    (run_id,) = {event["run"] for event in events}
    assert run_id == json.loads((finished.reports / "latest" / "run.json").read_text())["run_id"]
    assert {(event["rank"], event["role"]) for event in events} == {(0, "serial")}
    assert all({"time", "level", "instance", "message"} <= event.keys() for event in events)
    (warning,) = [event for event in events if event["level"] == "warning"]
    assert warning["instance"]
    assert "is in quarantine: the hash in " in warning["message"]


def test_a_text_log_says_the_same_on_a_line(call: Call, bad: Path, options: list[object]) -> None:
    answer = call("run", *options, "--uploads", bad)
    assert answer.code == 1
    passed, quarantined = answer.err.splitlines()
    assert passed.endswith(" rank=0 role=serial: passed over stray: not a folder")
    assert " rank=0 role=serial instance=" in quarantined
    assert " is in quarantine: the hash in " in quarantined


def test_a_progress_bar_is_drawn_where_it_is_asked_for(call: Call, options: list[object]) -> None:
    assert "archives: 100%" in call("run", *options, "--progress").err
    assert call("run", *options, "--no-progress").err == ""


def test_options_of_a_run_reach_it(call: Call, options: list[object], tmp_path: Path, good: Path) -> None:
    name = min(path.name for path in good.iterdir())
    answer = call("run", *options, "--instance", name, "--recalculate", "--as-of", "2020-02-29", "tools")
    assert answer.code == 0, answer.err
    folder = tmp_path / "reports" / "2020-02-29"
    assert json.loads((folder / "run.json").read_text())["modules"] == ["tools"]
    assert {row.split("\t")[0] for row in (folder / "archive.tsv").read_text().splitlines()[1:]} == {name}


def test_status_shows_the_ledger(call: Call, finished: SimpleNamespace) -> None:
    answer = call("status", "--database", finished.database)
    assert (answer.code, answer.err) == (0, "")
    parts = dict(part.split(":\n", 1) for part in answer.out.strip().split("\n\n"))
    assert list(parts) == ["instances", "archives", "not published", "last runs"]
    assert len(parts["instances"].splitlines()) == 3
    assert {row.split()[1] for row in parts["archives"].splitlines()[1:]} == {"published", "quarantined", "incomplete"}
    assert "the hash in " in parts["not published"]
    assert json.loads((finished.reports / "latest" / "run.json").read_text())["run_id"] in parts["last runs"]


def test_rejects_are_counted_by_archive_and_reason(call: Call, finished: SimpleNamespace) -> None:
    answer = call("rejects", "--reports", finished.reports)
    assert (answer.code, answer.err) == (0, "")
    titles, *rows = answer.out.splitlines()
    assert titles.split() == ["instance", "archive", "member", "reason", "lines"]
    counted = sum(int(row.split()[-1]) for row in rows)
    files = (finished.reports / "rejects").glob("*/*.tsv")
    assert counted == sum(len(file.read_text().splitlines()) - 1 for file in files) > 0


def test_rejected_lines_are_shown_as_the_file_has_them(call: Call, finished: SimpleNamespace) -> None:
    file = min((finished.reports / "rejects").glob("*/*.tsv"))
    answer = call(
        "rejects", "--reports", finished.reports, "--lines", "--instance", file.parent.name, "--archive", file.stem
    )
    titles, *rows = answer.out.splitlines()
    assert titles.split() == ["instance", "archive", "member", "line", "reason", "bytes", "text"]
    texts = [row.split("\t")[-1].rstrip() for row in file.read_text().splitlines()[1:]]
    assert len(rows) == len(texts)
    assert all(row.endswith(text) for row, text in zip(rows, texts, strict=True))


def test_without_rejects_there_is_nothing_to_show(call: Call, tmp_path: Path) -> None:
    assert call("rejects", "--reports", tmp_path) == Answer(0, "no line was rejected\n", "")


def test_the_schema_is_upgraded_once(call: Call, database: str) -> None:
    first, second = (call("db", "upgrade", "--database", database) for _ in range(2))
    assert first == Answer(0, "schema version 1, from nothing\n", "")
    assert second == Answer(0, "schema version 1 already\n", "")
    assert query(database, "SELECT count(*) FROM grt.schema_version") == [(1,)]


def test_an_upgrade_after_a_run_changes_nothing(call: Call, finished: SimpleNamespace) -> None:
    before = query(finished.database, "SELECT count(*) FROM grt.tool_day")
    assert call("db", "upgrade", "--database", finished.database).out == "schema version 1 already\n"
    assert query(finished.database, "SELECT count(*) FROM grt.tool_day") == before


def test_the_url_is_the_configured_one(call: Call) -> None:
    assert call("db", "url", "--database", NOWHERE) == Answer(0, f"{NOWHERE}\n", "")


def test_the_environment_names_the_uploads_and_an_option_wins(
    call: Call, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_UPLOADS", str(good))
    assert call("plan").out.count("never read") == 4
    assert call("plan", "--uploads", tmp_path / "none").code == 3


# Errors: the right code, and one line.


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
        ("[paths", "is wrong: "),
        ("[reading]\nblock_size = 1", "'block_size'"),
        ('[reading]\nblock_bytes = "x"', "block_bytes is bytes"),
    ],
)
def test_a_wrong_configuration_ends_with_2(call: Call, good: Path, tmp_path: Path, text: str, said: str) -> None:
    answer = call("run", "--uploads", good, "--config", write_config(tmp_path, text))
    assert answer.code == 2
    assert said in answer.complaint


def test_a_wrong_environment_ends_with_2(call: Call, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRT_BATCH_BLOCK_BYTES", "many")
    answer = call("plan", "--uploads", good)
    assert answer.code == 2
    assert "GRT_BATCH_BLOCK_BYTES" in answer.complaint


def test_an_unknown_module_ends_with_2_and_names_the_known(call: Call, options: list[object], tmp_path: Path) -> None:
    answer = call("run", *options, "toools")
    assert answer.code == 2
    assert answer.complaint == f"There is no module 'toools'. There are: {', '.join(discover())}."
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["plan"]], ids=" ".join)
def test_nothing_to_read_ends_with_3(call: Call, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    work = ["--work", tmp_path / "work"]
    for name in ("empty", "missing"):
        answer = call(*command, *work, "--uploads", tmp_path / name)
        assert answer.code == 3
        assert answer.complaint.startswith(f"There is nothing to read in {tmp_path / name}: ")


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
    assert answer.complaint.startswith("The database ")
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
        assert "schema version 99" in answer.complaint
    assert published(tmp_path / "reports") == before
    assert query(database, f"SELECT count(*) FROM grt.{RUN.name}") == [(1,)]


def test_a_work_folder_that_is_a_file_ends_with_4(call: Call, options: list[object], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call("run", *options, "--work", tmp_path / "file" / "work")
    assert answer.code == 4
    assert "cannot be written" in answer.complaint


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
        assert answer.complaint.startswith("Another run (process 4711 on another host) holds the lock of ")
        assert not (tmp_path / "reports").exists()
    assert call("run", *options).code == 0


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a fault\nof two lines")


def test_what_nobody_foresaw_ends_with_6_and_a_line(
    call: Call, options: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grt_batch.run.survey", fail)
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
    assert last.startswith("grt-batch: The configuration missing.toml is wrong: ")
    assert f"{last}\n" == call(*command, *bad_config).err


# Ranks.


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        ([], []),
        (["run"], []),
        (["run", "--ranks", "4"], []),
        (["run", "--ranks=4", "tools"], ["tools"]),
        (["--ranks", "4", "--work", "w", "tools"], ["--work", "w", "tools"]),
        (["run", "--work", "w", "--ranks", "4", "--debug"], ["--work", "w", "--debug"]),
        (["run", "--ranks", "4", "--ranks=5", "--ranks", "6"], []),
        (["tools", "run"], ["tools", "run"]),
    ],
)
def test_ranks_are_told_everything_but_their_number(arguments: list[str], rest: list[str]) -> None:
    assert cli._without_ranks(arguments) == rest


@pytest.mark.parametrize("code", [0, 1, 6])
def test_with_ranks_the_program_starts_itself_again(call: Call, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    started: list[tuple[int, list[str]]] = []

    def launch(ranks: int, arguments: list[str]) -> int:
        started.append((ranks, arguments))
        return code

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    arguments = ["run", "--uploads", "u", "--ranks", "4", "tools"]
    monkeypatch.setattr(sys, "argv", ["grt-batch", *arguments])
    assert call(*arguments) == Answer(code, "", "")
    assert started == [(4, ["--uploads", "u", "tools"])]


def test_ranks_that_were_stopped_are_told_in_a_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_: 128 + signal.SIGTERM)
    answer = call("run", "--ranks", "2")
    assert answer.code == 143
    assert answer.complaint == "stopped by SIGTERM; nothing was published, what was computed is kept"


def test_the_demo_shows_where_the_results_are(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str
) -> None:
    def launch(ranks: int, arguments: list[str]) -> int:
        assert ranks == 3
        assert arguments[-4:-2] == ["--database", "embedded"]
        with pytest.raises(SystemExit) as ended:
            cli.main(["run", *arguments, "--database", database])
        return int(ended.value.code or 0)

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    for _ in range(2):
        answer = call("demo", "--folder", tmp_path / "demo", "--jobs", "60")
        assert (answer.code, answer.err) == (0, "")
        assert f"The reports are in {tmp_path}/demo/reports/latest/:" in answer.out
        assert "  tool_usage.tsv\n" in answer.out
        assert f"grt-batch db psql --work {tmp_path}/demo/work\n" in answer.out


def test_a_demo_that_fails_says_no_more(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_: 6)
    answer = call("demo", "--folder", tmp_path / "demo", "--jobs", "60")
    assert answer.code == 6
    assert answer.out.count("\n") == 1


# The database's own commands: psql writes to the terminal itself.


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
    assert "there is no psql on the PATH" in answer.complaint


# A run that is stopped.

WAIT = """
import importlib, signal, sys
from grt_batch.cli import main

place, *arguments = sys.argv[1:]
owner, _, name = place.rpartition(".")
module, _, kind = owner.rpartition(".")
kind = getattr(importlib.import_module(module), kind)

def wait(*_):
    print("waiting", flush=True)
    while True:
        signal.pause()

setattr(kind, name, wait)
main(["run", *arguments])
"""
STOPS = [
    (signal.SIGTERM, "grt_batch.pipeline.DecodeTask.run"),
    (signal.SIGINT, "grt_batch.pipeline.AggregateTask.run"),
    (signal.SIGTERM, "grt_batch.sinks.postgres.Publication.swap"),
]


@pytest.mark.parametrize(("number", "place"), STOPS, ids=lambda part: str(getattr(part, "name", part)))
def test_a_run_that_is_stopped_publishes_nothing_and_the_next_is_right(
    run_here: Callable[..., Summary],
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
    assert answer.complaint == f"stopped by {number.name}; nothing was published, what was computed is kept"
    assert not (tmp_path / "reports" / "latest").exists()
    assert list((tmp_path / "reports").rglob("*.tsv")) == []
    assert query(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'grt%'") == []
    config = Config(uploads=good, reports=tmp_path / "reports", work=tmp_path / "work", database=database)
    run_here(config)
    fresh = replace(config, reports=tmp_path / "fresh", work=tmp_path / "fresh-work")
    run_here(fresh)
    assert published(config.reports) == published(fresh.reports)
    partitions = "SELECT count(*) FROM pg_class WHERE relnamespace = 'grt_data'::regnamespace AND relkind = 'r'"
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'grt'::regnamespace AND relkind = 'p'"
    assert query(database, partitions) == query(database, tables)
