"""The options of an examination without a problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from calling import places


@pytest.fixture
def options(good: Path, tmp_path: Path, database: str) -> list[object]:
    return ["--uploads", good, *places(tmp_path), "--database", database]
