"""Which raw archives lie in the uploads, in which state, and who may have them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from grt_batch.core.config import Config
from grt_batch.core.errors import Quarantine
from grt_batch.core.logs import logger
from grt_batch.ledger.ledger import utc
from grt_batch.pipeline.keys import load_account
from grt_batch.service.filter import Filter
from grt_batch.store.archive_index import FILE as INDEX
from grt_batch.store.archive_index import ArchiveIndex, IndexedArchive
from grt_batch.store.store import Store
from grt_batch.uploads.cold import ColdCopy, read_cold
from grt_batch.uploads.metadata import MOST_BYTES, InstanceMetadata, read_report
from grt_batch.uploads.scan import ARCHIVES, COLD, archive_files, instance_folders, instance_metadata, stamp_of

PUBLIC_AFTER_DAYS = "public_after_days"
"""The key of metadata.json, and of the configuration."""


_IN_ORDER = ("tar.gz", "json")


_LATEST = Decimal(253402300799)
"""The last second of a year that a date can have."""


@dataclass(frozen=True)
class Held:
    """An archive in the uploads: its state, when it was made (UTC), and whether everybody may have it.

    `files` are its names in a folder of uploads, and where they are; none of an archive that lacks one, or that is in
    `cold` storage. N.json comes last: whoever unpacks them while a run reads never shows it half a pair.
    """

    instance_id: str
    name: str
    state: str
    generated: datetime
    bytes: int
    sha256: str | None
    public: bool
    files: tuple[tuple[str, Path], ...]
    cold: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what a list says of it."""
        return {
            "instance": self.instance_id,
            "archive": self.name,
            "generated": f"{self.generated.isoformat(timespec='seconds')}Z",
            "bytes": self.bytes,
            "state": self.state,
            "sha256": self.sha256,
            "cold": self.cold,
        }


class _Said(NamedTuple):
    """What an N.json says, as far as a list needs it. A `bad` one cannot be read."""

    generated: Decimal | None = None
    sha256: str | None = None
    bad: bool = False


_Stamp = tuple[int, int, int]


