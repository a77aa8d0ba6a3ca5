"""The comparison of `make bench` does not rot: the other ways come to our results, and who does not is found out."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from contextlib import nullcontext
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from calling import Call, query

from bench import __main__ as comparison
from bench import agreement, contest, others, report
from bench.cases import SETS, Case
from bench.contest import Contender, Cost, Failed, Killed, Setting, measure
from bench.ours import NOTHING_NEW, ONE_NEW, WHOLE, Ours
from grt_batch.core.config import Config
from grt_batch.core.work_folder import lock
from grt_batch.pipeline.executor import SerialExecutor
from grt_batch.pipeline.request import RunRequest
from grt_batch.pipeline.run import execute
from grt_batch.sample import UNTIL, write_sample
from grt_batch.sample.releases import PROFILES

SAMPLES = {"default": PROFILES, **SETS}


@pytest.fixture(scope="module")
def all_uploads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sample uploads: of the sets, and with something of everything that the other ways must know."""
    folder = tmp_path_factory.mktemp("bench")
    for name, profiles in SAMPLES.items():
        write_sample(folder / name, archives=2, jobs=2000, seed=5, profiles=profiles)
    return {name: folder / name for name in SAMPLES}


@pytest.fixture(scope="module")
def all_ours(all_uploads: dict[str, Path], server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our reports of them."""
    found = {}
    for name, uploads in all_uploads.items():
        home = tmp_path_factory.mktemp("ours")
        config = Config(uploads=uploads, reports=home / "reports", work=home / "work")
        with lock(config.work):
            execute(RunRequest(config, UNTIL, run_id=name), SerialExecutor(), lambda: nullcontext(server))
        found[name] = config.reports / "latest"
    return found


@pytest.fixture(scope="module")
def ours(all_ours: dict[str, Path]) -> Path:
    """Our reports of the default sample."""
    return all_ours["default"]


@pytest.mark.parametrize("of", SAMPLES)
@pytest.mark.parametrize("name", others.WAYS)
def test_another_way_comes_to_our_results(
    name: str, of: str, all_ours: dict[str, Path], all_uploads: dict[str, Path], database: str, tmp_path: Path
) -> None:
    module, package = others.WAYS[name]
    pytest.importorskip(package)
    way: Any = import_module(f"bench.{module}")
    way.compute(all_uploads[of], tmp_path, database, UNTIL)
    assert {file.stem for file in (tmp_path / "reports").iterdir()} == set(way.TABLES)
    for table in way.TABLES:
        assert agreement.differences(all_ours[of], tmp_path / "reports", table) == []
        lines = (tmp_path / "reports" / f"{table}.tsv").read_bytes().count(b"\n")
        assert query(database, f"SELECT count(*) FROM {module}.{table}") == [(lines - 1,)]


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


def test_our_runs_must_give_the_same_bytes(all_uploads: dict[str, Path], tmp_path: Path) -> None:
    setting = Setting(tmp_path, url="", as_of=UNTIL, ranks=2, environment={})
    runs = {one.name: one for one in Ours(setting, Case("nightly", 2000, 8), all_uploads["main"]).contenders()}
    assert list(runs) == [WHOLE, NOTHING_NEW, ONE_NEW]
    for name, text, wrong in ((WHOLE, "1\n", []), (ONE_NEW, "2\n", ["tool.tsv is another"]), (NOTHING_NEW, "1\n", [])):
        latest = runs[name].home / "reports" / "latest"
        latest.mkdir(parents=True, exist_ok=True)
        (latest / "tool.tsv").write_text(text)
        assert runs[name].check() == wrong


def test_a_time_without_the_result_does_not_count(tmp_path: Path) -> None:
    one = Contender(
        "quick", "nothing", ("true",), tmp_path / "home", check=lambda: ["tool_day: jobs is 0 instead of 1"]
    )
    with pytest.raises(Failed, match=r"^quick came to other results.*: tool_day: jobs is 0 instead of 1$"):
        one.run({})


def test_who_is_killed_is_told_from_who_fails(tmp_path: Path) -> None:
    with pytest.raises(Killed, match="ended with code -9"):
        measure(("sh", "-c", "kill -9 $$"), tmp_path / "log", {"PATH": "/usr/bin:/bin"})


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


def test_the_comparison_runs_and_can_be_put_into_docs(
    published: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of them is enough here.
    monkeypatch.setattr(others, "WAYS", {others.DUCKDB: others.WAYS[others.DUCKDB]})
    results, page, data = tmp_path / "results.json", tmp_path / "performance.md", tmp_path / "data"
    size = "--jobs 120 --few 4 --nightly 8 --ranks 1 --repeats 1 --cases few nightly single"
    comparison.main([*size.split(), "--data", str(data), "--results", str(results)])
    # All but one archive are published before the last one is measured.
    assert re.findall(r"of (\d) archives?", "".join(published)) == [*"44", *"8878", *"11"]
    cases = json.loads(results.read_bytes())["cases"]
    told = {name: list(case["contenders"]) for name, case in cases.items()}
    everybody = [WHOLE, NOTHING_NEW, others.FLOOR, *(name for name in others.WAYS if name not in others.absent())]
    assert told == {
        "few": everybody,
        "nightly": [WHOLE, NOTHING_NEW, ONE_NEW],
        "single": [WHOLE, NOTHING_NEW],
    }
    assert all(len(one["runs"]) == 1 for case in cases.values() for one in case["contenders"].values())
    assert all(one["runs"][0]["work_bytes"] > 0 for case in cases.values() for one in [case["contenders"][WHOLE]])
    assert {folder.name for folder in data.iterdir()} == {
        "main-120-jobs-4-archives-4-instances",
        "main-120-jobs-8-archives-4-instances",
        "main-600-jobs-1-archives-1-instances",
    }
    page.write_text(report.DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    report.main(["main", "--results", str(results), "--docs", str(page)])
    once = page.read_text(encoding="utf-8")
    assert "| floor " in once
    assert "make bench SET=main JOBS=120 REPEATS=1" in once
    report.main(["main", "--results", str(results), "--docs", str(page)])
    assert page.read_text(encoding="utf-8") == once


def test_who_was_killed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB is killed in the first case of the first of two rounds."""
    killed, seconds = list[str](), count(1.0)

    def run(one: Contender, _: object) -> Cost:
        if one.name == others.DUCKDB and not killed:
            killed.append(one.name)
            raise Killed("it ended with code -9")
        return Cost(next(seconds), 1.0, 1, 1)

    monkeypatch.setattr(Contender, "run", run)
    monkeypatch.setattr(comparison, "_sizes", lambda _: {"bytes": 10, "text_bytes": 50})
    monkeypatch.setattr(comparison, "compile_kernels", lambda: None)
    monkeypatch.setattr(comparison, "serve", lambda _: nullcontext(""))
    monkeypatch.setattr(others, "absent", dict)
    results = tmp_path / "results.json"
    size = "--set second --jobs 40 --few 4 --many 4 --nightly 4 --repeats 2"
    comparison.main([*size.split(), "--data", str(tmp_path / "data"), "--results", str(results)])
    found = json.loads(results.read_bytes())
    assert found["rounds"] == 2
    assert others.DUCKDB not in found["cases"]["few"]["contenders"]
    assert others.DUCKDB in found["cases"]["many"]["contenders"]
    told = report.text(found)
    assert "Not measured: DuckDB, 40 jobs in 4 archives, for it was killed." in told
    assert "target" not in told, "they are those of the main set"


def test_a_page_without_a_place_for_it_stays_as_it_is() -> None:
    with pytest.raises(Failed, match="begin of what"):
        report.put("block", "# A page\n", "somebody writes")


def test_without_results_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^bench: there is no .*none\.json; make bench writes the results$"):
        report.main(["main", "--results", str(tmp_path / "none.json")])
