"""What may be uploaded: so many archives an hour, so large, while the disk and the quota have room."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.wording import counted
from grt_batch.service.replies import Refused
from grt_batch.uploads.metadata import MOST_BYTES
from grt_batch.uploads.scan import archive_files
from grt_batch.uploads.storage import packed_bytes

_HOUR = 3600.0


_FORM_BYTES = 64 << 10
"""What a form has beside its files, at most."""


@dataclass(eq=False)
class Place:
    """The room that is kept for an upload: the bytes that it announced, and how many of them are on the disk."""

    instance_id: str
    announced: int
    written: int = 0


class Room:
    """The limits of the configuration, and what the uploads under way will still need of them."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._places: set[Place] = set()
        self._recent: dict[str, deque[float]] = {}

    def keep(self, folder: Path, announced: int) -> Place:
        """Return room for an upload of so many bytes, to be released. Raises Refused where there is none."""
        place = Place(folder.name, announced)
        used = _used(folder) if self._config.enforce_quotas else 0
        with self._lock:
            self._check_size(announced)
            self._check_disk(folder, announced)
            self._check_quota(place, used)
            self._check_rate(folder.name)
            self._places.add(place)
        return place

    def release(self, place: Place) -> None:
        """Give back the room of an upload that has ended."""
        with self._lock:
            self._places.discard(place)

    def _check_size(self, announced: int) -> None:
        most = self._config.max_upload_bytes
        if most and announced > most + MOST_BYTES + _FORM_BYTES:
            raise too_large("The tar.gz", most)

    def _check_disk(self, folder: Path, announced: int) -> None:
        coming = sum(place.announced - place.written for place in self._places)
        if shutil.disk_usage(folder).free - coming - announced < self._config.min_free_bytes:
            raise full_disk()

    def _check_quota(self, place: Place, used: int) -> None:
        quota = self._config.quota_of(place.instance_id) if self._config.enforce_quotas else None
        coming = sum(other.announced for other in self._places if other.instance_id == place.instance_id)
        if quota is not None and used + coming + place.announced > quota:
            raise Refused(507, f"The quota of {counted(quota, 'byte')} is used up; ask the service for more")

    def _check_rate(self, instance_id: str) -> None:
        most, now = self._config.uploads_per_hour, self._clock()
        if not most:
            return
        recent = self._recent.setdefault(instance_id, deque(maxlen=most))
        if len(recent) == most and now - recent[0] < _HOUR:
            wait = str(int(_HOUR - (now - recent[0])) + 1)
            message = f"More than {counted(most, 'upload')} within an hour; send the others later"
            raise Refused(429, message, {"Retry-After": wait})
        recent.append(now)


def too_large(what: str, most: int) -> Refused:
    """Return the refusal of a part that has more than `most` bytes."""
    return Refused(413, f"{what} has more than {counted(most, 'byte')}, which the service does not take")


def full_disk() -> Refused:
    """Return the refusal of what the disk has no room for."""
    return Refused(507, "The disk of the service is full; its administrators have to make room, then send again")


def _used(folder: Path) -> int:
    """Return the bytes of an instance's archives; what is in cold storage counts, as in instance_status."""
    files = archive_files(folder).values()
    documents = sum(pair["json"].stat().st_size for pair in files if "json" in pair)
    return documents + sum(map(packed_bytes, files))
