"""Imports point one way, loading the package does nothing else, and the command line answers at once."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from places import ROOT

import grt_batch

PACKAGE = Path(grt_batch.__file__).parent
SOURCES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if not file.is_symlink()  # what is elsewhere in the source tree, and beside the code in a wheel
}

ORDER = """
core | columns sample embedded_postgres | schema | kernels | aggregate uploads | ledger decode | modules store join
| sinks | differences | pipeline monitoring | queries verify ranks advice pages directory | service documents
| cold doctor | commands | cli
"""
"""The packages, from what everything rests on to what people call: each imports from those left of its bar alone."""

LEVELS = {package: level for level, packages in enumerate(ORDER.split("|")) for package in packages.split()}


def package_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def imports(name: str) -> Iterator[str]:
    """All that a file imports, wherever in it: names of modules; of this package's, the files or packages."""
    for node in ast.walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            files = [file for file in inner if file in SOURCES]
            yield from files
            if len(files) < len(inner):
                yield str(node.module)


def own_imports(name: str) -> list[str]:
    return [other for other in imports(name) if other.partition(".")[0] == "grt_batch"]


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_one_way(name: str) -> None:
    here = package_of(name)
    for other in own_imports(name):
        there = package_of(other)
        assert there in ("", here) or LEVELS[there] < LEVELS[here], f"{name} imports {other}, which stands no deeper"


def test_no_file_imports_itself_by_others() -> None:
    graph = {name: list(own_imports(name)) for name in SOURCES}
    assert list(TopologicalSorter(graph).static_order())


def test_the_order_names_every_package() -> None:
    assert {package_of(name) for name in SOURCES if name != "grt_batch"} <= set(LEVELS)


def test_each_file_has_its_tests() -> None:
    """But for reports: the laws, the gold files and the oracle test a new one."""
    reports = PACKAGE / "modules"
    sources = [file for file in SOURCES.values() if file.name != "__init__.py" and reports not in file.parents]
    tests = [(file.relative_to(PACKAGE).with_name(f"test_{file.name}"), file) for file in sources]
    assert not [str(file) for test, file in tests if not (ROOT / "tests" / test).is_file()]


def test_a_report_imports_no_other_report() -> None:
    folders = ("grt_batch.modules.reports.", "grt_batch.modules.exports.")
    reports = [name for name in SOURCES if name.startswith(folders)]
    assert not [(name, other) for name in reports for other in own_imports(name) if other in reports]


def test_sinks_import_no_report_and_do_not_look_for_any() -> None:
    reports = ("grt_batch.modules.registry", "grt_batch.modules.reports", "grt_batch.modules.exports")
    sinks = [name for name in SOURCES if package_of(name) == "sinks"]
    assert not [(name, other) for name in sinks for other in own_imports(name) if other.startswith(reports)]


def test_one_file_knows_mpi() -> None:
    knowing = {name for name in SOURCES for other in imports(name) if other.partition(".")[0] == "mpi4py"}
    assert knowing == {"grt_batch.ranks.transport"}


WATCH = """
import importlib, os, sys

deeds = []

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        done = isinstance(path, (str, bytes)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and os.fsdecode(path)
    elif event.partition(".")[0] == "socket" and event not in ("socket.gethostname",):
        done = event
    elif event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "subprocess.Popen"):
        done = f"{event} {arguments[0]}"
    else:
        done = None
    if done:
        deeds.append(done)

sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
assert not deeds, deeds
assert "mpi4py" not in sys.modules, "mpi4py was loaded"
"""


def run(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_to_import_is_to_load_and_nothing_else(tmp_path: Path) -> None:
    done = run(WATCH, *SOURCES, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert not list(tmp_path.iterdir())


def test_the_watch_sees_what_is_done(tmp_path: Path) -> None:
    (tmp_path / "doer.py").write_text("open('mark', 'w').close()")
    done = run(WATCH, "doer", folder=tmp_path)
    assert "AssertionError: ['mark']" in done.stderr


def test_the_command_line_answers_without_the_heavy_libraries(tmp_path: Path) -> None:
    heavy = {"aiosql", "duckdb", "llvmlite", "mpi4py", "numba", "numpy", "polars", "psycopg2", "tqdm"}
    done = run(f"import sys, grt_batch.cli; print(*sorted({heavy} & set(sys.modules)))", folder=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("\n", "", 0)


def test_a_rank_without_work_loads_no_library_of_columns(tmp_path: Path) -> None:
    heavy = {"click", "numba", "numpy", "polars", "psycopg2"}
    code = f"import grt_batch.cli, grt_batch.ranks.worker, sys; print(*sorted({heavy} & set(sys.modules)))"
    done = run(code, folder=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("\n", "", 0)
