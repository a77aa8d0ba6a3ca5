"""Configuration files of tests, and the one line by which a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from grt_batch.core.config_file import load
from grt_batch.core.errors import BadConfig


def toml(text: str) -> Path:
    """A configuration file of this text."""
    file = Path("my.toml")
    file.write_text(text, encoding="utf-8")
    return file


def refused(file: Path | None = None, **environment: str) -> str:
    """The one line for which this configuration is refused."""
    with pytest.raises(BadConfig) as caught:
        load(file, environment=environment)
    line = str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in line
    return line
