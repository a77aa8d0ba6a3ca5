"""Imports point one way, loading the package does nothing else, and the command line answers at once."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import grt_batch

PACKAGE = Path(grt_batch.__file__).parent
SOURCES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}

LAYERS = [
    ["__init__", "secrets"],
    ["clock", "errors", "growing", "logs", "memory", "records", "texts"],
    ["codes"],
    ["tables"],
    ["joined", "kernels", "values"],
    ["hashing", "measures", "model", "sketch"],
    ["archive", "config", "metadata", "ranks.heartbeat", "ranks.mpirun", "sample", "sampled", "server_folder", "tally"],
    ["modes", "profiles", "queries", "shapes", "server_process", "uploads"],
    ["columns", "ranks.traces"],
    ["decode", "details", "embedded", "ranks.launcher", "redaction"],
    ["jobs"],
    ["ledger"],
    ["index"],
    ["module"],
    ["modules", "packing", "partials"],
    ["tasks"],
    ["pipeline"],
    ["plan", "sinks"],
    ["contents", "merging", "notices", "published"],
    ["answers", "checks", "reduction", "rendering", "upkeep"],
    ["run"],
    ["verification"],
    ["ranks.layout", "ranks.messages"],
    ["ranks.codecs", "ranks.wire"],
    ["ranks.controller", "ranks.coordinator"],
    ["ranks.worker"],
    ["commands"],
    ["cli"],
]
"""From what everything rests on to what people call; a file imports from the layers above its own line only. A package
that stands here without a point is one piece: its files may import each other."""

LOOKED_UP = ("grt_batch.module", "grt_batch.modules")
"""`discover` finds the modules by their folder, and knows none of them by name."""

LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}


def piece(name: str) -> str:
    """The entry of LAYERS that a file or package belongs to."""
    parts = name.split(".")[1:] or ["__init__"]
    return ".".join(parts[:2]) if ".".join(parts[:2]) in LEVELS else parts[0]


def level(name: str) -> int:
    assert piece(name) in LEVELS, f"write {name} into LAYERS of this test"
    return LEVELS[piece(name)]


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


def test_every_file_has_its_layer() -> None:
    assert all(level(name) >= 0 for name in SOURCES if name != "grt_batch.ranks")
    left_over = set(LEVELS) - {piece(name) for name in SOURCES}
    assert not left_over, f"LAYERS names {left_over}, which are no more"


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_one_way(name: str) -> None:
    for other in own_imports(name):
        if (name, other) != LOOKED_UP and piece(other) != piece(name):
            assert level(other) < level(name), f"{name} imports {other}, which stands no deeper"


def test_no_file_imports_itself_by_others() -> None:
    graph = {name: [other for other in own_imports(name) if (name, other) != LOOKED_UP] for name in SOURCES}
    assert list(TopologicalSorter(graph).static_order())


def test_one_file_knows_mpi() -> None:
    knowing = {name for name in SOURCES for other in imports(name) if other.partition(".")[0] == "mpi4py"}
    assert knowing == {"grt_batch.ranks.wire"}


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
    # numba looks whether it may keep what it compiles beside the sources, as Python keeps its bytecode there.
    if done and "__pycache__" not in done:
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
