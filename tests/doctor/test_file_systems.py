"""What a file system lacks is found by trying."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from grt_batch.doctor.file_systems import lacking
from grt_batch.doctor.findings import Status


@pytest.mark.parametrize("subject", ["work", "reports"])
def test_a_usual_file_system_lacks_nothing_and_nothing_is_left(tmp_path: Path, subject: str) -> None:
    assert list(lacking(subject, tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("subject", "calls", "status", "said"),
    [
        ("work", ("fcntl.flock", "fcntl.lockf"), Status.PROBLEM, "cannot lock files (No locks available)"),
        ("reports", ("os.link",), Status.WARNING, "its file system has no hard links (No locks available)"),
        ("reports", ("os.symlink",), Status.PROBLEM, "no symbolic link can be made there (No locks available)"),
    ],
)
def test_what_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str, calls: tuple[str, ...], status: Status, said: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    for call in calls:
        monkeypatch.setattr(call, fail)
    (found,) = lacking(subject, tmp_path)
    assert (found.status, found.subject) == (status, subject)
    assert said in found.found
    assert found.exit_code == (4 if status is Status.PROBLEM else 0)


@pytest.mark.parametrize(("ahead", "said"), [(-100, "100 seconds ahead of"), (100, "100 seconds behind"), (1, "")])
def test_another_clock_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, said: str) -> None:
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + ahead)
    found = [finding.found for finding in lacking("work", tmp_path)]
    assert [text.removeprefix("its clock is ").partition(" that")[0] for text in found] == ([said] if said else [])
