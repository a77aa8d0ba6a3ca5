"""The report that README shows is complete: it obeys the contract, and gives what it says."""

from __future__ import annotations

import csv
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from grt_batch.core.config import Config
from grt_batch.modules.registry import discover
from grt_batch.pipeline.request import RunSummary


def example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example as a module in a file of its own."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (folder / "example.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module("example")


def test_the_report_in_readme_is_published(
    config: Config, run_here: Callable[..., RunSummary], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = example(tmp_path, monkeypatch).ToolDays()
    known = {**discover(), report.name: report}
    for file in ("modules.registry", "pipeline.merge", "pipeline.reduce_archive", "pipeline.render", "pipeline.tasks"):
        monkeypatch.setattr(f"grt_batch.{file}.discover", lambda: known)
    run_here(config, modules=("tools", "tool_days"))
    latest: Path = config.reports / "latest"
    days = {row["tool_id"]: int(row["days"]) for row in rows(latest / "tool_days.tsv")}
    wanted: dict[str, set[str]] = {}
    for row in rows(latest / "tool_day.tsv"):
        wanted.setdefault(row["tool_id"], set()).add(row["day"])
    assert days == {tool_id: len(found) for tool_id, found in wanted.items()}
    assert len(days) > 100


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="\n") as text:
        return list(csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE))
