"""A key follows the code: a report that changed is computed again, and one that did not change is not."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coming_and_going import compute_nothing

import grt_batch
from grt_batch.core.config import Config
from grt_batch.modules.base import Module
from grt_batch.modules.registry import discover
from grt_batch.pipeline.fingerprints import RENDERED_BY
from grt_batch.pipeline.keys import COUNTED_BY, READ_BY, account_key, module_code, reader_code
from grt_batch.pipeline.request import RunSummary

Run = Callable[..., RunSummary]

REPORT = '''
"""How many jobs are there in a state?"""

import polars as pl

from grt_batch.aggregate.measures import Count, Cube
from grt_batch.modules.base import Module
from grt_batch.schema.records import Job
from grt_batch.schema.tables import Column, Table, Type

JOBS = Cube("jobs", (Job.state,), (Count("jobs"),), state="ok")
TABLE = Table("probe", "Jobs.", ("state",), (Column("state", Type.TEXT, "state"), Column("jobs", Type.BIGINT, "jobs")))


class Probe(Module):
    """How many jobs are there in a state?"""

    name = "probe"
    cubes = (JOBS,)
    tables = (TABLE,)

    def rows(self, partial, ledger):
        return {"probe": partial["jobs"].group_by("state").agg(pl.col("jobs").sum())}
'''


@pytest.fixture
def own(config: Config, tmp_path: Path) -> Config:
    """A configuration with a folder of reports."""
    folder = tmp_path / "own"
    folder.mkdir()
    return replace(config, modules_dir=str(folder))


def installed(folder: Path | str, text: str) -> Module:
    """Write a report, and load it as a new process would."""
    (Path(folder) / "probe.py").write_text(text)
    discover.cache_clear()
    return discover(str(folder))["probe"]


def rows(config: Config) -> list[str]:
    return (config.reports / "latest" / "probe.tsv").read_text().splitlines()[1:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('state="ok"', 'state="error"'),
        ('Count("jobs")', 'Count("jobs", Job.without_metrics)'),
    ],
    ids=["state", "measure"],
)
def test_a_report_that_changed_gives_new_numbers(
    own: Config, run_here: Run, tmp_path: Path, old: str, new: str
) -> None:
    installed(own.modules_dir, REPORT)
    run_here(own, modules=("probe",))
    before = rows(own)
    installed(own.modules_dir, REPORT.replace(old, new))
    run_here(own, modules=("probe",))
    after = rows(own)
    fresh = replace(own, work=tmp_path / "fresh")
    run_here(fresh, modules=("probe",), recalculate=True)
    assert before != after == rows(fresh)


def test_a_report_that_is_the_same_is_not_computed_again(
    own: Config, run_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(own.modules_dir, REPORT)
    run_here(own, modules=("probe",))
    before = rows(own)
    compute_nothing(monkeypatch)
    installed(own.modules_dir, REPORT)
    run_here(own, modules=("probe",))
    assert rows(own) == before


def test_the_code_of_a_module_is_its_file_its_cubes_and_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, same, other = (module_code(installed(tmp_path, text)) for text in (REPORT, REPORT, REPORT + "\n"))
    assert first == same != other
    changed = installed(tmp_path, REPORT)
    monkeypatch.setattr(type(changed), "cubes", ())
    assert module_code(changed) not in (first, other)
    assert len({module_code(module) for module in discover().values()} | {reader_code()}) == len(discover()) + 1


@pytest.mark.parametrize(
    "changed",
    [
        {"max_ratio": 9}, {"max_line_bytes": 9}, {"max_reject_bytes": 9}, {"redact_patterns": ("x",)},
        {"redact_names": ("x",)}, {"left_out_params": ("__*",)},
    ],
)  # fmt: skip
def test_what_is_read_of_an_archive_follows_the_settings_that_matter(changed: dict[str, Any]) -> None:
    key = account_key("hash", Config())
    assert account_key("hash", replace(Config(), **changed)) != key
    assert account_key("hash", replace(Config(), block_bytes=9, aggregate_jobs=9, quota_bytes=9)) == key


# What the code is of.


PACKAGE = Path(grt_batch.__file__).parent
APART = (
    "grt_batch.core",
    "grt_batch.ledger.ledger",
    "grt_batch.modules.registry",
    "grt_batch.pipeline.keys",
    "grt_batch.store",
    "grt_batch.uploads.metadata",
    "grt_batch.uploads.scan",
)
"""What reading and counting import without depending on it: what can be set is in the keys by itself."""


def file_of(name: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported(name: str) -> Iterator[str]:
    """The modules of this package that a file imports."""
    file = file_of(name)
    assert file is not None, name
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("grt_batch."):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (other if file_of(other) else str(node.module) for other in inner)


def within(name: str, names: tuple[str, ...]) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in names)


def reached(names: tuple[str, ...], apart: tuple[str, ...]) -> set[str]:
    """All modules in these packages, and all that they import, but for those that are apart."""
    files = (file.relative_to(PACKAGE.parent).with_suffix("") for file in PACKAGE.rglob("*.py"))
    waiting = [name for file in files if within(name := ".".join(file.parts).removesuffix(".__init__"), names)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and not within(name, apart):
            found.add(name)
            waiting += imported(name)
    return found


def test_the_keys_follow_all_code_that_reads() -> None:
    # The tasks of counting are in one file with those of reading.
    counting = ("grt_batch.aggregate", "grt_batch.modules")
    assert not {name for name in reached(READ_BY, (*APART, *counting)) if not within(name, READ_BY)}


def test_the_keys_follow_all_code_that_counts() -> None:
    # What is read has the code that read it in its key.
    assert not {name for name in reached(COUNTED_BY, (*APART, *READ_BY)) if not within(name, COUNTED_BY)}


def test_fingerprints_follow_all_code_that_renders() -> None:
    # What is merged, and how it travels, is in the keys of the partials.
    merged = (
        "grt_batch.pipeline.merge",
        "grt_batch.pipeline.tasks",
        "grt_batch.sinks.sink",
        "grt_batch.modules.export",
    )
    assert not {name for name in reached(RENDERED_BY, (*APART, *merged)) if not within(name, RENDERED_BY)}
