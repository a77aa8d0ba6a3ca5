"""What follows a run, whatever its end: the note, the file for Prometheus, and the messages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from calling import AS_OF, Call, places
from mailing import Mailbox, mail_server

from grt_batch.commands.ending import Ending
from grt_batch.core.config import Config
from grt_batch.core.config_values import Recipient
from grt_batch.monitoring import sending
from grt_batch.monitoring.notify import TOLD
from grt_batch.monitoring.outcome import NOTE, Outcome, last, note
from grt_batch.pipeline import run as pipeline
from grt_batch.ranks.word import FOLDER_VARIABLE


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """Writes a configuration with a file for Prometheus, and one recipient, whom nobody reaches."""
    file = tmp_path / "grt.toml"
    file.write_text(
        f'[monitoring]\nmetrics_file = "{tmp_path}/grt.prom"\n'
        '[[notify.notify_recipients]]\nto = "nowhere://u:secret@x"\nof = ["failed"]\n'
    )
    return file


def metrics(folder: Path) -> dict[str, str]:
    lines = (folder / "grt.prom").read_text().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_a_run_tells_its_end_whatever_it_is(
    call: Call, options: list[object], configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*options, "--config", configured]
    assert (call("run", *asked).code, call("status", "--fail-if", "failed", *places(tmp_path)).code) == (0, 0)
    published = metrics(tmp_path)
    assert published["grt_batch_last_exit_code"] == "0"
    assert (tmp_path / "grt.prom").stat().st_mode & 0o777 == 0o644
    # A run that fails says so, and the old success stays.
    answer = call("run", *asked, "--uploads", tmp_path / "none")
    error, problem = answer.err.splitlines()
    assert (answer.code, error.startswith("grt-batch: There is nothing to read")) == (3, True)
    assert "recipient 1 (nowhere, " in problem
    assert "secret" not in problem
    failed = metrics(tmp_path)
    assert failed["grt_batch_last_exit_code"] == "3"
    for name in ("grt_batch_last_success_timestamp_seconds", "grt_batch_jobs"):
        assert failed[name] == published[name]
    assert failed["grt_batch_last_completion_timestamp_seconds"] > published["grt_batch_last_success_timestamp_seconds"]
    answer = call("status", "--fail-if", "failed,held", *places(tmp_path))
    assert (answer.code, answer.err) == (1, "")
    assert answer.out.startswith("failed: The last run ended with code 3, and published nothing new: There is nothing")
    # So does one that the program itself ends.
    monkeypatch.setattr(pipeline, "find_uploads", lambda *_, **__: 1 / 0)
    assert call("run", *asked).code == 6
    assert metrics(tmp_path)["grt_batch_last_exit_code"] == "6"
    ending = last(tmp_path / "work")
    assert ending is not None
    assert "ZeroDivisionError" in ending.said


def test_what_cannot_be_told_changes_no_exit_code(
    call: Call, options: list[object], configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "grt.prom").mkdir()
    (tmp_path / "work" / TOLD).mkdir(parents=True)
    (tmp_path / "work" / NOTE).mkdir()
    answer = call("run", *options, "--config", configured, "tools")
    assert answer.code == 0
    assert [line.partition(" could not be ")[0] for line in answer.err.splitlines()] == [
        "grt-batch: the end of the run",
        "grt-batch: metrics_file",
    ]
    monkeypatch.setattr(Ending, "tell", lambda *_: 1 / 0)
    answer = call("run", *options, "tools")
    assert (answer.code, answer.complaint) == (0, "the end of the run could not be told: division by zero")


def test_only_runs_have_an_end(call: Call, options: list[object], tmp_path: Path) -> None:
    assert call("run", "--dry-run", *options).code == 0
    assert call("run", "--as-of", "1960-01-01", *places(tmp_path)).code == 2
    assert call("status", *places(tmp_path), "--database", "host=/nowhere").code == 4
    assert not (tmp_path / "work" / NOTE).exists()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


def test_a_failure_comes_by_mail_once(mailbox: Mailbox, tmp_path: Path) -> None:
    recipients = (Recipient(mailbox.url("jo@x.org")),)
    config = Config(reports=tmp_path, work=tmp_path, notify_recipients=recipients, notify_seconds=120)
    for _ in range(2):
        assert Ending(config).tell(4, "no room at postgresql://u:secret@h/db") == []
    ((recipient,), subject, text) = mailbox.come[0]
    assert len(mailbox.come) == 1
    assert (recipient, subject) == ("jo@x.org", "grt-batch: The run failed")
    assert "no room at postgresql://u@h/db" in text


def test_what_a_run_found_comes_by_mail_once(
    call: Call, bad: Path, options: list[object], mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRT_BATCH_NOTIFY_RECIPIENTS", f'[{{to = "{mailbox.url("jo@x.org")}"}}]')
    monkeypatch.setenv("GRT_BATCH_NOTIFY_SECONDS", "120")
    for _ in range(2):
        answer = call("run", *options, "--uploads", bad, "tools", "instances")
        assert answer.code == 1
        assert "could not be told" not in answer.err
    ((_, subject, text),) = mailbox.come
    assert subject == "grt-batch: In quarantine"
    assert " is in quarantine: the hash in " in text
    assert "To do: Export it again and send it again" in text


def test_a_dead_mail_server_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sending.sys, "executable", str(slow))
    config = Config(reports=tmp_path, work=tmp_path, notify_recipients=(Recipient("mailto://x"),), notify_seconds=1)
    (problem,) = Ending(config).tell(4, "no room")
    assert problem.endswith("the next run tries again: no answer within 1 s")


def test_who_pressed_ctrl_c_is_told_nothing(tmp_path: Path) -> None:
    config = Config(reports=tmp_path, work=tmp_path, notify_recipients=(Recipient("nowhere://x"),))
    assert Ending(config).tell(130, "stopped by SIGINT") == []
    assert len(Ending(config).tell(143, "stopped by SIGTERM")) == 1


def test_the_first_rank_notes_and_its_launcher_tells(tmp_path: Path) -> None:
    config = Config(reports=tmp_path, work=tmp_path, metrics_file=str(tmp_path / "grt.prom"))
    launcher = Ending(config)
    rank = Ending(config, is_rank_of_launch=True)
    assert rank.tell(4, "no room") == []
    noted = last(tmp_path)
    assert noted is not None
    assert not (tmp_path / "grt.prom").exists()
    assert launcher.tell(4, "") == []
    assert last(tmp_path) == noted
    assert metrics(tmp_path)["grt_batch_last_exit_code"] == "4"
    # A rank that was lost has noted nothing, and an older note is of another run.
    assert replace(launcher, started=time.time()).tell(6, "") == []
    assert metrics(tmp_path)["grt_batch_last_exit_code"] == "6"
    note(tmp_path, Outcome(1, 2, 0, "", 2))
    assert Ending(config).tell(4, "") == []
    ending = last(tmp_path)
    assert ending is not None
    assert (ending.code, ending.succeeded) == (4, 2)


def test_a_rank_knows_its_launcher(
    call: Call, options: list[object], configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert call("run", *options, "--config", configured, "--uploads", tmp_path / "none").err.count("\n") == 1
    assert not (tmp_path / "grt.prom").exists()
    assert json.loads((tmp_path / "work" / NOTE).read_text())["code"] == 3


def test_ranks_tell_their_end_once(
    grt_batch: Callable[..., CompletedProcess[str]],
    good: Path,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRT_BATCH_METRICS_FILE", str(tmp_path / "grt.prom"))
    monkeypatch.setenv("GRT_BATCH_NOTIFY_RECIPIENTS", '[{to = "nowhere://x"}]')
    options = [*places(tmp_path), "--database", database, "--as-of", AS_OF, "--ranks", 2, "tools"]
    done = grt_batch("run", "--uploads", good, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert metrics(tmp_path)["grt_batch_last_exit_code"] == "0"
    done = grt_batch("run", "--uploads", tmp_path / "none", *options)
    assert done.returncode == 3
    assert done.stderr.count("could not be told of 1 alarm") == 1
    assert metrics(tmp_path)["grt_batch_last_exit_code"] == "3"
    ending = last(tmp_path / "work")
    assert ending is not None
    assert ending.said.startswith("There is nothing to read")
