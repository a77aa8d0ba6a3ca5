"""What follows a run, however it ended: a note of that, the file for Prometheus, and messages to those who want them.

None of it changes the exit code: what was published, or not, has decided that.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grt_batch.core.config import Config
from grt_batch.core.errors import SIGNALLED
from grt_batch.core.logs import without_passwords

if TYPE_CHECKING:
    from grt_batch.monitoring.outcome import Outcome


@dataclass
class Ending:
    """The end of a run that has begun now. Under `grt-batch run --ranks` the first rank only notes it, and the
    launcher, which knows of lost ranks, tells it."""

    config: Config
    is_rank_of_launch: bool = False
    started: float = field(default_factory=time.time)

    def tell(self, code: int, said: str) -> list[str]:
        """Tell how the run ended: its exit code, and what it `said` of an error. Return what could not be told."""
        ending, problems = self._note(code, without_passwords(said))
        if self.is_rank_of_launch:
            return problems
        return [*problems, *self._write_metrics(ending), *self._notify(ending)]

    def _note(self, code: int, said: str) -> tuple[Outcome, list[str]]:
        """Note the end of the run, unless its first rank has, which knows more than its launcher."""
        from grt_batch.monitoring.outcome import last, note, outcome

        work = self.config.work
        noted = last(work)
        if not self.is_rank_of_launch and noted and noted.started >= self.started and noted.code == code:
            return noted, []
        ending = outcome(work, self.started, time.time(), code, said)
        try:
            # A run that was refused at once may have made no work folder.
            if work.is_dir():
                note(work, ending)
        except OSError as error:
            # Where the run failed, it has said why.
            return ending, [] if ending.failed else [f"the end of the run could not be noted: {error}"]
        return ending, []

    def _write_metrics(self, ending: Outcome) -> list[str]:
        if not self.config.metrics_file:
            return []
        from grt_batch.monitoring.metrics import metrics_text, write_metrics

        try:
            write_metrics(Path(self.config.metrics_file), metrics_text(self.config, ending))
        except OSError as error:
            return [f"metrics_file could not be written: {error}"]
        return []

    def _notify(self, ending: Outcome) -> list[str]:
        # Who presses Ctrl-C knows that the run has ended.
        if ending.code == SIGNALLED + signal.SIGINT:
            return []
        if not (self.config.notify_recipients or self.config.notify_owners):
            return []
        from grt_batch.monitoring.notify import notify

        try:
            return notify(self.config, ending, datetime.now(UTC).date())
        except OSError as error:
            return [f"who was told of what could not be noted: {error}"]
