"""One service for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from doors import Door, opened
from galaxy_client import Client


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A service that loses its patience soon."""
    settings = "stall_seconds = 2\nmax_upload_bytes = 400_000_000\n"
    with opened(tmp_path_factory.mktemp("door") / "site", settings) as door:
        yield door


@pytest.fixture
def client(door: Door) -> Client:
    """A Galaxy server, of an instance of its own."""
    return door.client()
