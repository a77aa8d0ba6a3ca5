"""What the service and the last run know of themselves, for Prometheus: https://prometheus.io/docs/instrumenting/."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.service.on_upload import Ended
from grt_batch.uploads.scan import archive_at, glance

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


REFUSED = "refused_"
"""What the count of refused uploads has before their status."""


Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Family:
    """Samples of one name: `kind` is counter or gauge, `doc` says what they are."""

    name: str
    kind: str
    doc: str
    samples: Mapping[Labels, float]

    def __str__(self) -> str:
        """Return the lines of the text format, none without samples."""
        if not self.samples:
            return ""
        lines = [f"# HELP {self.name} {self.doc}", f"# TYPE {self.name} {self.kind}"]
        lines += [f"{self.name}{_labels(labels)} {_number(value)}" for labels, value in sorted(self.samples.items())]
        return "".join(f"{line}\n" for line in lines)


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
        place = folder / "archives" / f"{name}.json"
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
    families = [
        Family("grt_batch_build_info", "gauge", "Version of the program.", {_pairs(version=__version__): 1}),
        *_of_requests(requests),
        *_of_uploads(uploads),
        *_of_command(ended),
        *_of_run(config.reports),
        Family(
            "grt_batch_instance_last_archive_timestamp_seconds",
            "gauge",
            "When the newest archive of the instance was made, Unix time.",
            {_pairs(instance_id=instance_id): seconds for instance_id, seconds in newest.items()},
        ),
    ]
    return "".join(map(str, families))


def _of_requests(requests: Requests) -> Iterator[Family]:
    start: dict[Labels, float] = {(): requests.started}
    yield Family("grt_batch_service_start_time_seconds", "gauge", "Start of the service, Unix time.", start)
    answered = {
        _pairs(endpoint=endpoint, code=str(code)): count for (endpoint, code), count in requests.answered.items()
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
        _pairs(code=name.removeprefix(REFUSED)): count for name, count in uploads.items() if name.startswith(REFUSED)
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


def _of_run(reports: Path) -> Iterator[Family]:
    """Yield what run.json says of the run whose report set is the newest."""
    from grt_batch.sinks.report_set import LATEST, SUMMARY

    try:
        run = orjson.loads((reports / LATEST / SUMMARY).read_bytes())
        began, ended = (datetime.fromisoformat(run[name]).replace(tzinfo=UTC) for name in ("started", "finished"))
        archives, jobs = run["archives"], run["jobs"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    doc = "When the last run published, Unix time."
    yield Family("grt_batch_last_success_timestamp_seconds", "gauge", doc, {(): ended.timestamp()})
    duration = (ended - began).total_seconds()
    yield Family("grt_batch_last_duration_seconds", "gauge", "How long the last run took.", {(): duration})
    yield Family("grt_batch_jobs", "gauge", "Jobs in the tables.", {(): jobs})
    by_state = {_pairs(state=state): archives[state] for state in ("published", "quarantined", "incomplete")}
    yield Family("grt_batch_archives", "gauge", "Archives by their state.", by_state)


def _pairs(**labels: str) -> Labels:
    return tuple(labels.items())


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
