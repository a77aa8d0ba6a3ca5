"""One work folder for the tests of each file of the embedded server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grt_batch.embedded_postgres import process as server_process
from grt_batch.embedded_postgres.server import EmbeddedServer


@pytest.fixture(scope="module", autouse=True)
def without_fsync() -> Iterator[None]:
    """Servers do not wait for the disk, which may be slow: no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_process, "INITDB", (*server_process.INITDB, "--no-sync"))
        patch.setattr(server_process, "SETTINGS", (*server_process.SETTINGS, "fsync=off"))
        yield


@pytest.fixture(scope="module")
def base(pytestconfig: pytest.Config) -> Iterator[Path]:
    """A folder that the server's user can enter, even if pytest runs as root; no server is left below it."""
    if pytestconfig.getoption("quick"):
        pytest.skip("no database with --quick")
    with tempfile.TemporaryDirectory(prefix="grt_batch-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for lock in folder.rglob("postgres/lock"):
            EmbeddedServer(lock.parents[1]).stop()


@pytest.fixture(scope="module")
def work_of_all(base: Path) -> Path:
    """One work folder for the tests of a file that leave it in order: making the data takes most of the time."""
    return base / "work"


@pytest.fixture
def work(work_of_all: Path) -> Iterator[Path]:
    """The work folder, without a server before and after."""
    assert not EmbeddedServer(work_of_all).running()
    yield work_of_all
    assert not EmbeddedServer(work_of_all).running()
