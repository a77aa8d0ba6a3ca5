"""What a command was asked for reaches its ranks, whatever the arguments of this process are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from calling import AS_OF, Answer, Call

from grt_batch.commands import cli
from grt_batch.commands.diff import diff
from grt_batch.commands.launching import arguments_of
from grt_batch.commands.publish import publish
from grt_batch.commands.run import run
from grt_batch.commands.verify import verify
from grt_batch.core.errors import NoMpirun, Stopped
from grt_batch.ranks.mpirun import find_mpirun

COMMANDS = (run, verify, publish, diff)
PARAMETERS = [
    pytest.param(command, parameter, id=f"{command.name} {parameter.name}")
    for command in COMMANDS
    for parameter in command.params
]
ODD = "-o --ranks=3 é"


def parsed(command: click.Command, words: list[str]) -> dict[str, Any]:
    """What click makes of a command line; as a part of the program, whose help has two names."""
    parent = click.Context(cli, **cli.context_settings)
    return command.make_context("it", list(words), parent=parent).params


def spellings(parameter: click.Parameter) -> list[list[str]]:
    """Ways to give a value to a parameter on the command line."""
    if isinstance(parameter, click.Argument):
        return [["tools"], ["--", ODD, "--debug"]]
    name, kind = parameter.opts[0], parameter.type
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [[flag] for flag in (*parameter.opts, *parameter.secondary_opts)]
    match kind:
        case click.IntRange():
            text = "7"
        case click.FloatRange():
            text = "0.5"
        case click.DateTime():
            text = "2024-02-29"
        case click.Choice():
            text = kind.choices[-1]
        case _:
            text = ODD
    several = [[name, text, f"{name}=x"]] if parameter.multiple else []
    return [[name, text], [f"{name}={text}"], *several]


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS)
def test_every_option_survives_the_way_to_the_ranks(command: click.Command, parameter: click.Parameter) -> None:
    for words in spellings(parameter):
        asked = parsed(command, words)
        assert asked != parsed(command, []), words
        assert parsed(command, arguments_of(command, asked)) == asked


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_all_options_together_survive(command: click.Command) -> None:
    words = [word for parameter in command.params for word in spellings(parameter)[0]]
    asked = parsed(command, words)
    assert parsed(command, arguments_of(command, asked)) == asked


CALLER = """
import sys
sys.argv = ["caller", "--debug", "run", "--retries", "3", "instances"]
from grt_batch.cli import main
main({arguments!r})
"""


def called(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The program called by another one, whose own arguments are others."""
    script = CALLER.format(arguments=list(map(str, arguments)))
    command = [sys.executable, "-c", script]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_ranks_publish_what_main_was_asked_for(good: Path, tmp_path: Path, database: str) -> None:
    try:
        find_mpirun(os.environ)
    except NoMpirun:
        pytest.skip("no mpirun")
    places = ["--reports", tmp_path / "reports", "--work", tmp_path / "work", "--database", database]
    options = [*places, "--ranks=2", "--profile", f"--as-of={AS_OF}", "--log-format=json"]
    done = called("run", "--uploads", good, *options, "tools")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "reports" / AS_OF
    numbers: dict[str, Any] = json.loads((folder / "run.json").read_bytes())
    assert (numbers["ranks"], list(numbers["modules"])) == (2, ["tools"])
    assert "tool.tsv" in {file.name for file in folder.iterdir()}
    assert "instance.tsv" not in {file.name for file in folder.iterdir()}
    profiles = tmp_path / "work" / "profiles" / numbers["run_id"]
    assert {file.name for file in profiles.iterdir()} == {"rank-0.json", "rank-1.json"}
    (archive, *_) = (folder / "archive.tsv").read_text().splitlines()[1:]
    assert archive

    verified = called("verify", "--uploads", good, *places, "--ranks=2", "tools")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"as of {AS_OF}: all " in verified.stdout
    assert "instance " not in verified.stdout


@pytest.mark.parametrize("code", [0, 1, 6])
@pytest.mark.parametrize(
    ("command", "what"), [("run", ["tools"]), ("verify", ["tools"]), ("publish", ["--held"]), ("diff", [])]
)
def test_with_ranks_the_command_starts_itself_again(
    call: Call, monkeypatch: pytest.MonkeyPatch, command: str, what: list[str], code: int
) -> None:
    started: list[tuple[int, list[str], tuple[str, ...], str]] = []

    def launch(
        ranks: int, arguments: list[str], *_: object, program: tuple[str, ...], hosts: str, fault_tolerant: bool
    ) -> int:
        started.append((ranks, arguments, program, hosts))
        return code

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    monkeypatch.setattr(sys, "argv", ["caller", "run", "--retries", "5", "params"])
    words = [command, "--uploads", "u", "--ranks", "4", "--ranks=5", "--hosts=n7:2,n8:3", *what]
    assert call(*words) == Answer(code, "", "")
    ((ranks, arguments, program, hosts),) = started
    assert (ranks, program, hosts) == (5, ("-m", "grt_batch.cli", command), "n7:2,n8:3")
    assert arguments[0] == "--uploads=u"
    assert set(what) <= set(arguments)
    assert not [word for word in arguments if word.startswith("--ranks")]
    assert ("--no-progress" in arguments) == (command == "run")


@pytest.mark.parametrize(
    ("codes", "started", "code"),
    [([0], 1, 0), ([6, 1], 2, 1), ([6, 6, 0], 3, 0), ([6, 6, 6], 3, 6), ([4], 1, 4), ([6, 2], 2, 2)],
)
def test_with_retries_it_starts_again_where_a_rank_was_lost(
    call: Call, monkeypatch: pytest.MonkeyPatch, codes: list[int], started: int, code: int
) -> None:
    left = iter(codes)
    monkeypatch.setattr("grt_batch.ranks.launcher.launch", lambda *_, **__: next(left))
    answer = call("run", "--ranks", "2", "--retries", "2")
    assert answer.code == code
    assert [line for line in answer.err.splitlines() if "starting again" in line] == [
        f"grt-batch: starting again ({again} of 2 retries)" for again in range(1, started)
    ]
    assert next(left, None) is None


def test_ranks_that_were_stopped_are_told_in_a_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*_: object, **__: object) -> int:
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr("grt_batch.ranks.launcher.launch", launch)
    answer = call("run", "--ranks", "2")
    assert answer.code == 143
    assert answer.complaint == str(Stopped(signal.SIGTERM))
