"""What a server notes of itself, and whether it is still there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grt_batch.embedded_postgres.note import NOTE, STAYS, Note, read_note

READY = "7\n/data\n1700000000\n5432\n../..\n\n  1 2\nready   \n"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (READY, (7, True)),
        (READY.replace("ready   ", "starting"), (7, False)),
        ("7\n/data\n", (7, False)),
        ("", None),
        ("\0" * 90, None),
        ("-7\n", None),
    ],
    ids=["ready", "starting", "begun", "empty", "zeros", "nonsense"],
)
def test_a_note_is_read_as_far_as_it_is_written(tmp_path: Path, text: str, note: tuple[int, bool] | None) -> None:
    (tmp_path / NOTE).write_text(text)
    assert read_note(tmp_path) == (None if note is None else Note(tmp_path, note[0], ready=note[1]))


def test_without_a_file_there_is_no_note(tmp_path: Path) -> None:
    assert read_note(tmp_path) is None


def test_the_owner_is_that_of_the_command_line(tmp_path: Path) -> None:
    note = Note(tmp_path, 7, ready=True)
    assert note.owner() is None
    options = tmp_path / "postmaster.opts"
    options.write_text('/bin/postgres "-D/data" "--port=1"\n')
    assert note.owner() is None
    for owner in (STAYS, "process 12"):
        options.write_text(f'/bin/postgres "-D/data" "--grt_batch.owner={owner}" "--port=1"\n')
        assert note.owner() == owner


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_any_other_process_of_the_same_number_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    started = [
        subprocess.Popen(
            ["sh", "-c", "echo; read _", *marks], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for folder, marks in [(data, []), (other, []), (other, ["--grt_batch.owner=x"])]
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        notes = [Note(data, process.pid, ready=True) for process in started]
        assert [note.alive() for note in notes] == [True, False, False]

        def refuse(*_: object) -> bool:
            raise PermissionError

        with monkeypatch.context() as patch:  # as for root in a container
            patch.setattr(Path, "samefile", refuse)
            assert [note.alive() for note in notes] == [False, False, True]
    finally:
        for process in started:
            process.communicate(b"\n")
    assert not any(note.alive() for note in notes)
    assert Note(Path.cwd(), os.getpid(), ready=True).alive()
