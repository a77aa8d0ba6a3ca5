"""The comparison of `make bench` does not rot: the other ways come to our results, and who does not is found out."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from calling import Call, query
from places import ROOT

from bench import __main__ as comparison
from bench import agreement, contest, growth, others, report, sample
from bench import ours as our_runs
from bench.contest import Contender, Cost, Failed, Setting, measure
from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL, write_sample
from grt_batch.uploads.scan import scan


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample uploads with something of everything that the other ways must know."""
    folder = tmp_path_factory.mktemp("bench") / "uploads"
    write_sample(folder, archives=2, jobs=2000, seed=5)
    return folder


@pytest.fixture(scope="module")
def ours(uploads: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our reports of them."""
    home = tmp_path_factory.mktemp("ours")
    config = Config(uploads=uploads, reports=home / "reports", work=home / "work")
    with lock(config.work):
        execute(RunRequest(config, UNTIL, run_id="bench"), SerialExecutor(), lambda: nullcontext(server))
    return config.reports / "latest"


@pytest.mark.parametrize("name", ["DuckDB", "polars"])
def test_another_way_comes_to_our_results(name: str, ours: Path, uploads: Path, database: str, tmp_path: Path) -> None:
    module, package, _ = others.WAYS[name]
    pytest.importorskip(package)
    way: Any = import_module(f"bench.{module}")
    way.compute(uploads, tmp_path, database, UNTIL)
    assert {file.stem for file in (tmp_path / "reports").iterdir()} == set(way.TABLES)
    for table in way.TABLES:
        assert agreement.differences(ours, tmp_path / "reports", table) == []
        lines = (tmp_path / "reports" / f"{table}.tsv").read_bytes().count(b"\n")
        assert query(database, f"SELECT count(*) FROM {module}.{table}") == [(lines - 1,)]


def test_the_old_protocol_counts_our_jobs(ours: Path, uploads: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.lurge_way", uploads, tmp_path, "", UNTIL.isoformat()]
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True, timeout=60)
    assert agreement.differences(ours, tmp_path / "reports", "tool_state") == []


@pytest.mark.parametrize(
    ("table", "change", "found"),
    [
        ("tool_day", pl.col("jobs").cast(pl.Int64) + 1, "jobs is 2.0 instead of 1.0"),
        ("tool_day", pl.col("cpu_seconds").fill_null("0").cast(pl.Float64) + 1e-6, "cpu_seconds is"),
        ("tool_day", pl.col("tool_id") + "x", "rows are too many"),
        ("tool_metric", pl.col("p50").cast(pl.Float64) * 1.011, "p50 is"),
        ("tool_metric", pl.col("p50").cast(pl.Float64) * 1.009, None),
        ("tool", pl.lit("nobody").alias("owner"), "owner is 'nobody'"),
        ("param_value", pl.col("error").cast(pl.Int64) + 1, "error is"),
    ],
)
def test_another_result_is_found(table: str, change: pl.Expr, found: str | None, ours: Path, tmp_path: Path) -> None:
    shutil.copytree(ours, tmp_path, dirs_exist_ok=True)
    file = tmp_path / f"{table}.tsv"
    rows = pl.read_csv(file, separator="\t", quote_char=None, infer_schema=False)
    # A row without nulls is the last.
    rows = rows.sort(pl.any_horizontal(pl.all().is_null()), descending=True, maintain_order=True)
    changed = pl.concat([rows[:-1], rows[-1:].with_columns(change.cast(pl.String))])
    changed.write_csv(file, separator="\t", quote_style="never")
    wrong = agreement.differences(ours, tmp_path, table)
    assert [found in line for line in wrong[-1:]] == [True] if found else wrong == []


def test_a_missing_row_is_found(ours: Path, tmp_path: Path) -> None:
    lines = (ours / "tool_usage.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "tool_usage.tsv").write_text("".join(lines[:-1]))
    (wrong,) = agreement.differences(ours, tmp_path, "tool_usage")
    assert wrong.startswith("tool_usage: 1 rows are missing, such as (")


def test_our_runs_must_give_the_same_bytes(uploads: Path, tmp_path: Path) -> None:
    setting = Setting(uploads, uploads, tmp_path, url="", as_of=UNTIL, ranks=(1, 2), environment={})
    runs = {one.name: one for one in our_runs.contenders(setting)}
    for name, text in (("ours, 1 rank", "1\n"), ("ours, 2 ranks", "2\n"), ("ours, 2 ranks, again", "1\n")):
        latest = runs[name].home / "reports" / "latest"
        latest.mkdir(parents=True)
        (latest / "tool.tsv").write_text(text)
    assert runs["ours, 2 ranks"].check() == ["tool.tsv is another"]
    assert runs["ours, 2 ranks, again"].check() == []


def test_a_time_without_the_result_does_not_count(tmp_path: Path) -> None:
    one = Contender(
        "quick", "nothing", ("true",), tmp_path / "home", check=lambda: ["tool_day: jobs is 0 instead of 1"]
    )
    with pytest.raises(Failed, match=r"^quick came to other results.*: tool_day: jobs is 0 instead of 1$"):
        one.run({})


def test_a_command_that_fails_ends_the_comparison(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"ended with code 3 and said: no room$"):
        measure(("sh", "-c", "echo no room >&2; exit 3"), tmp_path / "log", {"PATH": "/usr/bin:/bin"})


def test_cpu_time_and_memory_are_those_of_the_children(tmp_path: Path) -> None:
    child = shlex.join([sys.executable, "-c", "import hashlib; hashlib.sha256(b'.' * 200_000_000)"])
    cost = measure(("sh", "-c", f"{child}; true"), tmp_path / "log", {})
    assert cost.peak_bytes > 200e6
    assert cost.cpu_seconds > 0.02
    # This process is not small; who does little shall not seem to need as much.
    assert measure(("true",), tmp_path / "log", {"PATH": "/usr/bin:/bin"}).peak_bytes < 50e6


def test_who_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "find_spec", lambda package: None if package == "duckdb" else package)
    assert others.absent() == {"DuckDB": "duckdb is not installed: pip install 'grt-batch[bench]'"}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, call: Call) -> list[str]:
    """What runs of ours say, which are not measured: they run in this process, for a new one takes seconds to start."""
    said: list[str] = []

    def run(command: tuple[str, ...], log: Path, environment: dict[str, str]) -> Cost:
        if "grt_batch.cli" not in command:
            return measure(command, log, environment)
        answer = call(*command[3:])
        assert answer.code == 0, answer.err
        said.append(answer.out)
        return Cost(2.0, 3.0, 4)

    monkeypatch.setattr(contest, "measure", run)
    return said


def test_the_comparison_runs_and_can_be_put_into_docs(published: list[str], tmp_path: Path) -> None:
    results, page, data = tmp_path / "results.json", tmp_path / "performance.md", tmp_path / "data"
    size = "--jobs 240 --instances 1 --archives 1 --many 2 --most-ranks 1 --repeats 1 --others floor"
    comparison.main([*size.split(), "--data", str(data), "--results", str(results)])
    # The first of many archives are published before one more is measured.
    assert re.findall(r"of (\d) archives?", "".join(published)) == ["1", "1", "2", "1", "2"]
    found = json.loads(results.read_bytes())["contenders"]
    assert list(found) == [
        "ours, 1 rank", "ours, 1 rank, again", "ours, 2 archives", "ours, 2 archives, again", "floor",
    ]  # fmt: skip
    assert all(len(one["runs"]) == 1 for one in found.values())
    kept = {"240-jobs-1-archives-1-instances", "240-jobs-2-archives-1-instances"}
    assert {folder.name for folder in data.iterdir()} == kept
    page.write_text(report.DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    report.main(["--results", str(results), "--docs", str(page)])
    once = page.read_text(encoding="utf-8")
    assert "\n| floor " in once
    assert "make bench JOBS=240 REPEATS=1" in once
    report.main(["--results", str(results), "--docs", str(page)])
    assert page.read_text(encoding="utf-8") == once


def test_a_page_without_a_place_for_it_stays_as_it_is() -> None:
    with pytest.raises(Failed, match="begin of what"):
        report.put("block", "# A page\n")


def test_without_results_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^bench: there is no .*none\.json; make bench writes the results$"):
        report.main(["--results", str(tmp_path / "none.json")])


def test_the_idle_share_is_of_the_time_in_which_archives_are_led(tmp_path: Path) -> None:
    """Of 10 s in which two ranks lead or help, one waits 1 s, and the other 2 s and beyond the end."""
    events = {
        0: [("waiting", 0.0, 100.0)],
        1: [("waiting", 0.0, 6.0), ("lead", 5.0, 8.0), ("decode", 6.0, 1.0), ("tables", 30.0, 1.0)],
        2: [("lead", 6.0, 1.0), ("help", 7.0, 8.0), ("waiting", 9.0, 1.5), ("waiting", 14.5, 9.0)],
    }
    for rank, spans in events.items():
        told: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": rank}]
        told += [{"ph": "X", "pid": rank, "name": name, "ts": ts * 1e6, "dur": s * 1e6} for name, ts, s in spans]
        (tmp_path / f"rank-{rank}.json").write_text(json.dumps({"traceEvents": told}))
    assert growth.idle_share(tmp_path) == pytest.approx((1 + 2) / 20)


def test_a_skewed_sample_has_most_jobs_in_one_instance(tmp_path: Path) -> None:
    uploads = scan(sample.skewed(tmp_path, 2000, 8, 4))
    jobs = {one.instance_id: sum(job_lines(archive.tar) for archive in one.archives) for one in uploads.instances}
    assert len(jobs) == 4
    assert 0.75 < jobs["large"] / sum(jobs.values()) < 0.85
    assert [entry.name for entry in tmp_path.iterdir()] == ["2000-jobs-8-archives-4-instances-skewed"]


def job_lines(tar: Path) -> int:
    with tarfile.open(tar) as archive:
        (jobs,) = (member for member in archive if member.name.endswith("jobs.tsv"))
        file = archive.extractfile(jobs)
        assert file is not None
        return len(file.readlines())


def test_what_grows_is_run_and_told(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sample(tmp_path / "uploads", archives=1, jobs=400)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = [growth.Line(name, tmp_path / "uploads", 1, again=name == "again") for name in ("first", "again")]
    for line in found:
        line.run(tmp_path, server, environment)
    assert all(0 < line.reading[0] < line.seconds[0] for line in found)
    told = growth.text([*found, *found, *found], 1)
    assert f"| again | {found[1].seconds[0]:.2f}" in told.replace("  ", "")
    assert "times the data" in told
