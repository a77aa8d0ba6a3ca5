"""Published uploads to move to cold storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from frozen import ColdSite, cold_site


@pytest.fixture
def site(tmp_path: Path) -> ColdSite:
    return cold_site(tmp_path)
