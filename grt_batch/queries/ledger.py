"""Queries of the ledger: the state of the archives, and their rejected lines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from psycopg2 import sql

from grt_batch.core.config import Config
from grt_batch.core.errors import BadArguments, NoLedger, NothingPublished
from grt_batch.ledger.ledger import ARCHIVE, RUN, miscount
from grt_batch.pipeline.keys import load_account
from grt_batch.sinks.connection import reading
from grt_batch.sinks.report_file import rows_of
from grt_batch.sinks.report_set import LATEST, REJECTS
from grt_batch.sinks.schema import SCHEMA
from grt_batch.store.archive_index import ArchiveIndex, as_published
from grt_batch.store.store import Store

_LAST_RUNS = 10


_LEDGER = (
    ("instances", "SELECT instance_id, title, public, jobs, last_generated FROM {}.instance ORDER BY 1"),
    (
        "archives",
        "SELECT instance_id, state, count(*) AS archives, sum(bytes) AS bytes, sum(jobs) AS jobs,"
        " sum(superseded) AS superseded, sum(salvaged) AS salvaged, sum(rejected) AS rejected"
        " FROM {}.archive GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "not published",
        "SELECT instance_id, archive, state, reason FROM {}.archive WHERE state <> 'published' ORDER BY 1, 2",
    ),
    (
        "removed",
        "SELECT instance_id, archive, generated, jobs, reason FROM {}.archive"
        " WHERE state = 'published' AND reason IS NOT NULL ORDER BY 1, 2",
    ),
    (
        "last runs",
        "SELECT run_id, started, finished, ranks, version, modules, archives, jobs FROM {}.run"
        f" ORDER BY finished DESC LIMIT {_LAST_RUNS}",
    ),
)


def ledger_of(url: str) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return the parts of the ledger as title, columns and rows. Raise DatabaseUnreadable or NoLedger."""
    parts: list[tuple[str, list[str], list[list[str]]]] = []
    with reading(url) as link, link.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.{RUN.name}",))
        if cursor.fetchone()[0] is None:
            raise NoLedger
        for title, statement in _LEDGER:
            cursor.execute(sql.SQL(statement).format(sql.Identifier(SCHEMA)))
            columns = [column.name for column in cursor.description]
            parts.append((title, columns, [[_text(value) for value in row] for row in cursor.fetchall()]))
    return parts


def doubtful(config: Config) -> dict[str, list[list[str]]]:
    """Return the published archives that say what cannot be, as instance, archive and what it is: those `miscounted`,
    whose N.json counts other jobs than were read, and those with an `implausible` date or measurement."""
    store = Store(config.work / "store")
    found: dict[str, list[list[str]]] = {"miscounted": [], "implausible": []}
    for _, instance_id, archives in ArchiveIndex(config.work, config.uploads).instances():
        for name, known in archives.items():
            archive = as_published(instance_id, name, known)
            account = load_account(store, known.key) if archive else None
            if archive and account:
                date = "the date in N.json" if archive.report and archive.report.misdated else ""
                impossible = ", ".join(filter(None, (date, account.impossible)))
                told = {"miscounted": miscount(archive, account), "implausible": impossible}
                for title, what in told.items():
                    found[title] += [[instance_id, name, what]] if what else []
    return {title: sorted(rows) for title, rows in found.items()}


def rejects_of(
    reports: Path, instance: str | None, archive: str | None, *, lines: bool
) -> tuple[list[str], list[list[str]]]:
    """Count the rejected lines by instance, archive, member and reason; with `lines`, return each of them.

    Raises NothingPublished, and BadArguments for an instance or archive that the last reports do not have.
    """
    _check_known(reports, instance, archive)
    rows: list[list[str]] = []
    for file in sorted((reports / REJECTS).glob("*/*.tsv")):
        if instance in (None, file.parent.name) and archive in (None, file.stem):
            with file.open(encoding="utf-8", newline="\n") as text:
                next(text)
                rows += [[file.parent.name, *line.rstrip("\n").split("\t")] for line in text]
    if lines:
        return ["instance", "archive", "member", "line", "reason", "bytes", "text"], rows
    counts = Counter((row[0], row[1], row[2], row[4]) for row in rows)
    return ["instance", "archive", "member", "reason", "lines"], [[*key, str(n)] for key, n in sorted(counts.items())]


def _check_known(reports: Path, instance: str | None, archive: str | None) -> None:
    """Check that the last reports have such an archive."""
    file = reports / LATEST / f"{ARCHIVE.name}.tsv"
    if not file.is_file():
        raise NothingPublished(reports=reports)
    known = rows_of(file, ("instance_id", "archive"))
    if (instance or archive) and not any(instance in (None, one) and archive in (None, other) for one, other in known):
        asked = [f"instance {instance}" if instance else "", f"archive {archive}" if archive else ""]
        what = f"the last reports have no {' with the '.join(filter(None, asked))}"
        raise BadArguments(command="rejects", what=what)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
