"""The command that starts the service; what the service does is tested in tests/service."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from calling import Call

from grt_batch.service.server import listen


def test_a_port_that_is_taken_is_one_line(call: Call, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        answer = call("serve", "--port", port, "--uploads", tmp_path)
    assert answer.code == 4
    assert answer.complaint == (
        f"The service cannot listen on 127.0.0.1, port {port}: Address already in use. Choose others with --host and"
        " --port, or stop the program that has the port."
    )


def test_without_its_packages_it_says_which_is_missing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "grt_batch.service.server")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    answer = call("serve")
    assert (answer.code, answer.complaint) == (
        2,
        "grt-batch serve needs the package uvicorn, which is not installed. Run: pip install 'grt-batch[serve]'.",
    )


def test_keys_that_cannot_be_read_are_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "uploads.keys.json").write_text("{")
    answer = call("serve", "--port", 0, "--uploads", tmp_path / "uploads")
    assert answer.code == 4
    assert answer.err.endswith("restore the file from a copy; without it, give the instances new keys.\n")


@pytest.mark.parametrize("arguments", [["--port", 70_000], ["--port", "x"], ["--log-format", "xml"]])
def test_bad_options(call: Call, arguments: list[object]) -> None:
    assert call("serve", *arguments).code == 2


def test_the_options_win_over_the_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[service]\nhost = "elsewhere.invalid"\nport = 7\n')
    answer = call("serve", "--host", "nowhere.invalid", "--config", tmp_path / "my.toml")
    assert "cannot listen on nowhere.invalid, port 7" in answer.complaint
