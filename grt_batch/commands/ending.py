"""What follows a run, however it ended: a note of that, the file for Prometheus, and messages to those who want them.

None of it changes the exit code: what was published, or not, has decided that.
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.errors import SIGNALLED


@dataclass
class Ending:
    """The end of a run that has begun now. Under `grt-batch run --ranks` the first rank only notes it, and the
    launcher, which knows of lost ranks, tells it."""

    config: Config
    is_rank_of_launch: bool = False
    started: float = field(default_factory=time.time)

    def tell(self, code: int, said: str) -> list[str]:
        """Tell how the run ended: its exit code, and what it `said` of an error. Return what could not be told."""
        from grt_batch.core.logs import without_passwords
        from grt_batch.monitoring.outcome import last, note, outcome

        ending, noted = outcome(self.config.work, self.started, time.time(), code, without_passwords(said)), None
        if not self.is_rank_of_launch:
            noted = last(self.config.work)
        if noted is not None and noted.started >= self.started and noted.code == code:
            # By the first rank, which knows more than its launcher.
            ending = noted
        problems = []
        try:
            # A run that was refused at once may have made no work folder.
            if ending is not noted and self.config.work.is_dir():
                note(self.config.work, ending)
        except OSError as error:
            # Where the run failed, it has said why.
            problems += [] if ending.failed else [f"the end of the run could not be noted: {error}"]
        if self.is_rank_of_launch:
            return problems
        if self.config.metrics_file:
            from grt_batch.monitoring.metrics import metrics_text, write_metrics

            try:
                write_metrics(Path(self.config.metrics_file), metrics_text(self.config, ending))
            except OSError as error:
                problems.append(f"metrics_file could not be written: {error}")
        # Who presses Ctrl-C knows that the run has ended.
        if code != SIGNALLED + signal.SIGINT and (self.config.notify_recipients or self.config.notify_owners):
            from grt_batch.monitoring.notify import notify

            try:
                problems += notify(self.config, ending, datetime.now(UTC).date())
            except OSError as error:
                problems.append(f"who was told of what could not be noted: {error}")
        return problems
