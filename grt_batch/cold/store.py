"""What is asked of a cold store, whatever keeps the copies: S3 with its archive classes, or a file system of fsspec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

Tier = Literal["expedited", "standard", "bulk"]
"""How fast an archive class gives back what it keeps, from the fastest and dearest."""


TIERS: tuple[Tier, ...] = get_args(Tier)


class Failed(Exception):
    """One archive cannot be moved. Its text is the reason, `code` the store's own word for it; the others go on."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class Refused(Failed):
    """The store cannot be reached or does not let us in, so that other archives most likely fail as well."""


@dataclass(frozen=True)
class StoredObject:
    """A copy as its store describes it. A `frozen` one is in an archive class and cannot be read, a `thawing` one will
    soon be."""

    bytes: int
    storage_class: str = ""
    state: Literal["readable", "frozen", "thawing"] = "readable"


class ColdStore(Protocol):
    """A store of objects, each of which has a URL. All methods raise Failed, and Refused where that is so."""

    def find(self, url: str) -> StoredObject | None:
        """Return an object, None where there is none."""

    def put(self, url: str, file: Path, sha256: str) -> None:
        """Copy a file with this hash to a URL where nothing is; when it returns, the store has it for good."""

    def holds(self, url: str, file: Path, sha256: str) -> bool:
        """Return whether an object has the content of a file with this hash, by the store's own checksum or by reading
        it back. Neither the name nor what was written beside it is believed."""

    def remove(self, url: str) -> None:
        """Remove an object that was copied wrongly."""

    def thaw(self, url: str, tiers: Sequence[Tier], days: int) -> Tier | None:
        """Ask that a frozen object can be read for so many days, by the first of the tiers that the store has now.

        Return that tier, None where an earlier request is under way.
        """

    def read(self, url: str) -> Iterator[bytes]:
        """Yield the content of a readable object."""

    def requests(self, size: int) -> int:
        """Return how many requests it takes to copy a file of so many bytes, 0 where they are not counted."""
