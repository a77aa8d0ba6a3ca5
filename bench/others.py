"""The floor and the alternatives, as contenders."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from bench.agreement import differences
from bench.contest import THREADS, Contender, Setting

FLOOR, DUCKDB, POLARS = "floor", "DuckDB", "polars"
WAYS = {DUCKDB: ("duckdb_way", "duckdb"), POLARS: ("polars_way", "polars")}
"""By name: the module here, and the package that it needs."""

_MEMBERS = 5
"""At most so many headers in an archive, or lines without an end: lines to one and not to the other."""


def absent() -> dict[str, str]:
    """Return the contenders that cannot run here, and why."""
    return {
        name: f"{package} is not installed: pip install 'grt-batch[bench]'"
        for name, (_, package) in WAYS.items()
        if find_spec(package) is None
    }


def contenders(setting: Setting, uploads: Path, reports: Path) -> Iterator[Contender]:
    """Yield the contenders that can run here; their results must agree with `reports`."""
    yield _floor(setting, uploads, reports)
    for name in WAYS:
        if name not in absent():
            yield _way(setting, name, uploads, reports)


def _floor(setting: Setting, uploads: Path, reports: Path) -> Contender:
    home = setting.scratch / FLOOR

    def check() -> list[str]:
        lines, archives = int((home / "log").read_text()), sum(1 for _ in uploads.rglob("*.tar.gz"))
        wanted = json.loads((reports / "run.json").read_bytes())["lines"]
        return [f"{lines} lines instead of {wanted}"] if abs(lines - wanted) > _MEMBERS * archives else []

    does = f"unpacks and counts lines, {THREADS} archives at a time"
    return Contender(FLOOR, does, (sys.executable, "-m", "bench.floor", str(uploads)), home, check)


def _way(setting: Setting, name: str, uploads: Path, reports: Path) -> Contender:
    module, _ = WAYS[name]
    home = setting.scratch / module
    tables: tuple[str, ...] = import_module(f"bench.{module}").TABLES
    start = ("env", f"POLARS_MAX_THREADS={THREADS}", sys.executable, "-m", f"bench.{module}")
    return Contender(
        name,
        f"{len(tables)} tables, {THREADS} threads",
        (*start, str(uploads), str(home), setting.url, setting.as_of.isoformat()),
        home,
        check=lambda: [line for table in tables for line in differences(reports, home / "reports", table)],
        prepare=lambda: shutil.rmtree(home, ignore_errors=True),
    )
