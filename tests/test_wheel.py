"""A wheel is complete: what is installed from it needs no source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zipfile import ZipFile

import pytest
from places import ROOT

from grt_batch.core.share import shared_files
from grt_batch.kernels.cache import places
from grt_batch.sample import UNTIL

PAGES = ROOT / "grt_batch" / "pages"


PARTS = ("grt_batch", "config", "docs", "cron.sh", "manager.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def succeeds(*command: object, folder: Path, **settings: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"} | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the project, where building leaves no trace in the source tree."""
    try:
        if int(version("setuptools").partition(".")[0]) < 71:
            version("wheel")
    except PackageNotFoundError as error:
        pytest.skip(f"no wheel can be built: {error}")
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder)
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    succeeds(sys.executable, "-m", "pip", "wheel", ".", *options, "--wheel-dir", "dist", folder=folder)
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what is installed, for PYTHONPATH."""
    site = tmp_path_factory.mktemp("installed") / "site"
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--target", site)
    succeeds(sys.executable, "-m", "pip", "install", *options, wheel, folder=wheel.parent)
    return site


def test_it_has_the_files_beside_the_code_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {str(file.relative_to(ROOT)) for file in (ROOT / "grt_batch").rglob("*.py")}
    pages = {str(file.relative_to(ROOT)) for name in ("static", "templates") for file in (PAGES / name).iterdir()}
    assert names == code | pages | {f"grt_batch/share/{file}" for file in shared_files()}


def test_an_installation_does_without_the_source_tree(installed: Path, database: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # The kernels are the same, and compiling them takes a minute.
    settings = {
        "PYTHONPATH": str(installed),
        "GRT_BATCH_DATABASE": database,
        "NUMBA_CACHE_DIR": str(next(place for place in places() if place.files()).folder.parents[1]),
    }

    def grt_batch(*arguments: object) -> str:
        return succeeds(sys.executable, "-m", "grt_batch.cli", *arguments, folder=home, **settings)

    cron, manager = map(Path, grt_batch("files", "cron.sh", "manager.py").splitlines())
    assert {cron.parent, manager.parent} == {installed / "grt_batch" / "share"}
    grt_batch("sample", "uploads", "--jobs", 60, "--instances", 1, "--archives", 1)
    assert "new" in grt_batch("plan")
    succeeds(sys.executable, manager, "--as-of", UNTIL, folder=home, **settings)
    assert grt_batch("query", "tool-errors", "--format", "tsv").count("\n") > 1
    grt_batch("files", "--to", ".")
    assert (home / "config" / "schemas" / "archive-3.schema.json").is_file()
    local = {"GRT_BATCH_PYTHON": sys.executable, "GRT_BATCH_RANKS": "1", "GRT_BATCH_SCHEDULER": "local"}
    assert succeeds(home / "cron.sh", "--as-of", UNTIL, folder=Path("/"), **settings, **local) == ""
    assert (home / "logs" / "latest.log").is_file()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    local |= {"GRT_BATCH_HOME": str(elsewhere), "GRT_BATCH_UPLOADS": str(home / "uploads")}
    assert succeeds(cron, "--as-of", UNTIL, folder=Path("/"), **settings, **local) == ""
    assert {path.name for path in elsewhere.iterdir()} == {"work", "reports", "logs"}


def test_its_cron_script_asks_where_to_work(installed: Path) -> None:
    done = subprocess.run([installed / "grt_batch" / "share" / "cron.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "GRT_BATCH_HOME" in done.stderr
    assert not (installed / "grt_batch" / "share" / "work").exists()
