"""What the commands print, a run among them, and what shows its results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from build import line, write_archive
from calling import AS_OF, NOWHERE, Answer, Call, places, query
from places import ROOT
from runs import copy_uploads, published

from grt_batch.cli import main
from grt_batch.commands import cli
from grt_batch.core.errors import BadArguments, Stopped
from grt_batch.modules.registry import discover
from grt_batch.schema.members import Kind


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


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    yield before
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


# Help, and what only looks.


@pytest.mark.parametrize("command", list(commands(cli)), ids=" ".join)
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
    assert lines[-1].startswith("about ")
    assert lines[-1].endswith("bytes to read; advised: --ranks 3, 15 minutes of a batch system")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not list((tmp_path / "home").iterdir())


def test_a_plan_may_be_json(call: Call, bad: Path) -> None:
    answer = call("plan", "--uploads", bad, "--print", "json")
    assert (answer.code, answer.err) == (0, "")
    document = json.loads(answer.out)
    assert [row["state"] for row in document["archives"]].count("new") == 3
    to_read = sum(row["bytes"] for row in document["archives"] if row["state"] == "new")
    assert document["advice"].pop("seconds") > 0
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
    assert answer == Answer(0, "3/0: good: 1 job; 3 rejected; 3 × jobs: 2 columns instead of 5\n", "")


def test_sample_writes_what_check_takes_and_writes_over_nothing(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    arguments = ["sample", folder, "--jobs", "30", "--instances", "2", "--archives", "1", "--seed", "3"]
    answer = call(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"30 jobs in 2 archives of 2 instances written to {folder} (")
    assert call("check", folder).code == 0
    again = call(*arguments)
    assert again.code == BadArguments.exit_code
    assert str(folder) in again.complaint


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


def test_a_run_counts_one_and_many_in_english(call: Call, options: list[object], tmp_path: Path) -> None:
    jobs = line(1, "a", "1", "ok", "2020-01-01 00:00:00") + b"2\ta\n"
    write_archive(tmp_path / "one" / "3" / "archives", "0", {Kind.JOBS: jobs})
    answer = call("run", *options, "--uploads", tmp_path / "one")
    counts = "(0 archives in quarantine, 0 incomplete, 1 line rejected)"
    assert answer.out == f"1 job of 1 archive published in {tmp_path}/reports/{AS_OF} {counts}\n"


def test_a_run_ends_with_1_where_an_archive_is_in_quarantine(finished: SimpleNamespace) -> None:
    assert finished.answer.code == 1
    assert "2 archives published" in finished.answer.out
    assert "(1 archive in quarantine, 1 incomplete, " in finished.answer.out
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
    parts = {(lines := part.partition(":"))[0]: lines[2].strip() for part in answer.out.strip().split("\n\n")}
    assert list(parts) == ["instances", "archives", "not published", "removed", "last runs", "replaced", "miscounted"]
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


def test_rejects_go_with_the_archive_that_they_are_of(
    call: Call, options: list[object], bad: Path, tmp_path: Path
) -> None:
    call("run", *options)
    # What is only half there now counts as it was, unless it is forgotten.
    call("run", *options, "--uploads", bad, "--forget")
    again = published(tmp_path / "reports")
    assert call("run", *options, "--uploads", bad, *places(tmp_path / "fresh")).code == 1
    assert again == published(tmp_path / "fresh" / "reports")


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


def test_the_environment_names_the_uploads_and_an_option_wins(
    call: Call, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_UPLOADS", str(good))
    assert call("plan").out.count("never read") == 4
    assert call("plan", "--uploads", tmp_path / "none").code == 3


# Ranks.


@pytest.mark.parametrize("code", [0, 1, 6])
@pytest.mark.parametrize("command", ["run", "verify"])
def test_with_ranks_the_command_starts_itself_again(
    call: Call, monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    started: list[tuple[int, list[str], tuple[str, ...]]] = []

    def launch(
        ranks: int, arguments: list[str], *_: object, program: tuple[str, ...], fault_tolerant: bool = False
    ) -> int:
        started.append((ranks, arguments, program))
        return code

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    monkeypatch.setattr(sys, "argv", ["caller", "run", "--retries", "5", "params"])
    assert call(command, "--uploads", "u", "--ranks", "4", "--ranks=5", "tools") == Answer(code, "", "")
    ((ranks, arguments, program),) = started
    assert (ranks, program) == (5, ("-m", "grt_batch.cli", command))
    assert arguments[0] == "--uploads=u"
    assert arguments[-2:] == ["--", "tools"]
    assert not [word for word in arguments if word.startswith("--ranks")]
    assert ("--no-progress" in arguments) == (command == "run")


@pytest.mark.parametrize(
    ("codes", "started", "code"),
    [([0], 1, 0), ([6, 1], 2, 1), ([6, 6, 0], 3, 0), ([6, 6, 6], 3, 6), ([4], 1, 4), ([6, 143], 2, 143)],
)
def test_with_retries_it_starts_again_where_a_rank_was_lost(
    call: Call, monkeypatch: pytest.MonkeyPatch, codes: list[int], started: int, code: int
) -> None:
    left = iter(codes)
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_, **__: next(left))
    answer = call("run", "--ranks", "2", "--retries", "2")
    assert answer.code == code
    assert [line for line in answer.err.splitlines() if "starting again" in line] == [
        f"grt-batch: starting again ({again} of 2 retries)" for again in range(1, started)
    ]
    assert next(left, None) is None


def test_ranks_that_were_stopped_are_told_in_a_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_, **__: 128 + signal.SIGTERM)
    answer = call("run", "--ranks", "2")
    assert answer.code == 143
    assert answer.complaint == str(Stopped(signal.SIGTERM))


def test_the_demo_shows_where_the_results_are(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str
) -> None:
    def launch(ranks: int, arguments: list[str], *_: object, fault_tolerant: bool = False) -> int:
        assert ranks == 3
        assert arguments[6:8] == ["--database", "embedded"]
        assert arguments[10:] == list(discover())
        with pytest.raises(SystemExit) as ended:
            main(["run", *arguments, "--database", database])
        return int(ended.value.code or 0)

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    for _ in range(2):
        answer = call("demo", "--folder", tmp_path / "demo", "--jobs", "60")
        assert (answer.code, answer.err) == (0, "")
        assert f"The reports are in {tmp_path}/demo/reports/latest/:" in answer.out
        assert "  tool_usage.tsv\n" in answer.out
        assert "  lake/\n" in answer.out
        assert f" db psql --work {tmp_path}/demo/work\n" in answer.out


def test_a_demo_that_fails_says_no_more(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_, **__: 6)
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
    assert "psql is not on PATH" in answer.complaint
