"""A key follows the code: a report that changed is computed again, and one that did not change is not."""

from __future__ import annotations

import ast
import compileall
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from coming_and_going import compute_nothing

import grt_batch
from grt_batch.core.config import Config
from grt_batch.core.digest import source_digest
from grt_batch.modules.base import Module
from grt_batch.modules.registry import discover
from grt_batch.pipeline.fingerprints import RENDERED_BY
from grt_batch.pipeline.keys import COUNTED_BY, READ_BY, module_code, reader_code
from grt_batch.pipeline.request import RunSummary

Run = Callable[..., RunSummary]
Install = Callable[[str], Module]

REPORT = '''
"""How many jobs are there in a state?"""

import polars as pl

from grt_batch.aggregate.measures import Count, Cube
from grt_batch.modules.base import Module
from grt_batch.schema.records import Job, Records
from grt_batch.schema.tables import Column, Table, Type

JOBS = Cube("jobs", (Job.state,), (Count("jobs"),))
TABLE = Table("probe", "Jobs.", ("state",), (Column("state", Type.TEXT, "state"), Column("jobs", Type.BIGINT, "jobs")))


class Probe(Module):
    """How many jobs are there in a state?"""

    name = "probe"
    cubes = (JOBS,)
    tables = (TABLE,)

    def aggregate(self, records):
        jobs = records[Job].filter(pl.col("state") == "ok")
        return super().aggregate(Records({Job: jobs}, records.since))

    def rows(self, partial, ledger):
        return {"probe": partial["jobs"].group_by("state").agg(pl.col("jobs").sum())}
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write a report to a file outside of the package, and load it as a new process would."""

    def load(text: str) -> Module:
        file = tmp_path / "probe.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location("probe", file)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "probe", loaded)
        exec(compile(text, file, "exec"), vars(loaded))
        module: Module = loaded.Probe()
        monkeypatch.setitem(discover(), "probe", module)
        return module

    return load


def rows(config: Config) -> list[str]:
    return (config.reports / "latest" / "probe.tsv").read_text().splitlines()[1:]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('pl.col("state") == "ok"', 'pl.col("state") == "error"'),
        ('Count("jobs")', 'Count("jobs", Job.without_metrics)'),
    ],
    ids=["aggregate", "cube"],
)
def test_a_report_that_changed_gives_new_numbers(
    config: Config, run_here: Run, install: Install, tmp_path: Path, old: str, new: str
) -> None:
    install(REPORT)
    run_here(config, modules=("probe",))
    before = rows(config)
    install(REPORT.replace(old, new))
    run_here(config, modules=("probe",))
    after = rows(config)
    fresh = replace(config, work=tmp_path / "fresh")
    run_here(fresh, modules=("probe",), recalculate=True)
    assert before != after == rows(fresh)


def test_a_report_that_is_the_same_is_not_computed_again(
    config: Config, run_here: Run, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(REPORT)
    run_here(config, modules=("probe",))
    before = rows(config)
    compute_nothing(monkeypatch)
    install(REPORT)
    run_here(config, modules=("probe",))
    assert rows(config) == before


def test_the_code_of_a_module_is_its_file_its_cubes_and_what_counts(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, same, other = (module_code(install(text)) for text in (REPORT, REPORT, REPORT + "\n"))
    assert first == same != other
    changed = install(REPORT)
    monkeypatch.setattr(type(changed), "cubes", ())
    assert module_code(changed) not in (first, other)
    assert len({module_code(module) for module in discover().values()} | {reader_code()}) == len(discover()) + 1


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


# Where it is installed.


DIGEST = "import sys; from grt_batch.core.digest import source_digest as digest; print(digest(*sys.argv[1:]), end='')"


def digest_in(place: Path, *options: str) -> str:
    """The digest of the code that reads, in another process that has the package from there."""
    start = f"import sys; sys.path.insert(0, {str(place)!r}); sys.dont_write_bytecode = True; {DIGEST}"
    command = [sys.executable, "-I", *options, "-c", start, *READ_BY]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place.parent, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_digest_is_that_of_the_sources_wherever_they_are_installed(tmp_path: Path) -> None:
    copy, packed = tmp_path / "copy", tmp_path / "packed.zip"
    shutil.copytree(PACKAGE, copy / "grt_batch", ignore=shutil.ignore_patterns("__pycache__"))
    with zipfile.ZipFile(packed, "w") as archive:
        for file in copy.rglob("*.py"):
            archive.write(file, file.relative_to(copy))
    expected = source_digest(*READ_BY)
    assert {digest_in(copy), digest_in(copy, "-OO"), digest_in(packed)} == {expected}
    decoder = copy / "grt_batch" / "decode" / "decoder.py"
    decoder.write_text(f"{decoder.read_text()}# changed\n")
    assert digest_in(copy) != expected


def test_the_digest_is_of_the_bytecode_where_that_is_all(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "grt_batch", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(copy, legacy=True, quiet=1)
    for file in copy.rglob("*.py"):
        file.unlink()
    found = digest_in(copy)
    assert len(found) == 40
    decode = copy / "grt_batch" / "decode"
    (decode / "decoder.pyc").write_bytes((decode / "columns.pyc").read_bytes())
    assert digest_in(copy) != found
