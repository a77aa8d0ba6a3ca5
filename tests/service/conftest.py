"""One service for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from answering import Answering
from doors import Door, opened
from galaxy_client import Client

from grt_batch.core.config import Config


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A service for all tests."""
    with opened(tmp_path_factory.mktemp("door") / "site", "max_upload_bytes = 400_000_000\n") as door:
        yield door


@pytest.fixture
def client(door: Door) -> Client:
    """A Galaxy server, of an instance of its own."""
    return door.client()


@pytest.fixture(scope="session")
def answering(tmp_path_factory: pytest.TempPathFactory, published_sample: Config) -> Iterator[Answering]:
    """A service over the sample and what a run has published of it. Archives of public instances are for everybody."""
    folder = tmp_path_factory.mktemp("answering")
    settings = f'keys_file = "{folder / "keys.json"}"\npublic_after_days = 1\nquery_page_rows = 500\n'
    paths = {name: getattr(published_sample, name) for name in ("uploads", "work", "reports", "database")}
    with opened(folder / "site", settings, **paths) as door:
        answering = Answering(door)
        yield answering
        answering.close()
