"""Streams that are closed, full or without a reader take everything, and text that their encoding lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from calling import AS_OF
from runs import copy_uploads

from grt_batch.core.errors import NoMpirun
from grt_batch.ranks.mpirun import find_mpirun

BAD_OUTPUT = [
    ">&-",
    "2>&-",
    "<&- >&- 2>&-",
    ">/dev/full",
    ">/dev/full 2>/dev/full",
    "| true",
    "2>&1 | true",
    "1</dev/null",
]
INCOMPLETE = "grt-batch: standard output is not complete: "


def shell(words: list[object], output: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The program with its output redirected by a shell; the exit code is the program's."""
    line = f'"$@" {output}; exit ${{PIPESTATUS[0]}}'
    command = ["bash", "-c", line, "bash", sys.executable, "-m", "grt_batch.cli", *words]
    return subprocess.run(
        [*map(str, command)], env={**os.environ, **environment}, capture_output=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def places(good: Path, server: str, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("output")
    copy_uploads(good, folder / "größe")
    return [
        *("--uploads", folder / "größe", "--reports", folder / "reports", "--work", folder / "work"),
        *("--database", server, "--as-of", AS_OF, "instances"),
    ]


@pytest.fixture(scope="module")
def published(places: list[object]) -> list[object]:
    """The places after a run."""
    assert shell(["run", *places], "").returncode == 0
    return places


@pytest.mark.parametrize("output", BAD_OUTPUT)
def test_what_is_published_decides_the_code_of_a_run(places: list[object], output: str) -> None:
    latest = Path(str(places[3])) / "latest"
    before = latest.resolve()
    done = shell(["run", *places], output)
    assert done.returncode == 0, done.stderr
    assert latest.resolve() != before
    problem = {">/dev/full": "No space left on device", "1</dev/null": "Bad file descriptor"}.get(output)
    assert (f"{INCOMPLETE}{problem}" if problem else INCOMPLETE).encode() in done.stderr or not problem
    assert (INCOMPLETE.encode() in done.stderr) == bool(problem)


@pytest.mark.parametrize("output", [">&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | true"])
def test_ranks_run_whatever_becomes_of_their_output(places: list[object], output: str) -> None:
    try:
        find_mpirun(os.environ)
    except NoMpirun:
        pytest.skip("no mpirun")
    latest = Path(str(places[3])) / "latest"
    before = latest.resolve()
    done = shell(["run", "--ranks=2", *places], output)
    assert done.returncode == 0, done.stderr
    assert latest.resolve() != before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", 0),
        ("modules", 0),
        ("check UPLOADS", 0),
        ("plan --uploads UPLOADS --work WORK", 0),
        ("verify --uploads UPLOADS --reports REPORTS --work WORK --database DATABASE instances", 0),
        ("status --work WORK --database DATABASE", 0),
        ("rejects --reports REPORTS", 0),
        ("query instance-list --database DATABASE --format json", 2),
        ("query --list", 0),
        ("gc --work WORK", 0),
        ("doctor --uploads UPLOADS --reports REPORTS --work WORK --database DATABASE", 0),
        ("db url --database DATABASE", 0),
        ("run --no-such-option", 2),
    ],
)
def test_other_commands_keep_their_code(published: list[object], words: str, code: int) -> None:
    named = {"UPLOADS": published[1], "REPORTS": published[3], "WORK": published[5], "DATABASE": published[7]}
    asked = [named.get(word, word) for word in words.split()]
    outputs = (">&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | true")
    assert {output: shell(asked, output).returncode for output in outputs} == dict.fromkeys(outputs, code)


ODD = "café…日本"
PRINT = f"""
import sys
import click
from grt_batch.core.output import secure
secure()
click.echo("{ODD}")
click.echo("{ODD}", err=True)
sys.stderr.write("\\udcff\\n")
click.echo("{ODD}".encode())
"""


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", ODD.encode()),
        ("latin-1", b"caf\xe9???"),
        ("cp1252", b"caf\xe9\x85??"),
        ("ascii", b"caf????"),
        ("utf-8:surrogateescape", ODD.encode()),
    ],
)
def test_what_an_encoding_lacks_is_replaced(encoding: str, printed: bytes) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", PRINT], env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    # Bytes, which are data in a form of their own, are printed as they are.
    assert done.stdout == printed + b"\n" + ODD.encode() + b"\n"
    assert done.stderr == printed + b"\n?\n"


WAIT = """
import os, sys
from grt_batch.core.output import secure
secure()
os.set_blocking(1, False)
sys.stdout.write("x" * 300_000)
"""


def test_a_pipe_that_does_not_block_loses_nothing() -> None:
    for option in ("", "-u"):
        command = ["bash", "-c", f'"$0" {option} -c "$1" | wc -c', sys.executable, WAIT]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout) == 300_000


UNBUFFERED = """
import os, sys
from grt_batch.core.output import secure
secure()
sys.stdout.write("at once ")
os.write(1, b"and then ")
sys.stdout.buffer.write(b"bytes ")
os.write(1, b"end")
"""


def test_unbuffered_output_is_written_at_once() -> None:
    done = subprocess.run([sys.executable, "-u", "-c", UNBUFFERED], capture_output=True, text=True, check=True)
    assert done.stdout == "at once and then bytes end"


TAKEN = """
from grt_batch.core.output import secure
secure()
import os
print(os.open("/dev/null", os.O_RDONLY) > 2, file=open({note!r}, "w"))
"""


def test_no_file_is_opened_as_a_stream_that_was_closed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = TAKEN.format(note=str(note))
    subprocess.run(["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, script], check=True)
    assert note.read_text() == "True\n"
