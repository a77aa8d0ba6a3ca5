"""The command that watches the uploads, as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from calling import Call
from coming_and_going import Site

from grt_batch.core.config import Config


def test_without_a_command_there_is_nothing_to_start(call: Call) -> None:
    answer = call("watch")
    assert (answer.code, answer.out) == (2, "")
    assert "on_upload is empty: write the command to start into [service]" in answer.complaint


@pytest.fixture(params=[[], ["--poll"]], ids=["kernel", "poll"])
def watching(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that watches a folder with one archive, and says `came` for what comes in."""
    Site(Config(uploads=tmp_path / "uploads")).write("a", "1", [1])
    (tmp_path / "grt_batch.toml").write_text(
        '[service]\non_upload = "echo came"\non_upload_quiet_seconds = 0\nwatch_poll_seconds = 1\n'
    )
    command = [sys.executable, "-m", "grt_batch.cli", "watch", "--config", "grt_batch.toml", *request.param]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        yield process
        process.kill()


def test_what_comes_in_starts_the_command_and_a_signal_is_the_end(
    watching: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert watching.stdout is not None
    assert watching.stdout.readline() == "came\n"
    Site(Config(uploads=tmp_path / "uploads")).write("a", "2", [2])
    assert watching.stdout.readline() == "came\n"
    watching.send_signal(signal.SIGTERM)
    _, log = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert log.count("on_upload starts: echo came") == 2
    assert "1 archive came in, such as a/2" in log
