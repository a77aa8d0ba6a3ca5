"""Which raw archives lie in the uploads, chosen by a filter, and who may have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from grt_batch.core.config import Config
from grt_batch.core.errors import BadFilter, NothingToRead
from grt_batch.ledger.ledger import utc
from grt_batch.pipeline.keys import load_account
from grt_batch.pipeline.plan import mismatch
from grt_batch.store.archive_index import ArchiveIndex, IndexedArchive
from grt_batch.store.store import Store
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive, scan

STATES = ("published", "quarantined", "incomplete", "new")
"""The states of the table `archive`; `new` is what no run has published yet."""


PUBLIC_AFTER_DAYS = "public_after_days"
"""The key of metadata.json, and of the configuration."""


_LATEST = Decimal(253402300799)
"""The last second of a year that a date can have."""


@dataclass(frozen=True)
class Filter:
    """The archives of an instance, of a name, made from the first to the last day (UTC), in one of these states.

    None stands for all.
    """

    instance: str | None = None
    archive: str | None = None
    first: date | None = None
    last: date | None = None
    states: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Filter:
        """Return the filter of texts by the names `instance`, `archive`, `from`, `to` and `state`. Raise BadFilter."""
        unknown = set(given) - set(FILTER)
        if unknown:
            raise BadFilter(what=f"it has no {min(unknown)!r:.100}")
        first, last = (_day(name, given[name]) if name in given else None for name in ("from", "to"))
        if first and last and first > last:
            raise BadFilter(what=f"from {first} is after to {last}")
        states = tuple(given["state"].split(",")) if "state" in given else None
        if states and not set(states) <= set(STATES):
            raise BadFilter(what=f"state is one or more of {', '.join(STATES)}, not {given['state']!r:.100}")
        return cls(given.get("instance"), given.get("archive"), first, last, states)

    def takes(self, held: Held) -> bool:
        """Return whether an archive passes."""
        day = held.generated.date()
        return (
            self.archive in (None, held.archive.name)
            and (self.first is None or day >= self.first)
            and (self.last is None or day <= self.last)
            and (self.states is None or held.state in self.states)
        )


FILTER = {
    "instance": "id of an instance",
    "archive": "name of an archive: N of N.json",
    "from": "the first day on which it was made, as YYYY-MM-DD, UTC",
    "to": "the last day on which it was made",
    "state": f"what became of it: {', '.join(STATES)}; several with commas",
}
"""What a filter says, by its names."""


@dataclass(frozen=True)
class Held:
    """An archive in the uploads: its state, when it was made (UTC), and whether everybody may have it."""

    archive: Archive
    state: str
    generated: datetime
    public: bool

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Return the names in a folder of uploads, and where the files are; none of an archive that lacks one.

        N.json comes last: whoever unpacks them while a run reads never shows it half a pair.
        """
        if self.state == "incomplete":
            return ()
        name, folder = self.archive.name, f"{self.archive.instance_id}/archives"
        files = (self.archive.tar, self.archive.tar.with_name(f"{name}.json"))
        return tuple((f"{folder}/{file.name}", file) for file in files)

    def as_json(self) -> dict[str, Any]:
        """Return what a list says of it."""
        report = self.archive.report
        return {
            "instance": self.archive.instance_id,
            "archive": self.archive.name,
            "generated": f"{self.generated.isoformat(timespec='seconds')}Z",
            "bytes": self.archive.bytes,
            "state": self.state,
            "sha256": report.sha256 if report else None,
        }


def held(config: Config, wanted: Filter, today: date | None = None) -> Iterator[Held]:
    """Yield the archives that pass, by instance, oldest first.

    Raises NothingToRead where there is no folder of uploads.
    """
    try:
        uploads = scan(config.uploads, settle_seconds=config.settle_seconds, only=_only(wanted))
    except NothingToRead:
        if config.uploads.is_dir():
            return
        raise
    today = today or datetime.now(UTC).date()
    known = {
        instance_id: archives
        for own, instance_id, archives in ArchiveIndex(config.work, config.uploads).instances()
        if own
    }
    store = Store(config.work / "store")
    for instance in uploads.instances:
        for archive in instance.archives:
            state = _state(archive, known.get(instance.instance_id, {}).get(archive.name), store)
            made = _made(archive)
            found = Held(archive, state, made, state == "published" and _public(instance.metadata, made, config, today))
            if wanted.takes(found):
                yield found


def _only(wanted: Filter) -> tuple[str, ...]:
    return () if wanted.instance is None else (wanted.instance,)


def _state(archive: Archive, known: IndexedArchive | None, store: Store) -> str:
    if archive.incomplete:
        return "incomplete"
    if archive.quarantine:
        return "quarantined"
    if known is None or known.stamp != archive.stamp:
        return "new"
    if known.document is not None:
        return "published"
    account = load_account(store, known.key)
    return "quarantined" if account and mismatch(archive, account) else "new"


def _made(archive: Archive) -> datetime:
    return utc(min(archive.order[0], _LATEST))


def _public(metadata: InstanceMetadata, made: datetime, config: Config, today: date) -> bool:
    """Return whether the time is over in which an archive is the instance's own. That of others never ends."""
    days = metadata.other.get(PUBLIC_AFTER_DAYS, config.public_after_days)
    if not metadata.public or type(days) is not int or days <= 0:
        return False
    return (today - made.date()).days >= days


def _day(name: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise BadFilter(what=f"{name} is a date as YYYY-MM-DD, not {text!r:.100}") from None
