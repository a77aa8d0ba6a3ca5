"""What it takes to bring archives back from cold storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from grt_batch.core.wording import counted
from grt_batch.uploads.scan import Archive


class Hours(NamedTuple):
    """The hours until a copy can be read: those that the store mostly takes at least, and at most."""

    least: float = 0
    most: float = 0

    def __str__(self) -> str:
        """Return them in words: `3 to 5 hours`."""
        span = "" if self.least == self.most else f"{self.least:g} to "
        return f"{span}{counted(int(self.most), 'hour')}"


class Waits(NamedTuple):
    """The hours of a storage class for a request of the standard kind, and for one in bulk, which costs less."""

    standard: Hours = Hours()
    bulk: Hours = Hours()


AT_ONCE = Waits()


WAITS: Mapping[str, Waits] = MappingProxyType(
    {
        "GLACIER": Waits(Hours(3, 5), Hours(5, 12)),
        "DEEP_ARCHIVE": Waits(Hours(12, 12), Hours(48, 48)),
    }
)
"""How long a copy takes to thaw, by the storage class; one of any other class can be read at once. Source: Amazon S3
User Guide, "Understanding archive retrieval options"."""


@dataclass(frozen=True)
class Thawing:
    """Archives to bring back, the bytes of their tar.gz, the requests that are still to be made for that, one for each
    copy that must be thawed, and how long the slowest of them takes."""

    archives: int = 0
    bytes: int = 0
    requests: int = 0
    waits: Waits = AT_ONCE

    def __str__(self) -> str:
        """Return what it takes, on one line."""
        what = f"{counted(self.archives, 'archive')}, {counted(self.bytes, 'byte')}"
        if not self.waits.standard.most:
            return f"{what}, to be read at once"
        requests = counted(self.requests, "request")
        return f"{what}, {requests}, about {self.waits.standard}, or {self.waits.bulk} in bulk"

    def as_json(self) -> dict[str, Any]:
        """Return the counts, and the hours of each kind of request, from the least to the most."""
        hours = {"hours": self.waits.standard, "hours_in_bulk": self.waits.bulk}
        return {"bytes": self.bytes, "requests": self.requests, **{name: [*span] for name, span in hours.items()}}


def thawing_of(archives: Iterable[Archive]) -> Thawing:
    """Return what it takes to bring back these archives."""
    copies = [archive.cold for archive in archives if archive.cold is not None]
    waits = [WAITS[copy.storage_class] for copy in copies if copy.storage_class in WAITS]
    return Thawing(
        len(copies),
        sum(copy.bytes for copy in copies),
        sum(copy.storage_class in WAITS and not copy.thawing for copy in copies),
        Waits(
            max((wait.standard for wait in waits), default=Hours()), max((wait.bulk for wait in waits), default=Hours())
        ),
    )
