"""The documents of the sample, those that the public may see and all of them; a server to load them into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bulk_server import Node, bulk_server

from grt_batch.core.config import Config
from grt_batch.documents.making import make_documents
from grt_batch.sample import UNTIL


@pytest.fixture(scope="session")
def report_set(_published: Config) -> Path:
    """The report set of the sample; nobody writes to it."""
    return _published.reports / UNTIL.isoformat()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, report_set: Path) -> Path:
    """The folder of its documents, as the public sees them."""
    folder = tmp_path_factory.mktemp("documents")
    make_documents(report_set, folder, None, Config(), UNTIL)
    return folder


@pytest.fixture(scope="session")
def made_private(tmp_path_factory: pytest.TempPathFactory, report_set: Path) -> Path:
    """The folder of all its documents."""
    folder = tmp_path_factory.mktemp("private_documents")
    make_documents(report_set, folder, None, Config(documents_private=True), UNTIL)
    return folder


@pytest.fixture
def node() -> Iterator[Node]:
    """A server without documents, all of whose rules are kept in the end."""
    with bulk_server() as node:
        yield node
    assert not node.broken_rules
