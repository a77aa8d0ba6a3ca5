"""Which instances are there, what did each of them do month by month, and does its export still come?

The prediction is the least-squares line through (date, bytes so far) of the archives, of those that are at most
`prediction_days` older than the last: predicted bytes = bytes now + slope · days, never less than now. It is null
without a ground to stand on: archives of 3 different UTC days at least, and from the first to the last of them as many
days as it looks ahead. A level of `warning_levels` is reached when the bytes predicted for its days, or the bytes now
where there is no prediction, are more than its fraction of the quota. An instance that is silent for more than
`fresh_days` is at level 2, for more than twice as long at level 3. The worst level counts. Archives that were made
after the as-of day, and the day after it, tell nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import accumulate
from math import floor
from typing import Any

import polars as pl

from grt_batch.aggregate.measures import Count, Cube, Sum, known_sum
from grt_batch.core.config import Config
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger, json_text
from grt_batch.ledger.people import ADDRESS, Person, owners_of
from grt_batch.modules.base import INSTANCE, Module, Partial
from grt_batch.modules.helpers import hours, outcomes, within
from grt_batch.schema.figures import ALL_DIGITS
from grt_batch.schema.records import Job
from grt_batch.schema.tables import Column, Shown, Table, Type
from grt_batch.schema.visibility import OF_PUBLIC_INSTANCES

MONTH = Cube(
    "month",
    (Job.month, Job.tool_id, Job.state),
    (
        Count("jobs"),
        Sum("core_seconds", Job.core_seconds),
        Sum("cpu_seconds", Job.cpu),
        Sum("input_bytes", Job.input_bytes),
        Sum("output_bytes", Job.output_bytes),
    ),
)


DAY = Cube(
    "day",
    (Job.day,),
    (
        Count("jobs"),
        Count("non_terminal", Job.non_terminal),
        Count("without_metrics", Job.without_metrics),
        Count("implausible", Job.implausible),
    ),
)


_INSTANCE = Column("instance_id", Type.TEXT, "the instance")


INSTANCES = Table(
    "instance",
    "Every instance, what it says of itself, and how much it has sent.",
    ("instance_id",),
    (
        _INSTANCE,
        Column("url", Type.TEXT, "address of the server"),
        Column("title", Type.TEXT, "its title"),
        Column("description", Type.TEXT, "what it is for"),
        Column("public", Type.BOOLEAN, "whether its own numbers may be shown; false unless it says so"),
        Column("latitude", Type.DOUBLE, "where it stands", "degrees", digits=ALL_DIGITS),
        Column("longitude", Type.DOUBLE, "where it stands", "degrees", digits=ALL_DIGITS),
        Column("owners", Type.JSON, "names of its owners", shown=Shown.WITHOUT_EMAILS),
        Column("first_generated", Type.TIMESTAMP, "its first published archive", "UTC"),
        Column("last_generated", Type.TIMESTAMP, "its last published archive", "UTC"),
        Column("jobs", Type.BIGINT, "jobs in the tables"),
        Column("metadata", Type.JSON, "other keys of its metadata.json", shown=Shown.AS_NULL),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


INSTANCE_OWNER = Table(
    "instance_owner",
    "The owners of an instance, and what the directory has of them.",
    ("instance_id", "owner"),
    (
        _INSTANCE,
        Column("owner", Type.TEXT, "as metadata.json has it", shown=Shown.WITHOUT_EMAILS),
        Column("name", Type.TEXT, "the directory's name; null where it has none", shown=Shown.WITHOUT_EMAILS),
        Column("mail", Type.TEXT, "the address in owner, else the directory's; null without both", shown=Shown.AS_NULL),
    ),
    # An owner can be too long for an entry of an index.
    index=("instance_id",),
    visibility=OF_PUBLIC_INSTANCES,
    of_instances=True,
)


INSTANCE_MONTH = Table(
    "instance_month",
    "What an instance did, by month of the jobs' creation.",
    ("instance_id", "month"),
    (
        _INSTANCE,
        Column("month", Type.TEXT, "YYYY-MM of create_time; null for jobs without one", "UTC"),
        Column("jobs", Type.BIGINT, "jobs"),
        Column("ok", Type.BIGINT, "jobs in state ok"),
        Column("error", Type.BIGINT, "jobs in state error"),
        Column("other", Type.BIGINT, "jobs in any other state"),
        Column("tools", Type.BIGINT, "different tool ids"),
        Column("core_hours", Type.DOUBLE, "runtime × cores; null where no job has both", "core h"),
        Column("cpu_hours", Type.DOUBLE, "CPU time; null where no job has it", "h"),
        Column.sum_of(Job.input_bytes, "input_bytes", "input datasets; null where no size is known"),
        Column.sum_of(Job.output_bytes, "output_bytes", "output datasets; null where no size is known"),
    ),
    nullable=("month",),
    visibility=OF_PUBLIC_INSTANCES,
    of_instances=True,
)


INSTANCE_USERS = Table(
    "instance_users",
    "Users of an instance at the time of each published archive.",
    ("instance_id", "generated"),
    (
        _INSTANCE,
        Column("generated", Type.TIMESTAMP, "when the archive was made", "UTC"),
        Column("active", Type.BIGINT, "active users"),
        Column("total", Type.BIGINT, "all users"),
    ),
    visibility=OF_PUBLIC_INSTANCES,
    of_instances=True,
)


_LEAST_DAYS = 3
"""The different days that archives must be of, before a line through them predicts anything."""


def _predicted(days: int) -> Column:
    ground = f"null without archives of {_LEAST_DAYS} days, over {days} days at least"
    doc = f"bytes + {days} days of growth, by the dates of the archives of the last prediction_days; {ground}"
    return Column(f"predicted_{days}d", Type.BIGINT, doc, "B")


_SHARE = "share of the jobs (0 to 1, null without jobs) that"


INSTANCE_STATUS = Table(
    "instance_status",
    "Does the export still come, does it fit its quota, and how far can its numbers be trusted?",
    ("instance_id",),
    (
        _INSTANCE,
        Column("archives", Type.BIGINT, "archives found, whatever became of them"),
        Column("bytes", Type.BIGINT, "size of their tar.gz", "B"),
        Column("quota_bytes", Type.BIGINT, "quota of the uploads; null without one", "B"),
        _predicted(3),
        _predicted(7),
        Column(
            "warning",
            Type.INTEGER,
            "1 ok, 2 kinda ok, 3 not ok: the worse of the quota, by the configured warning_levels (1 without one; by"
            " bytes where nothing is predicted), and of the silence: 2 when days_silent is over the configured"
            " fresh_days, 3 when over twice as many",
        ),
        Column(
            "days_silent",
            Type.BIGINT,
            "from the last archive made by the as-of day, or the day after; null without one",
            "days",
        ),
        Column("jobs", Type.BIGINT, "jobs in the tables"),
        Column("jobs_7d", Type.BIGINT, "jobs created in the last 7 days"),
        Column("jobs_30d", Type.BIGINT, "jobs created in the last 30 days"),
        Column("non_terminal", Type.DOUBLE, f"{_SHARE} could still change their state"),
        Column("without_metrics", Type.DOUBLE, f"{_SHARE} have no numeric metric at all"),
        Column("implausible", Type.DOUBLE, f"{_SHARE} have a measurement that no job can have: null"),
    ),
    visibility=OF_PUBLIC_INSTANCES,
)


class Instances(Module):
    """Which instances are there, what did each of them do month by month, and does its export still come?"""

    name = "instances"
    looks_at_archives = True
    settings = ("quota_bytes", "quotas", "warning_levels", "prediction_days", "fresh_days")
    cubes = (MONTH, DAY)
    tables = (INSTANCES, INSTANCE_OWNER, INSTANCE_MONTH, INSTANCE_USERS, INSTANCE_STATUS)

    def rows(self, partial: Partial, ledger: Ledger) -> dict[str, pl.DataFrame]:
        """Return what there is of each instance, in one row; what is not counted comes from the ledger."""
        counts = _counts(partial[DAY.name], ledger)
        entries = ledger.instances
        instance = [_instance(entry, counts[entry.instance_id]) for entry in entries]
        status = [_status(entry, counts[entry.instance_id], ledger) for entry in entries]
        return {
            INSTANCES.name: pl.DataFrame(instance, schema=INSTANCES.schema),
            INSTANCE_STATUS.name: pl.DataFrame(status, schema=INSTANCE_STATUS.schema),
        }

    def instance_rows(self, partial: Partial, instances: Sequence[InstanceEntry]) -> dict[str, pl.DataFrame]:
        """Return what has several rows of an instance."""
        owners = [row for entry in instances for row in _owners(entry)]
        users = [row for entry in instances for row in _users(entry)]
        return {
            INSTANCE_OWNER.name: pl.DataFrame(owners, schema=INSTANCE_OWNER.schema),
            INSTANCE_MONTH.name: _months(partial[MONTH.name]),
            INSTANCE_USERS.name: pl.DataFrame(users, schema=INSTANCE_USERS.schema),
        }


_SHARES = ("non_terminal", "without_metrics", "implausible")


_COUNTS = ("jobs", "jobs_7d", "jobs_30d", *_SHARES)


def _counts(day: pl.DataFrame, ledger: Ledger) -> dict[str, dict[str, int]]:
    """Return the counts of jobs behind each instance's status, 0 for an instance without jobs."""

    def jobs_of_last(days: int) -> pl.Expr:
        return pl.col("jobs").filter(within(ledger, days)).sum()

    sums = (pl.col(name).sum() for name in _COUNTS if name not in ("jobs_7d", "jobs_30d"))
    found = day.group_by(INSTANCE).agg(*sums, jobs_7d=jobs_of_last(7), jobs_30d=jobs_of_last(30))
    counts = {entry.instance_id: dict.fromkeys(_COUNTS, 0) for entry in ledger.instances}
    for row in found.iter_rows(named=True):
        counts[row[INSTANCE]] = {name: row[name] for name in _COUNTS}
    return counts


