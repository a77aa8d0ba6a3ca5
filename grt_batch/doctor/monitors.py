"""Probes of what tells monitors and people of runs: without it, a run would say so at its end only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.wording import counted
from grt_batch.doctor.findings import Finding, ok, warning


def monitors(config: Config) -> Iterator[Finding]:
    """Report whether metrics_file can be written, and messages sent; nothing where neither is asked for."""
    if config.metrics_file:
        folder = Path(config.metrics_file).parent
        if os.access(folder, os.W_OK | os.X_OK):
            yield ok("metrics_file", f"{config.metrics_file}, in a folder that can be written")
        else:
            remedy = "Make the folder, and let the user of the program write there."
            yield warning("metrics_file", f"{folder} cannot be written", remedy)
    if config.notify_recipients or config.notify_owners:
        told = counted(len(config.notify_recipients), "recipient") + (" and owners" if config.notify_owners else "")
        if find_spec("apprise"):
            yield ok("notify", f"{told}, told by apprise")
        else:
            remedy = "Run: pip install 'grt-batch[notify]'."
            yield warning("notify", f"{told}, but apprise is not installed, so nobody is told", remedy)
