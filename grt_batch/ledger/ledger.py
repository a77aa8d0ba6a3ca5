"""The ledger: what is known of each archive after reading, and the tables `archive` and `run`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson
import polars as pl

from grt_batch.core.config import Config
from grt_batch.core.wording import counted
from grt_batch.ledger.account import Account, Members
from grt_batch.ledger.people import Person
from grt_batch.schema.members import Kind
from grt_batch.schema.tables import Column, Shown, Table, Type
from grt_batch.schema.visibility import OF_PUBLIC_INSTANCES, ShownToAll
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive


class State(Enum):
    """What became of an archive."""

    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class ArchiveEntry:
    """An archive in the ledger.

    `superseded` is the number of its jobs that a newer line or another archive counts, `key` the store's key of what
    was read; `removed` is true where its files are missing.
    """

    archive: Archive
    state: State
    reason: str | None = None
    account: Account | None = None
    superseded: int = 0
    key: str = ""
    removed: bool = False

    @property
    def counts(self) -> bool:
        """Return whether its numbers are in the tables; those of an incomplete one were read when it was complete."""
        return self.state is State.PUBLISHED or (self.state is State.INCOMPLETE and self.account is not None)

    @property
    def jobs(self) -> int:
        """Return the number of its jobs in the tables."""
        if self.account is None or not self.counts:
            return 0
        return self.account.accepted(Kind.JOBS) - self.superseded

    @property
    def generated(self) -> datetime | None:
        """Return when the archive was made, in UTC."""
        return None if self.archive.report is None else utc(self.archive.report.generated)


@dataclass(frozen=True)
class InstanceEntry:
    """An instance in the ledger, with its archives, oldest first, and what is known of its owners."""

    instance_id: str
    metadata: InstanceMetadata
    archives: tuple[ArchiveEntry, ...]
    people: Mapping[str, Person] = field(default_factory=dict)

    @property
    def published(self) -> tuple[ArchiveEntry, ...]:
        """Return the archives whose numbers are in the tables."""
        return tuple(entry for entry in self.archives if entry.counts)


@dataclass(frozen=True)
class Ledger:
    """Everything but partials that a table may depend on."""

    as_of: date
    config: Config
    instances: tuple[InstanceEntry, ...]

    @property
    def public(self) -> list[str]:
        """Return the instances that declare themselves public: only their own numbers may be shown."""
        return [instance.instance_id for instance in self.instances if instance.metadata.public]

    @property
    def archives(self) -> Iterator[ArchiveEntry]:
        """Yield every archive, instance by instance."""
        return (entry for instance in self.instances for entry in instance.archives)


_ROWS_OF_A_LINE = 5
"""The most rows that an exporter has been seen to join into one line."""


def miscount(archive: Archive, account: Account) -> str | None:
    """Return how the count of jobs in N.json differs from the archive, None where it agrees or is missing.

    Releases of Galaxy differ in whether they count a row that they broke, and a line may hold several such rows.
    """
    if archive.report is None or not archive.report.jobs:
        return None
    claimed, jobs = sum(archive.report.jobs.values()), account.members.get(Kind.JOBS.value, Members())
    broken = jobs.rejected + jobs.fragments
    if jobs.accepted <= claimed <= jobs.accepted + _ROWS_OF_A_LINE * broken:
        return None
    rejected = f" and {counted(broken, 'rejected line')}" if broken else ""
    return f"{archive.name}.json counts {counted(claimed, 'job')}, and the archive has {jobs.accepted}{rejected}"


def utc(seconds: Decimal) -> datetime:
    """Return Unix seconds as a UTC time without a zone, to the microsecond."""
    whole = int(seconds)
    # As text: a subtraction would round to the digits of the decimal context.
    fraction = f"{seconds:f}".partition(".")[2][:6].ljust(6, "0")
    moment = datetime.fromtimestamp(whole, UTC).replace(tzinfo=None)
    return moment.replace(microsecond=int(fraction))


def json_text(value: Any) -> str:
    """Return canonical JSON: equal values give equal texts."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