def _instance(entry: InstanceEntry, counts: dict[str, int]) -> dict[str, Any]:
    metadata = entry.metadata
    generated = [archive.generated for archive in entry.published]
    return {
        "instance_id": entry.instance_id,
        "url": metadata.url,
        "title": metadata.title,
        "description": metadata.description,
        "public": metadata.public,
        "latitude": metadata.latitude,
        "longitude": metadata.longitude,
        "owners": json_text(metadata.owners),
        "first_generated": generated[0] if generated else None,
        "last_generated": generated[-1] if generated else None,
        "jobs": counts["jobs"],
        "metadata": json_text(metadata.other),
    }


def _owners(entry: InstanceEntry) -> Iterator[dict[str, Any]]:
    for owner in owners_of(entry.metadata):
        person, address = entry.people.get(owner, Person()), ADDRESS.search(owner)
        yield {
            "instance_id": entry.instance_id,
            "owner": owner,
            "name": person.name,
            "mail": address[0] if address else person.mail,
        }


def _months(month: pl.DataFrame) -> pl.DataFrame:
    months = month.group_by(INSTANCE, "month").agg(
        *outcomes(),
        pl.col("tool_id").n_unique().cast(pl.Int64).alias("tools"),
        known_sum(pl.col("core_seconds", "cpu_seconds", "input_bytes", "output_bytes")),
    )
    return months.with_columns(
        pl.col("month").dt.to_string("%Y-%m"),
        (pl.col("jobs") - pl.col("ok") - pl.col("error")).alias("other"),
        hours(pl.col("core_seconds"), Job.core_seconds).alias("core_hours"),
        hours(pl.col("cpu_seconds"), Job.cpu).alias("cpu_hours"),
    )