class Selection:
    """The archives in the uploads of a configuration.

    What N.json, markers and the index of the last run say is remembered as long as these files stay as they are.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._store = Store(config.work / "store")
        self._said: dict[str, tuple[_Stamp, _Said]] = {}
        self._copies: dict[str, tuple[_Stamp, ColdCopy | None]] = {}
        self._index: tuple[_Stamp | None, dict[str, Mapping[str, IndexedArchive]]] = None, {}

    def held(
        self, wanted: Filter, own: Callable[[str], bool] = lambda _: True, today: date | None = None
    ) -> Iterator[Held]:
        """Yield the archives that pass, by instance, oldest first: all of those instances for which `own` is true, and
        of others what everybody may have.

        Raises NothingToRead where there is no folder of uploads.
        """
        today, known = today or datetime.now(UTC).date(), self._known()
        for folder in instance_folders(self._config.uploads):
            if wanted.instance in (None, folder.name):
                metadata, is_own = instance_metadata(folder), own(folder.name)
                if is_own or metadata.public:
                    days = self._days(metadata)
                    for one in self._of_instance(folder, known.get(folder.name, {}), days, today):
                        if (is_own or one.public) and wanted.takes(one.name, one.generated.date(), one.state):
                            yield one

    def _known(self) -> Mapping[str, Mapping[str, IndexedArchive]]:
        """Return what the last runs have read, by instance and archive."""
        index = self._config.work / INDEX
        stamp = stamp_of(index.stat()) if index.exists() else None
        if self._index[0] != stamp or stamp is None:
            instances = ArchiveIndex(self._config.work, self._config.uploads).instances()
            self._index = stamp, {name: archives for own, name, archives in instances if own}
        return self._index[1]

    def _days(self, metadata: InstanceMetadata) -> int | None:
        """Return after how many days the archives of an instance are for everybody, None for never."""
        days = metadata.other.get(PUBLIC_AFTER_DAYS)
        days = self._config.public_after_days if days is None else days
        return days if metadata.public and type(days) is int and days > 0 else None

    def _of_instance(
        self, folder: Path, known: Mapping[str, IndexedArchive], days: int | None, today: date
    ) -> list[Held]:
        """Return the archives of an instance, oldest first."""
        found: list[tuple[tuple[Decimal, Decimal, str], Held]] = []
        try:
            archives = archive_files(folder)
        except OSError as error:
            logger.warning("the archives of %s cannot be read: %s", folder.name, error)
            archives = {}
        for name, files in archives.items():
            # It may go or be replaced in this moment.
            with suppress(OSError):
                found.append(self._archive(folder, name, files, known.get(name), days, today))
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    def _archive(
        self,
        folder: Path,
        name: str,
        files: Mapping[str, os.DirEntry[str]],
        known: IndexedArchive | None,
        days: int | None,
        today: date,
    ) -> tuple[tuple[Decimal, Decimal, str], Held]:
        stats = {ending: entry.stat() for ending, entry in files.items()}
        said = self._reading(name, Path(files["json"].path), stats["json"]) if "json" in files else _Said(bad=True)
        copy = self._copy(Path(files[COLD].path), stats[COLD]) if COLD in files else None
        cold = "tar.gz" not in files and copy is not None
        packed = copy.stamp if cold and copy else stamp_of(stats["tar.gz"]) if "tar.gz" in files else None
        dated = [stats[ending].st_mtime for ending in _IN_ORDER if ending in files]
        settled = max(dated, default=0) <= time.time() - self._config.settle_seconds
        is_there = settled and packed is not None and "json" in files
        state = self._state(packed, said, known, copy) if is_there else "incomplete"
        number = Decimal(name)
        order = (number if said.generated is None else said.generated, number, name)
        made = utc(min(order[0], _LATEST))
        public = state == "published" and days is not None and (today - made.date()).days >= days
        whole = _IN_ORDER if state != "incomplete" and not cold else ()
        places = tuple((f"{folder.name}/{ARCHIVES}/{name}.{ending}", Path(files[ending].path)) for ending in whole)
        size = packed[0] if packed else 0
        return order, Held(folder.name, name, state, made, size, said.sha256, public, places, cold)

    def _reading(self, name: str, path: Path, stat: os.stat_result) -> _Said:
        """Return what an N.json says."""
        stamp = stamp_of(stat)
        before = self._said.get(str(path))
        if before is None or before[0] != stamp:
            try:
                with path.open("rb") as file:
                    report = read_report(file.read(MOST_BYTES + 1), name)
                said = _Said(report.generated, report.sha256)
            except Quarantine:
                said = _Said(bad=True)
            before = self._said[str(path)] = stamp, said
        return before[1]

    def _copy(self, path: Path, stat: os.stat_result) -> ColdCopy | None:
        """Return what a marker says, None for a damaged one."""
        stamp = stamp_of(stat)
        before = self._copies.get(str(path))
        if before is None or before[0] != stamp:
            copy = None
            with suppress(Quarantine):
                copy = read_cold(path)
            before = self._copies[str(path)] = stamp, copy
        return before[1]

    def _state(self, stamp: _Stamp | None, said: _Said, known: IndexedArchive | None, copy: ColdCopy | None) -> str:
        """Return the state of a whole archive, by the `stamp` of its tar.gz."""
        if said.bad:
            return "quarantined"
        # What was restored is known by its marker.
        same = known is not None and copy is not None and (copy.stamp, copy.sha256) == (stamp, known.sha256)
        if known is None or (known.stamp != stamp and not same):
            return "new"
        if known.document is not None:
            return "published"
        account = load_account(self._store, known.key)
        bad = said.sha256 not in (None, known.sha256) or (account is not None and account.quarantine is not None)
        return "quarantined" if bad else "new"
