"""An archive as a run plans it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from grt_batch.ledger.account import Account
from grt_batch.ledger.ledger import utc
from grt_batch.pipeline.repeats import Rival
from grt_batch.schema.records import WINDOW_DAYS
from grt_batch.uploads.scan import Archive


class Step(Enum):
    """What a run does with an archive."""

    NEW = "new"
    CHANGED = "changed"
    CACHED = "cached"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"
    REMOVED = "removed"
    COLD = "cold"


@dataclass(frozen=True)
class Planned:
    """An archive before a run. `key` and `account` say what was read of it, empty and None where it was not read.

    `superseded` is the store's key of the jobs that its partials leave out, "" for none, None where that is not known
    yet. A removed archive keeps what it left out when it was published, and so may one in cold storage. `again` is true
    for one that was read before and must be read again; `lacking` are the modules for which one in cold storage would
    have to be read again, and `missed` the jobs that it leaves out and no other archive has any more.
    """

    archive: Archive
    step: Step
    why: str
    key: str = ""
    account: Account | None = None
    superseded: str | None = None
    again: bool = False
    lacking: tuple[str, ...] = ()
    missed: int = 0

    @property
    def is_unread(self) -> bool:
        """Return whether the run must read its tar.gz to know what is in it."""
        return self.account is None and self.step in (Step.NEW, Step.CHANGED)

    @property
    def must_be_read(self) -> bool:
        """Return whether the run reads its tar.gz."""
        return self.is_unread or self.again

    @property
    def counts(self) -> bool:
        """Return whether it is known what is in it, and that is in the tables."""
        return self.account is not None and self.step is not Step.QUARANTINED

    @property
    def is_settled(self) -> bool:
        """Return whether it leaves out what it left out when it was published, whatever newer archives report."""
        return self.archive.remembered or (self.archive.is_cold and self.superseded is not None)

    @property
    def rival(self) -> Rival:
        """Return it as an archive that counts jobs in place of others."""
        return Rival(self.key, (self.superseded or "") if self.is_settled else "")


def first_day(archive: Archive, as_of: date, earliest: date | None = None) -> date:
    """Return the first day that an archive's partials count by itself, for windows.

    It is reckoned from the date of the archive, so that it does not move with the as-of day, unless that is earlier.
    The partials may also serve other as-of days, from `earliest` on; an archive that cannot be read has those that it
    had.
    """
    assert archive.report is not None
    generated = utc(archive.report.generated).date()
    first = earliest if archive.readable and earliest else as_of
    return min(generated, first) - timedelta(days=WINDOW_DAYS - 1)
