"""One LDAP server for all tests of a directory, and a work folder for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from slapd import Server, ldap_server

from grt_batch.core.config import Config


@pytest.fixture(scope="session")
def ldap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ldap_server(tmp_path_factory.mktemp("slapd")) as server:
        yield server


@pytest.fixture
def asking(ldap: Server, tmp_path: Path) -> Config:
    """A configuration that asks the server."""
    return replace(ldap.config, work=tmp_path)
