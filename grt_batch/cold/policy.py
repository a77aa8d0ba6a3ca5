"""Which raw archives may leave for cold storage, and which are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grt_batch.cold.store import TIERS, Failed
from grt_batch.core.config import Config
from grt_batch.core.errors import Quarantine
from grt_batch.service.filter import Filter
from grt_batch.service.selection import Held, Selection
from grt_batch.store.archive_index import ArchiveIndex, IndexedArchive
from grt_batch.uploads.cold import ENDING, ColdCopy, marker_of, read_cold
from grt_batch.uploads.scan import ARCHIVES, instance_folders, instance_metadata, is_archive_name, stamp_of

RESTORED = "restored"
"""In the `request` of a marker: when N.tar.gz was brought back, ISO 8601 in UTC."""


WANTED = "wanted"
"""In the `request` of a marker: the tier by which N.tar.gz is to be brought back, by later calls too."""


RUN = "then_run"
"""In the `request` of a marker: that its instance is to be recomputed when all that is wanted so is there."""


@dataclass(frozen=True)
class Leaving:
    """An archive that may leave: its tar.gz, the hash that was published, and the marker beside it, if there is one."""

    instance_id: str
    name: str
    tar: Path
    bytes: int
    sha256: str
    before: ColdCopy | None = None

    @property
    def label(self) -> str:
        """Return its name for people."""
        return f"{self.instance_id}/{self.name}"


@dataclass(frozen=True)
class Marked:
    """An archive with a marker, and what that says; or why it cannot be read."""

    instance_id: str
    name: str
    marker: Path
    copy: ColdCopy | Failed

    @property
    def label(self) -> str:
        """Return its name for people."""
        return f"{self.instance_id}/{self.name}"

    @property
    def tar(self) -> Path:
        """Return the place of its tar.gz beside the marker."""
        return self.marker.with_name(f"{self.name}.tar.gz")


def lock_folder(config: Config) -> Path:
    """Return the folder whose lock keeps two calls apart that move archives."""
    return config.work / "cold"


def leaving(config: Config, wanted: Filter, now: datetime | None = None) -> Iterator[Leaving]:
    """Yield the archives that pass and may leave by [cold]: published, old enough, and of no instance that keeps its
    own. One that was restored stays for its time.

    Raises NothingToRead where there is no folder of uploads.
    """
    now = now or datetime.now(UTC)
    known = _published(config)
    for held in Selection(config).held(wanted):
        archive = known.get((held.instance_id, held.name))
        age = now - held.generated.replace(tzinfo=UTC)
        if archive is None or held.state != "published" or age < timedelta(days=config.cold_after_days):
            continue
        for path in (path for name, path in held.files if name.endswith(".tar.gz")):
            before = marker_at(path)
            if not (_stays(config, held) or _is_back(before, now, config.cold_restored_days)):
                yield Leaving(held.instance_id, held.name, path, held.bytes, archive.sha256, before)


def away(config: Config, wanted: Filter) -> Iterator[Marked]:
    """Yield the archives that pass and are in cold storage, by instance, oldest first. Raises NothingToRead."""
    marked = {(one.instance_id, one.name): one for one in marked_archives(config) if not one.tar.exists()}
    for held in Selection(config).held(wanted):
        one = marked.get((held.instance_id, held.name))
        if one is not None and not held.files:
            yield one


def marked_archives(config: Config) -> Iterator[Marked]:
    """Yield the archives with a marker, whether their tar.gz is here or not. Raises NothingToRead."""
    for folder in instance_folders(config.uploads):
        for marker in sorted((*folder.glob(f"{ARCHIVES}/*{ENDING}"), *folder.glob(f"*{ENDING}"))):
            name = marker.name.removesuffix(ENDING)
            if is_archive_name(name):
                try:
                    yield Marked(folder.name, name, marker, read_cold(marker))
                except Quarantine as error:
                    yield Marked(folder.name, name, marker, Failed(error.reason))


def is_wanted(one: Marked) -> bool:
    """Return whether an archive was asked for, and is not yet brought back."""
    return isinstance(one.copy, ColdCopy) and (one.copy.thawing != "" or one.copy.request.get(WANTED) in TIERS)


def asked_for_a_run(config: Config) -> list[tuple[Marked, ColdCopy]]:
    """Return the archives after whose return a run shall follow. Raises NothingToRead."""
    return [
        (one, one.copy)
        for one in marked_archives(config)
        if isinstance(one.copy, ColdCopy) and one.copy.request.get(RUN) is True
    ]


def marker_at(tar: Path) -> ColdCopy | None:
    """Return what the marker beside a tar.gz says of this very file, None without one."""
    try:
        copy = read_cold(marker_of(tar))
        return copy if copy.stamp == stamp_of(tar.stat()) else None
    except (Quarantine, OSError):
        return None


def is_published(config: Config, one: Leaving) -> bool:
    """Return whether the index knows the content of an archive as published."""
    archive = _published(config).get((one.instance_id, one.name))
    return archive is not None and archive.sha256 == one.sha256


def _published(config: Config) -> Mapping[tuple[str, str], IndexedArchive]:
    return {
        (instance_id, name): archive
        for own, instance_id, archives in ArchiveIndex(config.work, config.uploads).instances()
        for name, archive in archives.items()
        if own and archive.document is not None
    }


def _stays(config: Config, held: Held) -> bool:
    if held.instance_id in config.cold_keep_instances:
        return True
    if not config.cold_keep_kinds:
        return False
    public = instance_metadata(config.uploads / held.instance_id).public
    return ("public" if public else "private") in config.cold_keep_kinds


def _is_back(copy: ColdCopy | None, now: datetime, days: int) -> bool:
    """Return whether an archive was restored so recently that it stays."""
    restored = None if copy is None else copy.request.get(RESTORED)
    try:
        return restored is not None and now - datetime.fromisoformat(restored) < timedelta(days=days)
    except (TypeError, ValueError):
        return False
