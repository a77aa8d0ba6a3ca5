"""The command that shows the tools that matter most."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from calling import NOWHERE, Call, query

from grt_batch.core.config import Config

TITLES = ["Most used", "Slowest", "Most failing", "Most wasteful"]


def test_the_tools_that_matter_are_shown(call: Call, ran: Config) -> None:
    answer = call("top", "--database", ran.database, "--period", "all")
    assert (answer.code, answer.err) == (0, "")
    assert "\x1b" not in answer.out
    head, *blocks = [part.splitlines() for part in answer.out.split("\n\n")]
    assert head == ["Tools of all instances, all jobs"]
    assert [len(block) for block in blocks] == [11] * 4
    assert [block[0].startswith(title) for block, title in zip(blocks, TITLES, strict=True)] == [True] * 4
    ((jobs,),) = query(
        ran.database,
        "SELECT max(jobs) FROM grt.tool_usage WHERE instance_id = '*' AND period = 'all' AND tool_version = '*'",
    )
    assert f" {jobs:,} " in blocks[0][1]


def test_an_instance_has_its_own(call: Call, ran: Config) -> None:
    ((instance,),) = query(ran.database, "SELECT instance_id FROM grt.instance ORDER BY jobs DESC LIMIT 1")
    asked = ["--database", ran.database, "--period", "all", "--rows", 2]
    one, all_of = (call("top", *asked, *given).out for given in (["--instance", instance], []))
    assert one.startswith(f"Tools of instance {instance}, all jobs\n")
    assert one.splitlines()[1:] != all_of.splitlines()[1:]
    none = call("top", *asked, "--instance", "none")
    assert (none.code, none.out.count("  nothing\n")) == (0, 4)


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_has_one_screen_in_colours(ran: Config, no_color: str, coloured: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "LINES": "24", "NO_COLOR": no_color}
    command = [sys.executable, "-m", "grt_batch.cli", "top", "--database", ran.database, "--period", "all"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert ("\x1b[" in text) == coloured
    lines = text.splitlines()
    assert len(lines) == 21
    if not coloured:
        assert max(map(len, lines)) <= 60


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Its other end is closed.
        return b""


def test_an_unreachable_database_ends_with_4(call: Call) -> None:
    assert call("top", "--database", NOWHERE).code == 4
    assert call("top", "--rows", 0).code == 2
