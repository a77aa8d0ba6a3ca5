"""What is known of the last run and of each instance, for Prometheus: https://prometheus.io/docs/instrumenting/.

Ages are the times at which something happened, so that they go on growing between runs. Nothing has a label for a tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from grt_batch import __version__
from grt_batch.core.config import Config
from grt_batch.core.files import rewrite
from grt_batch.monitoring.outcome import Outcome, last
from grt_batch.monitoring.published import Published, moment

_MODE = 0o644
"""Of the file: the collector runs as another user, and the names and sizes of instances are no secret on this host."""


_DIGITS = 6
"""After the point: a time to the microsecond."""


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


def pairs(**labels: str) -> Labels:
    """Return the labels of a sample."""
    return tuple(labels.items())


def metrics_text(config: Config, ending: Outcome | None = None) -> str:
    """Return all metrics, with `ending` as the end of the last run, or what the work folder knows of it."""
    published = Published(config.reports)
    families = (*of_run(published, ending or last(config.work)), *of_instances(published))
    return "".join(map(str, families))


def write_metrics(file: Path, text: str) -> None:
    """Write a file that a collector reads: it sees the old content or the new one. Raises OSError."""
    rewrite(file, text.encode(), _MODE)


def of_run(published: Published, ending: Outcome | None) -> Iterator[Family]:
    """Yield what there is of the program, of the last run, and of the one that made the newest report set."""
    summary = published.summary
    yield _gauge("build_info", "Version of the program.", {pairs(version=__version__): 1})
    started, finished = published.seconds("started"), published.seconds("finished")
    succeeded = finished if ending is None or ending.succeeded is None else ending.succeeded
    yield _gauge("last_success_timestamp_seconds", "When a run published last, Unix time.", _one(succeeded))
    if ending is not None:
        started, finished = ending.started, ending.ended
        yield _gauge("last_completion_timestamp_seconds", "When the last run ended, Unix time.", _one(finished))
        yield _gauge("last_exit_code", "Exit code of the last run.", _one(ending.code))
    if started is not None and finished is not None:
        yield _gauge("last_duration_seconds", "How long the last run took.", _one(finished - started))
    stages = {pairs(stage=name): seconds for name, seconds in _numbers(summary.get("seconds")).items()}
    yield _gauge("stage_duration_seconds", "How long each stage of the newest report set took.", stages)
    counts = _numbers(summary)
    yield _gauge("jobs", "Jobs in the tables.", _one(counts.get("jobs")))
    archives = {pairs(state=name): count for name, count in _states(summary.get("archives")).items()}
    yield _gauge("archives", "Archives by their state.", archives)
    reached = {pairs(target=name): float(why is None) for name, why in published.targets().items()}
    yield _gauge("target_published", "Whether the run of the newest report set published to the target.", reached)
    yield _gauge("rejected_lines", "Lines of published archives that are no record.", _one(counts.get("rejected")))


_STATES = ("published", "quarantined", "incomplete")


def _states(archives: object) -> dict[str, float]:
    return {name: count for name, count in _numbers(archives).items() if name in _STATES}


_OF_STATUS = (
    ("bytes", "uploads_bytes", "Size of the archives.", ()),
    ("quota_bytes", "quota_bytes", "Quota of the uploads.", ()),
    ("warning", "warning_level", "1 ok, 2 kinda ok, 3 not ok.", ()),
    ("jobs_7d", "recent_jobs", "Jobs created in the last days before the as-of day.", (("window", "7d"),)),
    ("jobs_30d", "recent_jobs", "Jobs created in the last days before the as-of day.", (("window", "30d"),)),
    ("without_metrics", "without_metrics_ratio", "Share of the jobs that have no metric, 0 to 1.", ()),
)
"""The columns of instance_status that become metrics: name, purpose, and further labels."""


def of_instances(published: Published, newest: Mapping[str, float] | None = None) -> Iterator[Family]:
    """Yield what there is of each instance. Who has looked at the uploads gives the time of the `newest` archives."""
    seconds = _newest(published) if newest is None else newest
    of_archive = {pairs(instance_id=instance_id): value for instance_id, value in seconds.items()}
    doc = "When the newest archive of the instance was made, Unix time."
    yield _gauge("instance_last_archive_timestamp_seconds", doc, of_archive)
    found: dict[str, dict[Labels, float]] = {name: {} for _, name, *_ in _OF_STATUS}
    for instance_id, *values in published.rows("instance_status", "instance_id", *(it[0] for it in _OF_STATUS)):
        for text, (_, name, _, labels) in zip(values, _OF_STATUS, strict=True):
            if text:
                found[name][(*pairs(instance_id=instance_id), *labels)] = float(text)
    docs = {name: doc for _, name, doc, _ in _OF_STATUS}
    for name, samples in found.items():
        yield _gauge(f"instance_{name}", docs[name], samples)


def _newest(published: Published) -> dict[str, float]:
    """Return when the newest archive of each instance was made. One that says to be of the future tells nothing."""
    try:
        after = date.fromisoformat(str(published.summary.get("as_of"))) + timedelta(2)
    except (ValueError, OverflowError):
        return {}
    limit, found = moment(after.isoformat()) or 0.0, dict[str, float]()
    for instance_id, generated in published.rows("archive", "instance_id", "generated"):
        seconds = moment(generated)
        if seconds is not None and seconds < limit:
            found[instance_id] = max(seconds, found.get(instance_id, 0.0))
    return found


def _gauge(name: str, doc: str, samples: Mapping[Labels, float]) -> Family:
    return Family(f"grt_batch_{name}", "gauge", doc, samples)


def _one(value: float | None) -> dict[Labels, float]:
    return {} if value is None else {(): value}


def _numbers(found: object) -> dict[str, float]:
    items = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in items if isinstance(value, int | float)}


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(float(value), _DIGITS))
