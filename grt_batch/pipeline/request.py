"""The request of a run, and the summary that it returns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from grt_batch.core.config import Config

BACKFILLED = "backfilled"
"""The state of a run beside others in its run.json."""


@dataclass(frozen=True)
class Beside:
    """A run that only adds a report set, as a backfill does, beside the runs that publish.

    The partials that it makes serve all as-of dates from `earliest` on. It begins with other archives than the other
    parts of the same backfill: it is the part with this index, from 0, of so many `parts`. Parts of tables that do not
    change are taken from the set `before`, None for none. With `again` it replaces a set of its date.
    """

    earliest: date
    index: int = 0
    parts: int = 1
    before: Path | None = None
    again: bool = False


@dataclass(frozen=True)
class RunRequest:
    """The options of a run; those of one `beside` others, None where it publishes.

    Without `targets` it publishes to all that are active. With `without_cold` it goes on where it would have to read
    what is in cold storage.
    """

    config: Config
    as_of: date
    modules: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    recalculate: bool = False
    forget: bool = False
    without_cold: bool = False
    ranks: int = 1
    beside: Beside | None = None
    run_id: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))


@dataclass(frozen=True)
class RunSummary:
    """The result of a run: the folder of its reports, its run.json, and the archives in quarantine as (instance,
    archive, reason). `unreadable` gives the reason for each instance whose folder could not be read, `failed` are the
    targets that did not get the tables."""

    folder: Path
    numbers: Mapping[str, Any]
    quarantined: tuple[tuple[str, str, str], ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Return whether every archive that there is could be read, and every target has the tables."""
        return not self.quarantined and not self.unreadable and not self.failed


def new_run_id(started: datetime) -> str:
    """Return a name for a run: its start, and a random part."""
    return f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