ARCHIVE = Table(
    "archive",
    "Every archive that was found: what it says of itself, what was read of it, and what became of it.",
    ("instance_id", "archive"),
    (
        Column("instance_id", Type.TEXT, "the instance"),
        Column("archive", Type.TEXT, "the archive's name: N of N.json"),
        Column("generated", Type.TIMESTAMP, "when the instance made it", "UTC"),
        Column("version", Type.INTEGER, "version of the upload format"),
        Column("galaxy_version", Type.TEXT, "release of Galaxy"),
        Column("bytes", Type.BIGINT, "size of the tar.gz", "B"),
        Column("sha256", Type.TEXT, "hash of the tar.gz, as read"),
        Column("state", Type.TEXT, "published, quarantined or incomplete"),
        Column(
            "reason",
            Type.TEXT,
            "why it is not published; of a published one, that it was removed since",
            shown=Shown.AS_NULL,
        ),
        Column("users_active", Type.BIGINT, "active users, by N.json"),
        Column("users_total", Type.BIGINT, "all users, by N.json"),
        Column("jobs", Type.BIGINT, "accepted job records"),
        Column("metrics", Type.BIGINT, "accepted metric records"),
        Column("params", Type.BIGINT, "accepted parameter records"),
        Column("datasets", Type.BIGINT, "accepted dataset records"),
        Column("salvaged", Type.BIGINT, "accepted records that were put right"),
        Column("rejected", Type.BIGINT, "lines that are no record, kept in the reject file"),
        Column("superseded", Type.BIGINT, "accepted job records that a newer line or another archive counts instead"),
        Column("metadata", Type.JSON, "N.json, without its list of tools", shown=Shown.AS_NULL),
    ),
    visibility=OF_PUBLIC_INSTANCES,
    of_instances=True,
)


RUN = Table(
    "run",
    "Every run that published. It grows by a row a run; the TSV reports have run.json in its place.",
    ("run_id",),
    (
        Column("run_id", Type.TEXT, "start of the run and a random part"),
        Column("started", Type.TIMESTAMP, "when the run began", "UTC"),
        Column("finished", Type.TIMESTAMP, "when its tables were swapped in", "UTC"),
        Column("ranks", Type.INTEGER, "MPI ranks"),
        Column("version", Type.TEXT, "version of grt_batch"),
        Column("modules", Type.TEXT, "the modules that ran"),
        Column("archives", Type.BIGINT, "archives in the tables"),
        Column("jobs", Type.BIGINT, "jobs in the tables"),
        Column("state", Type.TEXT, "published"),
    ),
    visibility=ShownToAll(),
)


def archive_rows(instances: Iterable[InstanceEntry]) -> pl.DataFrame:
    """Return the rows of these instances in the table `archive`."""
    rows = [_archive_row(entry) for instance in instances for entry in instance.archives]
    return pl.DataFrame(rows, schema=ARCHIVE.schema)


def _archive_row(entry: ArchiveEntry) -> dict[str, Any]:
    archive, report, account = entry.archive, entry.archive.report, entry.account
    # Nothing of an archive in quarantine is in the tables, so nothing is counted.
    read = account if entry.counts else None
    return {
        "instance_id": archive.instance_id,
        "archive": archive.name,
        "generated": entry.generated,
        "version": report and report.version,
        "galaxy_version": report and report.galaxy_version,
        "bytes": archive.bytes,
        "sha256": (account and account.sha256) or None,
        "state": entry.state.value,
        "reason": entry.reason,
        "users_active": report and report.users_active,
        "users_total": report and report.users_total,
        "jobs": read.accepted(Kind.JOBS) if read else 0,
        "metrics": read.accepted(Kind.METRIC_NUM, Kind.METRIC_TXT) if read else 0,
        "params": read.accepted(Kind.PARAMS) if read else 0,
        "datasets": read.accepted(Kind.DATASETS) if read else 0,
        "salvaged": read.total("salvaged") if read else 0,
        "rejected": read.total("rejected") if read else 0,
        "superseded": entry.superseded,
        "metadata": json_text(report.document) if report else None,
    }
