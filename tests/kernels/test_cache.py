"""Compiled kernels are kept, found again where nobody may write, and compiled again when any of their files changes."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from places import ROOT

from grt_batch.core.work_folder import KERNELS_VARIABLE
from grt_batch.kernels import cache
from grt_batch.kernels.machine_code import MachineCode
from grt_batch.kernels.place import Place
from grt_batch.schema import members

HASH = """
import sys
import numpy as np
from grt_batch.kernels.cache import place_in_use
from grt_batch.kernels.text_hash import hash_texts
found = np.zeros(1, np.uint64)
hash_texts(np.frombuffer(b"text", np.uint8), np.array([4]), found)
print(found[0], "numba" not in sys.modules, place_in_use() and place_in_use().folder)
"""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def obey_permissions() -> None:
    """Take from root the right to write everywhere, before a program starts; of no effect for other users."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


class Ran(NamedTuple):
    """What one process printed: the hash, whether the kernel was found on disk and needed no compiler, the folder, and
    stderr."""

    hash: int
    found: bool
    folder: Path
    stderr: str


class Installation:
    """A copy of the kernels, and a home for the user who runs them."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "site" / "grt_batch"
        self.home = folder / "home"
        for part in ("__init__.py", "core", "kernels", "schema"):
            source, copy = ROOT / "grt_batch" / part, self.package / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
        self.home.mkdir()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()

    def make_read_only(self) -> None:
        """Take the right to write away."""
        for file in [self.package, *self.package.rglob("*")]:
            file.chmod(0o555 if file.is_dir() else 0o444)

    def run(self, **environment: str) -> Ran:
        """Hash a text in a new process."""
        out = ("NUMBA", "XDG", "GRT_BATCH", "TMPDIR")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(out)}
        inherited["TMPDIR"] = str(self.temporary)
        done = subprocess.run(
            [sys.executable, "-c", HASH],
            cwd=self.home,
            env={**inherited, "PYTHONPATH": str(self.package.parent), "HOME": str(self.home), **environment},
            preexec_fn=obey_permissions,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        number, found, folder = done.stdout.split()
        return Ran(int(number), found == "True", Path(folder), done.stderr)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    yield Installation(tmp_path)
    for place in [tmp_path, *tmp_path.rglob("*")]:
        if place.is_dir():
            place.chmod(0o755)


def test_a_kernel_is_compiled_again_when_a_file_that_it_calls_changes(installation: Installation) -> None:
    first, again = installation.run(), installation.run()
    assert (first.found, again.found) == (False, True)
    assert first.hash == again.hash
    # The hash is in text_hash.py, and has the code of last_bytes inlined.
    words = installation.package / "kernels" / "words.py"
    words.write_text(words.read_text().replace("word = np.uint64(0)", "word = np.uint64(1)"))
    changed = installation.run()
    assert not changed.found
    assert changed.folder != first.folder
    assert changed.hash != first.hash


def test_the_constants_of_members_are_compiled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "members.py"
    changed.write_text(Path(members.__file__).read_text() + "MOST_COLUMNS = 65\n")
    before = cache.sources_digest.__wrapped__()
    monkeypatch.setattr(members.__spec__, "origin", str(changed))
    assert cache.sources_digest.__wrapped__() != before


def test_a_read_only_installation_uses_what_its_owner_compiled(installation: Installation) -> None:
    owners = installation.run()
    installation.make_read_only()
    others = installation.run()
    assert others == owners._replace(found=True)
    assert others.folder.is_relative_to(installation.package)
    assert not list(installation.home.iterdir())


def test_what_nobody_compiled_for_a_read_only_installation_is_kept_for_the_user(installation: Installation) -> None:
    installation.make_read_only()
    first, again = installation.run(), installation.run()
    assert (first.found, again.found) == (False, True)
    assert again.folder.is_relative_to(installation.home / ".cache")


def test_numba_cache_dir_is_obeyed(installation: Installation) -> None:
    folder = installation.home / "kept"
    assert installation.run(NUMBA_CACHE_DIR=str(folder)).folder.is_relative_to(folder)
    assert not list(installation.package.glob("kernels/__pycache__/grt_batch-*"))


def test_without_a_home_kernels_are_kept_in_the_work_folder_or_a_temporary_one(installation: Installation) -> None:
    installation.make_read_only()
    installation.home.chmod(0o555)
    work = installation.temporary / "work" / "kernels"
    for environment, below in (({KERNELS_VARIABLE: str(work)}, work), ({}, installation.temporary)):
        first, again = installation.run(**environment), installation.run(**environment)
        assert (first.found, again.found) == (False, True)
        assert first.folder == again.folder and first.folder.is_relative_to(below)
        assert first.stderr.count("compiled kernels are kept in") == len(first.stderr.splitlines()) == 1
        assert again.stderr == ""


def test_without_a_cache_kernels_run_and_one_warning_says_so(installation: Installation) -> None:
    installation.make_read_only()
    for folder in (installation.home, installation.temporary):
        folder.chmod(0o555)
    ran = installation.run()
    assert not ran.found
    assert ran.stderr.count("compiled kernels cannot be kept anywhere") == 1
    assert len(ran.stderr.splitlines()) == 1


def test_kernels_of_an_installation_serve_all_users_whatever_the_umask_was(installation: Installation) -> None:
    before = os.umask(0o077)
    try:
        owners = installation.run()
    finally:
        os.umask(before)
    (file,) = owners.folder.iterdir()
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in (owners.folder, file)] == [0o755, 0o644]


def test_what_the_owner_of_an_installation_kept_elsewhere_comes_to_all_users(installation: Installation) -> None:
    for folder in (installation.package, installation.package / "kernels"):
        folder.chmod(0o555)
    private = installation.run()
    assert private.folder.is_relative_to(installation.home)
    for folder in (installation.package, installation.package / "kernels"):
        folder.chmod(0o755)
    script = "from grt_batch.kernels.cache import share_all; share_all()"
    environment = {**os.environ, "PYTHONPATH": str(installation.package.parent), "HOME": str(installation.home)}
    subprocess.run([sys.executable, "-c", script], cwd=installation.home, env=environment, check=True)
    shutil.rmtree(installation.home / ".cache")
    ran = installation.run()
    assert ran.found and ran.folder.is_relative_to(installation.package)


def test_each_combination_of_types_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two processes may compile one function for two of them at once: neither takes the other's code."""
    monkeypatch.setattr(cache, "places", lambda: (Place(tmp_path / "1" / "2"),))
    assert cache.kept("f", ["int64"]) is None
    codes = {kind: MachineCode(kind, "q", False, (), b"code") for kind in ("int64", "float64")}
    for kind, code in codes.items():
        cache.keep("f", [kind], code)
    assert {kind: cache.kept("f", [kind]) for kind in codes} == codes


def test_a_damaged_kernel_is_compiled_again(installation: Installation) -> None:
    first = installation.run()
    (file,) = first.folder.iterdir()
    whole = file.read_bytes()
    for content in (whole[:-1], b"", whole[:99] + b"?" + whole[100:]):
        file.write_bytes(content)
        assert installation.run() == first
        assert file.read_bytes() == whole
    assert installation.run() == first._replace(found=True)


def test_another_processor_or_compiler_has_kernels_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def folder() -> Path:
        cache.sources_digest.cache_clear()
        return cache.places.__wrapped__()[0].folder

    folders = {folder()}
    for name, value in (("NUMBA_CPU_NAME", "nehalem"), ("NUMBA_CPU_FEATURES", "")):
        monkeypatch.setenv(name, value)
        folders.add(folder())
    monkeypatch.setattr(cache, "_numba", lambda: "another version")
    folders.add(folder())
    cache.sources_digest.cache_clear()
    assert len(folders) == 4
