"""Uploads, options and a finished run, which the tests of several commands share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from calling import AS_OF, Answer, places
from coming_and_going import Site, small_site
from runs import copy_uploads, create_database


@pytest.fixture(scope="session")
def bad(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good uploads, but one archive is damaged, one half there, and a file lies about."""
    folder = tmp_path_factory.mktemp("bad") / "uploads"
    copy_uploads(good, folder)
    damaged, half, *_ = sorted(folder.rglob("*.tar.gz"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    half.with_name(half.name.replace(".tar.gz", ".json")).unlink()
    (folder / "stray").touch()
    return folder


@pytest.fixture
def options(good: Path, tmp_path: Path, database: str) -> list[object]:
    """The options of a run of its own for each test."""
    return ["--uploads", good, *places(tmp_path), "--database", database, "--as-of", AS_OF]


@pytest.fixture(scope="session")
def finished(bad: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run over the bad uploads as a process, into a database of its own."""
    folder = tmp_path_factory.mktemp("finished")
    database = create_database(server)
    arguments = ["--uploads", bad, *places(folder), "--database", database, "--as-of", AS_OF, "--log-format", "json"]
    command = [sys.executable, "-m", "grt_batch.cli", "run", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=200
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    return SimpleNamespace(answer=answer, folder=folder, reports=folder / "reports", database=database)


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    return small_site(tmp_path, database)


@pytest.fixture
def site_options(site: Site, tmp_path: Path) -> list[object]:
    """The options of a run over the site."""
    return ["--uploads", site.config.uploads, *places(tmp_path), "--database", site.config.database, "--as-of", AS_OF]