def _users(entry: InstanceEntry) -> list[dict[str, Any]]:
    """Return one row for each moment; of two archives of the same moment the later in order counts."""
    rows = {
        archive.generated: {
            "instance_id": entry.instance_id,
            "generated": archive.generated,
            "active": archive.archive.report and archive.archive.report.users_active,
            "total": archive.archive.report and archive.archive.report.users_total,
        }
        for archive in entry.published
    }
    return list(rows.values())


def _status(entry: InstanceEntry, counts: dict[str, int], ledger: Ledger) -> dict[str, Any]:
    config, jobs = ledger.config, counts["jobs"]
    there = [archive for archive in entry.archives if not archive.removed]
    size = sum(archive.archive.bytes for archive in there)
    # What is from the future tells nothing of today. Of the next day it may be where clocks differ.
    made = [archive for archive in entry.archives if _day(archive) <= ledger.as_of + timedelta(1)]
    growth, ground = _growth(made, config.prediction_days)

    def predicted(days: int) -> int | None:
        return size + int(growth * days) if days <= ground else None

    last = max(map(_day, made), default=None)
    silent = None if last is None else max(0, (ledger.as_of - last).days)
    quota = config.quota_of(entry.instance_id)
    return {
        "instance_id": entry.instance_id,
        "archives": len(there),
        "bytes": size,
        "quota_bytes": quota,
        "predicted_3d": predicted(3),
        "predicted_7d": predicted(7),
        "warning": max(_quota_warning(size, predicted, quota, config), _silence_warning(silent, config)),
        "days_silent": silent,
        **counts,
        **{name: counts[name] / jobs if jobs else None for name in _SHARES},
    }


