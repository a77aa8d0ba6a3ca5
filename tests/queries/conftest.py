"""A folder for queries of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a folder with queries of one's own."""

    def write(text: str, name: str = "own.sql") -> Path:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_text(text, encoding="utf-8")
        return tmp_path / "own"

    return write
