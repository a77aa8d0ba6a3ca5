"""The word of the ranks: what they let the launcher know of their run, in its folder. It alone decides the exit code.

What mpirun prints and returns says little. Open MPI's returns 0 where another host is lost, 1 after SIGTERM, and any
MPI warns of what it likes; MPICH's returns the number of a signal as if it were a code.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grt_batch.core.errors import SIGNALLED

FOLDER_VARIABLE = "GRT_BATCH_HEARTBEAT"
"""The folder of the launch that a rank belongs to; ranks without it say nothing, and leave no signs of life."""


_FILE = "word"


_COMMITTED = "committed"


@dataclass(frozen=True)
class Word:
    """Whether the database shows the tables of the run, and the exit code of the run, None if no rank has told it."""

    committed: bool = False
    code: int | None = None


def expect_word(folder: Path) -> None:
    """Make the place for the word. It exists beforehand, because NFS hides new files from other hosts for a while."""
    (folder / _FILE).touch()


def note_committed() -> None:
    """Let the launcher know that the database shows the new tables."""
    _say(_COMMITTED)


def note_code(code: int) -> None:
    """Let the launcher know the exit code of the run; the first one counts. A rank that a signal stopped has no code to
    tell: mpirun stops ranks for reasons of its own."""
    if code < SIGNALLED:
        _say(str(code))


def read_word(folder: Path) -> Word:
    """Return what the ranks have said so far."""
    try:
        lines = (folder / _FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return Word()
    return Word(_COMMITTED in lines, next((int(line) for line in lines if line.isdigit()), None))


def _say(text: str) -> None:
    if folder := os.environ.get(FOLDER_VARIABLE):
        with suppress(OSError):
            file = os.open(Path(folder) / _FILE, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, f"{text}\n".encode())
            finally:
                os.close(file)
