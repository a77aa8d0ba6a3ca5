"""How the last run ended, whatever became of it: a note in the work folder, which the next run replaces."""

from __future__ import annotations

from pathlib import Path

import msgspec

from grt_batch.core.errors import Held
from grt_batch.core.files import rewrite

NOTE = "last_run.json"


PUBLISHED = (0, 1)
"""The exit codes of runs that published."""


class Outcome(msgspec.Struct, frozen=True):
    """The end of a run: when it began and ended (Unix seconds), its exit code, and what it `said` of an error.

    `succeeded` is when a run published last, None if none has.
    """

    started: float
    ended: float
    code: int
    said: str = ""
    succeeded: float | None = None

    @property
    def failed(self) -> bool:
        """Return whether nothing was published, and not because of the gate."""
        return self.code not in (*PUBLISHED, Held.exit_code)


def outcome(work: Path, started: float, ended: float, code: int, said: str = "") -> Outcome:
    """Return the end of a run that is now the last one of this work folder."""
    if code in PUBLISHED:
        return Outcome(started, ended, code, said, ended)
    before = last(work)
    return Outcome(started, ended, code, said, before.succeeded if before else None)


def last(work: Path) -> Outcome | None:
    """Return how the last run ended; None where nobody knows."""
    try:
        return msgspec.json.decode((work / NOTE).read_bytes(), type=Outcome)
    except (OSError, msgspec.MsgspecError):
        return None


def note(work: Path, ending: Outcome) -> None:
    """Write the note into the work folder. Raises OSError."""
    rewrite(work / NOTE, msgspec.json.encode(ending))