def _quota_warning(size: int, predicted: Callable[[int], int | None], quota: int | None, config: Config) -> int:
    """Return the highest level whose fraction of the quota is exceeded by the bytes predicted for its days; by the
    `size` of now, where there is no prediction."""
    if quota is None:
        return 1
    reached = (
        item.level
        for item in config.warning_levels
        # Through text, since 0.29 × 100 is less than 29 in floating point.
        if (predicted(item.days) or size) > Fraction(str(item.fraction)) * quota
    )
    return max(reached, default=1)


def _silence_warning(days_silent: int | None, config: Config) -> int:
    """Return 2 over the limit of freshness, 3 over twice the limit."""
    if days_silent is None or config.fresh_days == 0:
        return 1
    return 1 + (days_silent > config.fresh_days) + (days_silent > 2 * config.fresh_days)


def _day(archive: ArchiveEntry) -> date:
    """Return the day on which an archive was made, the last one that there is where nobody knows."""
    return archive.generated.date() if archive.generated else date.max


def _growth(made: Sequence[ArchiveEntry], window: int) -> tuple[Fraction, Fraction]:
    """Return the bytes a day that an instance grows by, 0 at least, and for how many days ahead that may be said.

    The growth is the exact slope of the least-squares line through the archives' dates, in days, and the bytes so far.
    Only archives at most `window` days older than the last count, since older growth is history.
    """
    dated = [
        (Fraction(archive.archive.report.generated) / 86400, archive.archive.bytes)
        for archive in made
        if archive.archive.report is not None
    ]
    newest = max((day for day, _ in dated), default=Fraction(0))
    recent = [(day, size) for day, size in dated if day >= newest - window]
    days, so_far = [day for day, _ in recent], list(accumulate(size for _, size in recent))
    n = len(recent)
    if len(set(map(floor, days))) < _LEAST_DAYS:
        return Fraction(0), Fraction(0)
    mean_x, mean_y = sum(days, Fraction(0)) / n, Fraction(sum(so_far), n)
    spread = sum(((x - mean_x) ** 2 for x in days), Fraction(0))
    together = sum(((x - mean_x) * (y - mean_y) for x, y in zip(days, so_far, strict=True)), Fraction(0))
    return max(Fraction(0), together / spread), newest - min(days)
