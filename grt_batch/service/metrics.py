"""What the service and the last run know of themselves, for Prometheus: https://prometheus.io/docs/instrumenting/."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grt_batch.core.config import Config
from grt_batch.monitoring.metrics import Family, Labels, of_instances, of_run, pairs
from grt_batch.monitoring.outcome import last
from grt_batch.monitoring.published import Published
from grt_batch.service.on_upload import Ended
from grt_batch.uploads.scan import ARCHIVES, archive_at, glance

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


REFUSED = "refused_"
"""What the count of refused uploads has before their status."""


class Requests:
    """The requests that were answered since the service started, by endpoint and status."""

    def __init__(self) -> None:
        self.started = time.time()
        self.answered: Counter[tuple[str, int]] = Counter()


class Counted:
    """The application, with its answers counted by endpoint."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The router enters the endpoint; of an address without one there are too many to tell apart.
                endpoint = getattr(scope.get("endpoint"), "__name__", "none")
                self._requests.answered[endpoint, message["status"]] += 1
            await send(message)

        await self._app(scope, receive, counted)


class Newest:
    """When the newest archive of each instance was made, read again only where another one has come."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, float]] = {}

    def seconds(self, uploads: Path) -> dict[str, float]:
        """Return the Unix time by instance."""
        newest: dict[str, tuple[float, str, object]] = {}
        for (instance_id, name), pair in glance(uploads).items():
            newest[instance_id] = max(newest.get(instance_id, (0.0, "", ())), (float(name), name, pair.stamp))
        return {instance_id: self._made(uploads / instance_id, *found[1:]) for instance_id, found in newest.items()}

    def _made(self, folder: Path, name: str, stamp: object) -> float:
        place = folder / ARCHIVES / f"{name}.json"
        place = place if place.exists() else folder / place.name
        if self._known.get(place, (None, 0.0))[0] != stamp:
            try:
                self._known[place] = stamp, float(archive_at(place).order[0])
            except Exception:
                self._known[place] = stamp, float(name)
        return self._known[place][1]


def rendered(
    config: Config, requests: Requests, uploads: Mapping[str, int], ended: Ended | None, newest: Mapping[str, float]
) -> str:
    """Return all metrics as text. `uploads` are counts by what became of them, and the `bytes` that were stored."""
    published = Published(config.reports)
    families = [
        *of_run(published, last(config.work)),
        *_of_requests(requests),
        *_of_uploads(uploads),
        *_of_command(ended),
    ]
    # Which instances there are is not for everybody: who may not know is given none.
    if newest:
        families += of_instances(published, newest)
    return "".join(map(str, families))


def _of_requests(requests: Requests) -> Iterator[Family]:
    start: dict[Labels, float] = {(): requests.started}
    yield Family("grt_batch_service_start_time_seconds", "gauge", "Start of the service, Unix time.", start)
    answered = {
        pairs(endpoint=endpoint, code=str(code)): count for (endpoint, code), count in requests.answered.items()
    }
    yield Family("grt_batch_service_requests_total", "counter", "Requests answered.", answered)


def _of_uploads(uploads: Mapping[str, int]) -> Iterator[Family]:
    prefix = "grt_batch_service"
    for name, count, doc in (
        ("uploads", "stored", "Archives received and stored."),
        ("uploads_repeated", "repeated", "Archives received that were there."),
        ("upload_bytes", "bytes", "Size of the archives stored."),
    ):
        yield Family(f"{prefix}_{name}_total", "counter", doc, {(): uploads.get(count, 0)})
    refused = {
        pairs(code=name.removeprefix(REFUSED)): count for name, count in uploads.items() if name.startswith(REFUSED)
    }
    yield Family(f"{prefix}_uploads_refused_total", "counter", "Uploads refused.", refused)


def _of_command(ended: Ended | None) -> Iterator[Family]:
    if ended is None:
        return
    prefix = "grt_batch_service_on_upload_last"
    doc = "Exit code of the command on_upload, when it ended last."
    yield Family(f"{prefix}_exit_code", "gauge", doc, {(): ended.code})
    doc = "When the command on_upload ended last, Unix time."
    yield Family(f"{prefix}_completion_timestamp_seconds", "gauge", doc, {(): ended.moment})
