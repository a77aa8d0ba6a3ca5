"""The reports that the documentation shows are complete: all that a developer does is to save them.

In a copy of the project they are saved as modules, `make docs` and `make gold` are run, and then the tests that look at
every module. In a folder of one's own they give what they say, over any number of ranks.
"""

from __future__ import annotations

import csv
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from calling import query
from examples import README, SECOND
from places import ROOT
from runs import published

from grt_batch.core.config import Config
from grt_batch.pipeline.request import RunSummary
from grt_batch.sample import UNTIL

CHECKS = ("test_docs.py", "modules/test_gold.py", "modules/test_laws.py", "oracle/test_oracle.py", "test_imports.py")
"""The tests over all modules; those of public views have tables of their own."""


OF_EXAMPLES = "tool_days or tool_wait or blessed or gold_file or current or one_way or no_other_report or every_package"


WAITS = f"""
    WITH measured AS (
        SELECT instance_id, job_id, max(value) FILTER (WHERE name = 'start_epoch') AS start,
            max(value) FILTER (WHERE name = 'end_epoch') AS finish,
            max(value) FILTER (WHERE name = 'runtime_seconds') AS runtime
        FROM grt.job_metric WHERE plugin = 'core' GROUP BY 1, 2)
    SELECT tool_id, start - extract(epoch FROM create_time), coalesce(runtime, finish - start, 0)
    FROM grt.job JOIN measured USING (instance_id, job_id)
    WHERE start >= extract(epoch FROM create_time)
        AND create_time::date BETWEEN date '{UNTIL}' - 29 AND date '{UNTIL}'
"""
"""The tool, wait and runtime of each job of the window, in seconds, from the raw metrics."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project, with an example in each of the places where modules are found."""
    root = tmp_path / "project"
    for name in ("grt_batch", "tests", "docs", "config"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    for name in ("README.md", "setup.cfg", "pyproject.toml", "manager.py", "cron.sh"):
        shutil.copy2(ROOT / name, root)
    (root / "grt_batch" / "modules" / "tool_days.py").write_text(README)
    (root / "grt_batch" / "modules" / "reports" / "tool_wait.py").write_text(SECOND)
    return root


def test_the_examples_pass_the_tests_once_they_are_saved(copy: Path) -> None:
    def run(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        done = subprocess.run(
            [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout

    run("docs/generate.py")
    tests = [f"tests/{file}" for file in CHECKS]
    said = run("-m", "pytest", "-rs", "-p", "no:cacheprovider", "--bless", "-k", OF_EXAMPLES, *tests)
    for name in ("tool_days", "tool_wait"):
        assert (copy / "tests" / "gold" / f"{name}.tsv").read_bytes().count(b"\n") > 1
        assert f"add tests/oracle/tables/{name}.sql" in said


@pytest.fixture
def own(config: Config, tmp_path: Path) -> Config:
    """A configuration with both examples in a folder."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "tool_days.py").write_text(README)
    (folder / "tool_wait.py").write_text(SECOND)
    return replace(config, modules_dir=str(folder))


def test_the_first_example_says_what_is_so(own: Config, run_here: Callable[..., RunSummary]) -> None:
    run_here(own, modules=("tools", "tool_days"))
    latest = own.reports / "latest"
    wanted: dict[str, set[str]] = {}
    for row in rows(latest / "tool_day.tsv"):
        wanted.setdefault(row["tool_id"], set()).add(row["day"])
    days = {row["tool_id"]: int(row["days"]) for row in rows(latest / "tool_days.tsv")}
    assert days == {tool_id: len(found) for tool_id, found in wanted.items()}
    assert len(days) > 100


def test_the_second_example_says_what_is_so(own: Config, run_here: Callable[..., RunSummary]) -> None:
    run_here(own, modules=("instances", "records", "tool_wait"))
    jobs: dict[str, list[tuple[float, float]]] = {}
    for tool_id, wait, runtime in query(own.database, WAITS):
        jobs.setdefault(tool_id, []).append((float(wait), float(runtime)))
    found = [row for row in rows(own.reports / "latest" / "tool_wait.tsv") if row["instance_id"] == "*"]
    assert {row["tool_id"]: int(row["jobs"]) for row in found} == {tool_id: len(its) for tool_id, its in jobs.items()}
    assert len(found) > 10
    for row in found:
        waits = [wait for wait, _ in jobs[row["tool_id"]]]
        whole = sum(waits) + sum(runtime for _, runtime in jobs[row["tool_id"]])
        assert float(row["wait_p50"]) == pytest.approx(statistics.median_low(waits), rel=0.008)
        assert float(row["wait_share"]) == pytest.approx(sum(waits) / whole)
    shown = query(own.database, "SELECT DISTINCT instance_id FROM grt_public.tool_wait")
    public = query(own.database, "SELECT instance_id FROM grt.instance WHERE public")
    assert {("*",)} < set(shown) <= {("*",), *public}


def test_all_ranks_find_the_folder(
    own: Config, run_here: Callable[..., RunSummary], grt_batch: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    run_here(own, modules=("tool_days", "tool_wait"))
    many = replace(own, reports=own.reports.with_name("many"), work=own.work.with_name("many-work"))
    places = ["--uploads", many.uploads, "--database", many.database, "--reports", many.reports, "--work", many.work]
    arguments = [*places, "--as-of", UNTIL, "--modules-dir", many.modules_dir, "--ranks", 3, "tool_days", "tool_wait"]
    done = grt_batch("run", *arguments)
    assert done.returncode == 0, done.stderr
    assert published(many.reports) == published(own.reports)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="\n") as text:
        return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
