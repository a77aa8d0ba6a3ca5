"""The alternatives, as contenders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from bench.agreement import differences
from bench.contest import THREADS, Contender, Setting

WAYS = {
    "DuckDB": ("duckdb_way", "duckdb", f"all tables but instance and archive; {THREADS} threads"),
    "polars": ("polars_way", "polars", f"the tables of tools, metrics, inputs and params; {THREADS} threads"),
    "250 lines, pickled": ("lurge_way", "multiprocessing", "the old protocol; counts jobs by tool and state, no more"),
}
"""By name: the module here, the package that it needs, what it does."""


def absent() -> dict[str, str]:
    """Return the contenders that cannot run here, and why."""
    return {
        name: f"{package} is not installed: pip install 'grt-batch[bench]'"
        for name, (_, package, _) in WAYS.items()
        if find_spec(package) is None
    }


def contenders(setting: Setting, reports: Path) -> Iterator[Contender]:
    """Return the contenders that can run here; their tables must agree with `reports`."""
    for name in WAYS:
        if name not in absent():
            yield _contender(setting, name, reports)


def _contender(setting: Setting, name: str, reports: Path) -> Contender:
    module, _, does = WAYS[name]
    home = setting.scratch / module
    start = ("env", f"POLARS_MAX_THREADS={THREADS}", sys.executable, "-m", f"bench.{module}")
    command = (*start, str(setting.uploads), str(home), setting.url, setting.as_of.isoformat())

    def check() -> list[str]:
        tables = sorted(file.stem for file in (home / "reports").glob("*.tsv"))
        wrong = [line for table in tables for line in differences(reports, home / "reports", table)]
        return wrong if tables else ["it has no tables"]

    return Contender(name, does, command, home, check)
