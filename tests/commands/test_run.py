"""What a run prints and logs, its exit code, and its options."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from build import line, write_archive
from calling import AS_OF, Call, planned, query
from coming_and_going import Site
from runs import create_database

from grt_batch.schema.members import Kind


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


def test_forget_is_an_option_of_a_run(call: Call, site: Site, site_options: list[object]) -> None:
    call("run", *site_options, "tools", "instances")
    site.remove("a", "1")
    shutil.rmtree(site.config.uploads / "b")
    looked = call("run", *site_options, "--forget", "--dry-run", "tools")
    assert [line.split()[:2] for line in looked.out.splitlines()[1:-1]] == [["a", "2"], ["a", "3"]]
    assert set(planned(call, site.config)) == {"a/1", "a/2", "a/3", "b/1"}
    answer = call("run", *site_options, "--forget", "--instance", "b", "tools", "instances")
    assert (answer.code, answer.err.count("forgot 1 removed archive: b/1\n")) == (0, 1)
    assert set(planned(call, site.config)) == {"a/1", "a/2", "a/3"}
    assert call("plan", "--uploads", site.config.uploads, "--work", site.config.work, "--instance", "b").code == 3


def test_a_folder_that_cannot_be_read_ends_with_1_and_is_named(
    call: Call, site: Site, site_options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    # Not by the rights of the folder, since root may read it all the same.
    def refuse(folder: Path) -> Any:
        if folder == site.config.uploads / "b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    reason = "its folder cannot be read: Permission denied"
    answer = call("run", *site_options, "instances")
    assert (answer.code, answer.err.count(reason)) == (1, 1)
    assert site.jobs() == {"a": 6}
    answer = call("check", site.config.uploads)
    assert (answer.code, answer.err, f"b: {reason}\n" in answer.out) == (1, "", True)
    places = ["--uploads", site.config.uploads, "--work", site.config.work]
    assert f"b: {reason}\n" in call("plan", *places).out
    assert json.loads(call("plan", *places, "--print", "json").out)["unreadable"] == {"b": reason}


def test_report_pages_are_made_unless_they_are_not_wanted(call: Call, options: list[object], tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    pages = tmp_path / "reports" / "latest" / "html" / "index.html"
    for words, there in (
        ((), True),
        (("--no-html",), False),
        (("tools", "html"), True),
        (("--no-html", "tools", "html"), False),
    ):
        answer = call("run", *options, *words)
        assert (answer.code, answer.err, pages.is_file()) == (0, "", there)
    assert call("plan", *options[:6], "html").code == 0
    assert "html: What do the tables say" in call("modules").out


def test_documents_are_made_where_they_are_named(call: Call, options: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "latest" / "documents"
    for words, there in ((("documents",), True), ((), False), (("tools", "instances", "documents"), True)):
        answer = call("run", *options, "--no-html", *words)
        assert (answer.code, answer.err, folder.is_dir()) == (0, "", there)
    assert call("documents", *options[2:4]).out.endswith(f" of {folder}\n")
    assert call("plan", *options[:6], "documents").code == 0
    assert "documents (opt-in): What do the tables say of each tool" in call("modules").out


@pytest.fixture
def second(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The DSN of a second database, which is the target `second`; `idle` is not active, and not there."""
    url = create_database(server)
    idle = '{url = "postgresql://grt:hunter2@127.0.0.1:1/none", active = false}'
    monkeypatch.setenv("GRT_BATCH_TARGETS", f'{{second = {{url = "{url}"}}, idle = {idle}}}')
    return url


@pytest.mark.parametrize(
    ("words", "reached"),
    [
        ([], ["main", "second"]),
        (["--targets", "second"], ["second"]),
        (["--targets", "main,second"], ["main", "second"]),
        (["--targets", "main", "--targets=second"], ["main", "second"]),
        (["--targets", "second", "main", "tools", "instances"], ["main", "second"]),
        (["--targets", "main", "tools"], ["main"]),
    ],
)
def test_a_run_takes_the_names_of_targets(
    call: Call, site: Site, site_options: list[object], second: str, words: list[str], reached: list[str]
) -> None:
    assert call("run", *site_options, "--no-html", *words).code == 0
    summary = json.loads((site.config.reports / "latest" / "run.json").read_text())
    assert list(summary["targets"]) == reached
    assert not {"main", "second"} & set(summary["modules"])
    there = [query(url, "SELECT to_regclass('grt.run') IS NOT NULL") for url in (site.config.database, second)]
    assert there == [[("main" in reached,)], [("second" in reached,)]]


def test_a_target_that_is_not_reached_is_told_everywhere(
    call: Call, site: Site, site_options: list[object], second: str
) -> None:
    ledger = ["--database", site.config.database, "--work", site.config.work, "--reports", site.config.reports]
    words = ["--targets", "main,second,idle"]
    answer = call("run", *site_options, "--no-html", *words)
    assert answer.code == 1
    assert answer.out.endswith(" rejected), but not to the target idle\n")
    early, late = answer.err.splitlines()
    assert " warning " in early
    assert "target idle cannot be asked now, and is tried again: " in early
    assert " error " in late
    assert "target idle is left out, and gets what it lacks by the next run: " in late
    told = call("status", *ledger)
    assert [row.split()[0] for row in told.out.splitlines() if row.startswith("idle ")] == ["idle"]
    alarm = call("status", *ledger, "--fail-if", "target")
    assert alarm.code == 1
    assert alarm.out.startswith("target: The last run that published did not reach the target idle: ")
    metrics = call("metrics", *ledger[2:]).out
    assert 'grt_batch_target_published{target="idle"} 0\n' in metrics
    assert 'grt_batch_target_published{target="second"} 1\n' in metrics
    assert "hunter2" not in f"{answer}{told}{alarm}{metrics}"
    answer = call("run", *site_options, "--no-html", "--targets", "idle")
    assert answer.code == 4
    assert "No target could take the tables, and nothing was published: idle: " in answer.err
    assert "hunter2" not in answer.err
    assert call("run", *site_options, "--no-html").code == 0
    assert call("status", *ledger, "--fail-if", "target").code == 0


def test_a_target_that_is_not_there_is_refused(call: Call, site_options: list[object], second: str) -> None:
    answer = call("run", *site_options, "--targets", "third")
    assert answer.code == 2
    assert "there is no target 'third', only main, second, idle" in answer.complaint
