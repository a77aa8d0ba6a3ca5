"""The program as a whole: its help, its version, and how it is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from calling import Call
from places import ROOT

from grt_batch.commands import cli


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, ...]]:
    yield before
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield (*before, name)


@pytest.mark.parametrize("command", list(commands(cli)), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(call: Call, command: tuple[str, ...], option: str) -> None:
    answer = call(*command, option)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: {' '.join(['grt-batch', *command])} ")


def test_the_program_tells_its_version(call: Call) -> None:
    answer = call("--version")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("grt-batch, version ")


def test_manager_py_is_run(good: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "manager.py"), "--dry-run", "--uploads", str(good), "tools"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert "never read" in done.stdout
