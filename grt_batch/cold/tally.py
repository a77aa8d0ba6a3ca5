"""What became of each archive: a line for each, the sums, and the exit code."""

from __future__ import annotations

from collections.abc import Callable

from grt_batch.cold.store import Failed, Refused
from grt_batch.core.errors import ColdRefused
from grt_batch.core.wording import counted

PATIENCE = 3
"""After so many archives in a row for which the store refused, the rest is not tried."""


class Tally:
    """The archives of one call, and the bytes of those that are done."""

    def __init__(self, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
        """`say` and `complain` print a line of what was done and of what failed."""
        self._say, self._complain = say, complain
        self.done = self.bytes = self.failed = 0
        self._refused: list[Refused] = []
        self._in_a_row = 0

    def says(self, label: str, what: str) -> None:
        """Say what became of an archive. The store has answered."""
        self._in_a_row = 0
        self._say(f"{label}: {what}")

    def takes(self, label: str, what: str, size: int) -> None:
        """Count an archive of so many bytes that is done, and say so."""
        self.done += 1
        self.bytes += size
        self.says(label, f"{what} ({counted(size, 'byte')})")

    def fails(self, label: str, error: Failed) -> None:
        """Count an archive that could not be moved, and say why."""
        self.failed += 1
        if isinstance(error, Refused):
            self._refused.append(error)
            self._in_a_row += 1
        self._complain(f"{label}: {error}")

    @property
    def gives_up(self) -> bool:
        """Whether the store refuses everything now."""
        return self._in_a_row >= PATIENCE

    @property
    def failures(self) -> str:
        """The end of the last line: how many have failed."""
        return f"; {counted(self.failed, 'archive')} failed" if self.failed else ""

    def code(self, others: int = 0) -> int:
        """Return the exit code, where `others` were asked for with success. Raises ColdRefused where the store has
        refused everything."""
        if self._refused and len(self._refused) == self.failed and not self.done + others:
            raise ColdRefused(what=self._refused[0])
        return 1 if self.failed else 0
