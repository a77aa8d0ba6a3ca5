"""Gold files: every table of every module over the few archives of tests/gold/uploads, which lie there unpacked.

`make gold` blesses what the modules give now; look at the difference before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from build import entry, packed
from places import GOLD
from runs import published

from grt_batch.core.config import Config
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.pipeline.request import RunSummary

COUNTING = {name: module for name, module in discover().items() if not isinstance(module, Export)}
"""What an export makes is not a table of the reports; its own test looks at it."""
MODULES = tuple(COUNTING)
TABLES = {table.name for module in COUNTING.values() for table in module.tables}
SIZES_OF_ARCHIVES = {"instance_status", "archive"}
"""These tables hold sizes and hashes of tar.gz, which are the compressor's: they have no gold file."""


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """The archives, packed."""
    root = GOLD / "uploads"
    for file in sorted(root.rglob("*.json")):
        target = tmp_path / "uploads" / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
        members = [entry(member.name, member.read_bytes()) for member in sorted(file.parent.glob(f"{file.stem}.*.tsv"))]
        if members:
            target.with_suffix(".tar.gz").write_bytes(packed(*members))
    return tmp_path / "uploads"


def test_every_table_is_as_blessed(
    uploads: Path, config: Config, run_here: Callable[..., RunSummary], pytestconfig: pytest.Config
) -> None:
    # With so few jobs no change of a tool would be worth reporting.
    lenient = replace(config, change_min_jobs=1, change_p_value=1.0, change_min_rate=0, change_runtime_percent=1)
    run_here(replace(lenient, uploads=uploads), modules=MODULES)
    actual = {name.removeprefix("latest/"): content for name, content in published(config.reports).items()}
    actual = {name: content for name, content in actual.items() if Path(name).stem not in SIZES_OF_ARCHIVES}
    different = []
    for name, content in actual.items():
        gold = GOLD / name
        gold.parent.mkdir(parents=True, exist_ok=True)
        if pytestconfig.getoption("--bless"):
            gold.write_bytes(content)
        if not gold.exists() or gold.read_bytes() != content:
            gold.with_name(f"{gold.name}.actual").write_bytes(content)
            different.append(name)
    assert not different, f"{different}: see tests/gold/*.actual; where they are right, bless them with: make gold"


def test_every_table_has_a_gold_file_and_every_gold_file_a_table() -> None:
    assert {file.stem for file in GOLD.glob("*.tsv")} == TABLES - SIZES_OF_ARCHIVES
