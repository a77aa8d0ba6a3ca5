"""An S3 server with archive classes, and published uploads to move there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from frozen import Bucket, ColdSite, FrozenStore, cold_site, frozen_store, new_bucket

_NUMBERS = count()


@pytest.fixture(scope="session")
def frozen_server() -> Iterator[FrozenStore]:
    with frozen_store() as store:
        yield store


@pytest.fixture
def bucket(frozen_server: FrozenStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with new_bucket(frozen_server, next(_NUMBERS), monkeypatch) as bucket:
        yield bucket


@pytest.fixture
def site(tmp_path: Path) -> ColdSite:
    return cold_site(tmp_path)
