"""The sink for report sets of past days, which are made beside the runs that publish."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from grt_batch.core.errors import CannotWrite
from grt_batch.core.timing import Clock
from grt_batch.sinks.report_set import LATEST, SETS, ReportSet, make_link, target_of


class PastSet(ReportSet):
    """A report set that becomes visible under its date alone: neither `latest` nor the reject files change.

    Where the set of that date was published meanwhile, that one stays. With `again` it is replaced, unless it is the
    newest one, whose tables the database shows.
    """

    def __init__(
        self,
        reports: Path,
        as_of: date,
        run_id: str,
        *,
        before: Path | None = None,
        again: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """`before` is as in `reported_tables`."""
        super().__init__(reports, as_of, run_id, before=before, clock=clock)
        self._again = again

    def write_rejects(self, instance_id: str, archive: str, content: bytes) -> None:
        """Write nothing: reject files belong to the archives, not to a date."""

    def prepare(self, run: Mapping[str, Any]) -> None:
        """Do nothing: there is but one link to make."""

    def publish(self) -> None:
        """Show the set under its date, if it may be."""
        place, target = self.reports / self.name, f"{SETS}/{self.folder.name}"
        # Not the name that a run uses, which may publish the same date.
        link = place.with_name(f".{self.folder.name}")
        try:
            if self._again and target_of(self.reports / LATEST) != self.name:
                make_link(link, target)
                link.replace(place)
            else:
                with suppress(FileExistsError):
                    make_link(place, target)
            self._published = target_of(place) == self.folder.name
        except OSError as error:
            raise CannotWrite(folder=self.reports, what=error.strerror or error) from None
        finally:
            link.unlink(missing_ok=True)

    def _make_rejects(self) -> None:
        pass
