"""Gold files: every table of every module over a small sample. `make gold` blesses what the modules give now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import published

from grt_batch.config import Config
from grt_batch.ledger import ARCHIVE
from grt_batch.module import discover
from grt_batch.run import Summary
from grt_batch.sample import write_sample

GOLD = Path(__file__).parent / "gold"
TABLES = sorted(table.name for module in discover().values() for table in module.tables)
_DEPENDS_ON_GZIP = {"instance_status", ARCHIVE.name}
"""Sizes of tar.gz are the compressor's; these tables are compared without them."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "uploads"
    write_sample(folder, jobs=240, seed=11)
    return folder


def test_every_table_is_as_blessed(
    small: Path, config: Config, run_here: Callable[..., Summary], pytestconfig: pytest.Config
) -> None:
    run_here(replace(config, uploads=small), modules=tuple(discover()))
    actual = {name.removeprefix("latest/"): content for name, content in published(config.reports).items()}
    actual = {name: content for name, content in actual.items() if name.removesuffix(".tsv") not in _DEPENDS_ON_GZIP}
    if pytestconfig.getoption("--bless"):
        for name, content in actual.items():
            (GOLD / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLD / name).write_bytes(content)
    different = []
    for name, content in actual.items():
        gold = GOLD / name
        if not gold.exists() or gold.read_bytes() != content:
            gold.with_name(gold.name + ".actual").parent.mkdir(parents=True, exist_ok=True)
            gold.with_name(gold.name + ".actual").write_bytes(content)
            different.append(name)
    assert not different, f"{different}: see tests/gold/*.actual; where they are right, bless them with: make gold"


def test_no_gold_file_is_left_over() -> None:
    names = {file.stem for file in GOLD.glob("*.tsv")}
    assert names == set(TABLES) - _DEPENDS_ON_GZIP
