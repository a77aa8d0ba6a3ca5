"""File systems that lack something: the run does without where that is safe, and else says what is missing."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from calling import AS_OF
from failing_calls import build, failing
from runs import copy_uploads

MODULES = ("tools", "instances", "lake")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build(tmp_path_factory.mktemp("failing"))
    if found is None:
        pytest.skip("no compiler for C")
    return found


class Site:
    """Uploads that grow, and the folder of the runs, whose calls may fail."""

    def __init__(self, good: Path, folder: Path, database: str) -> None:
        self.uploads, self.folder, self.database = folder / "uploads", folder / "place", database
        self.folder.mkdir()
        copy_uploads(good, self.uploads)
        self.later = max(self.uploads.rglob("*.tar.gz"), key=lambda file: float(file.name.removesuffix(".tar.gz")))
        shutil.move(self.later, folder / "later")

    def grow(self) -> None:
        """Let the rest of the last archive arrive."""
        shutil.move(self.folder.parent / "later", self.later)

    def run(self, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        options = ["--uploads", self.uploads, "--reports", self.folder / "reports", "--work", self.folder / "work"]
        command = [sys.executable, "-m", "grt_batch.cli", "run", *options, "--database", self.database]
        return subprocess.run(
            [*map(str, command), "--as-of", AS_OF, *MODULES],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def tables(self) -> dict[str, bytes]:
        latest = (self.folder / "reports" / "latest").resolve()
        found = {str(file.relative_to(latest)): file.read_bytes() for file in latest.rglob("*") if file.is_file()}
        return {name: content for name, content in found.items() if name != "run.json"}


@pytest.fixture
def site(good: Path, tmp_path: Path, database: str) -> Site:
    return Site(good, tmp_path, database)


def test_without_links_locks_of_bsd_or_syncs_the_second_run_of_a_date_gives_the_same_bytes(
    site: Site, library: Path
) -> None:
    lacking = {"flock": errno.ENOSYS, "fsync": errno.EINVAL, "sendfile": errno.EINVAL, "mmap": errno.ENODEV}
    cases = [
        {"link": errno.EXDEV},
        {"link": errno.EPERM, **lacking},
        {"flock": errno.ENOLCK},
        {"flock": errno.EOPNOTSUPP, "link": errno.EMLINK},
    ]
    runs = [site.run(failing(library, site.folder, **cases[0]))]
    site.grow()
    for calls in cases[1:]:
        done = site.run(failing(library, site.folder, **calls))
        runs.append(done)
        found = site.tables()
        shutil.rmtree(site.folder / "work" / "store")
    assert [done.returncode for done in runs] == [0] * 4, runs[-1].stderr
    said = "reports that did not change are copied, since their file system has no hard links: "
    assert [done.stderr.count(said) for done in runs] == [0, 1, 0, 1], [done.stderr for done in runs]
    shutil.rmtree(site.folder)
    site.folder.mkdir()
    assert site.run().returncode == 0
    assert site.tables() == found


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ({"flock": errno.ENOLCK, "lockf": errno.ENOLCK}, "work cannot lock files (No locks available), and nothing"),
        ({"flock": errno.ENOSYS, "lockf": errno.ENOSYS}, "cannot lock files (Function not implemented)"),
        ({"symlink": errno.EPERM}, "reports cannot be written: no symbolic link can be made there (Operation not"),
        ({"write": errno.EDQUOT}, "cannot be written: Disk quota exceeded. Nothing was published."),
        ({"fsync": errno.EIO}, "cannot be written: Input/output error. Nothing was published."),
    ],
    ids=str,
)
def test_what_cannot_be_done_without_is_said(site: Site, library: Path, calls: dict[str, int], said: str) -> None:
    done = site.run(failing(library, site.folder, **calls))
    assert done.returncode == 4, done.stderr
    complaint = done.stderr.splitlines()[-1]
    assert complaint.startswith("grt-batch: ") and said in complaint
    assert not [*(site.folder / "reports").glob("[!.]*")]
    assert site.run().returncode == 0
