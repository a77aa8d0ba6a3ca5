"""What the gate looks at: the rules of [gate], and where a report set breaks them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grt_batch.core.config import Config
from grt_batch.core.wording import counted
from grt_batch.ledger.ledger import ARCHIVE
from grt_batch.sinks.report_file import rows_of

ANY = "*"
"""Stands in gate_shrunk for the tables that are not named."""


NEVER = 100.0


_PIECE = 1 << 20


@dataclass(frozen=True)
class Finding:
    """A rule of [gate] that a set breaks: its key, the instance, archive or table, the percent, and all in words."""

    rule: str
    subject: str
    percent: float
    what: str

    def covers(self, other: Finding) -> bool:
        """Return whether who lets this through lets the other one through: the same, and no worse."""
        return (self.rule, self.subject) == (other.rule, other.subject) and self.percent >= other.percent


@dataclass(frozen=True)
class _Archive:
    """What a set says of an archive: its sha256, its jobs in the tables, and its lines, rejected or not."""

    sha256: str
    jobs: int
    rejected: int
    lines: int


def findings(config: Config, before: Path, after: Path) -> list[Finding]:
    """Return what the set in the folder `after` has of which the gate keeps it back, against the set `before`."""
    files = [folder / f"{ARCHIVE.name}.tsv" for folder in (before, after)]
    if _is_kept(*files):
        return list(_of_tables(config, before, after))
    old, new = map(_archives, files)
    return [*_of_instances(config, old, new), *_of_archives(config, old, new), *_of_tables(config, before, after)]


def _is_kept(before: Path, after: Path) -> bool:
    """Return whether a set has taken over a file of the one before as it is."""
    return before.is_file() and before.samefile(after)


_Archives = dict[tuple[str, str], _Archive]


def _archives(file: Path) -> _Archives:
    counts = ("jobs", "superseded", "rejected", "metrics", "params", "datasets")
    found = {}
    try:
        for row in rows_of(file, ("instance_id", "archive", "sha256", *counts)):
            jobs, superseded, rejected, *others = map(int, row[3:])
            found[row[0], row[1]] = _Archive(row[2], jobs - superseded, rejected, jobs + rejected + sum(others))
    except ValueError:
        # Of a set that somebody else has changed nothing is known.
        return {}
    return found


def _of_instances(config: Config, old: _Archives, new: _Archives) -> Iterator[Finding]:
    before, after = (Counter[str]({instance: 0 for instance, _ in archives}) for archives in (old, new))
    for total, archives in ((before, old), (after, new)):
        for (instance, _), archive in archives.items():
            total[instance] += archive.jobs
    had = [instance for instance, jobs in before.items() if jobs > 0]
    vanished = [instance for instance in had if after[instance] <= 0]
    if had and len(vanished) >= (config.gate_vanished or len(had)):
        whole = " (all that had any)" if len(vanished) == len(had) else ""
        for instance in vanished:
            what = f"instance {instance} has none of its {counted(before[instance], 'job')} any more{whole}"
            yield Finding("gate_vanished", instance, NEVER, what)
        had = [instance for instance in had if instance not in vanished]
    for instance in had:
        percent = 100 * (1 - after[instance] / before[instance])
        if percent > config.gate_jobs_fell:
            left = f"{after[instance]} of {counted(before[instance], 'job')}"
            what = f"instance {instance} has {left}, {percent:.3g} % less"
            yield Finding("gate_jobs_fell", instance, percent, what)


def _of_archives(config: Config, old: _Archives, new: _Archives) -> Iterator[Finding]:
    for name, archive in new.items():
        percent = 100 * archive.rejected / archive.lines if archive.lines else 0.0
        known = name in old and old[name].sha256 == archive.sha256
        if percent > config.gate_rejected and not known:
            place = "/".join(name)
            what = f"of archive {place} {percent:.3g} % of the lines are rejected"
            yield Finding("gate_rejected", place, percent, what)


def _of_tables(config: Config, before: Path, after: Path) -> Iterator[Finding]:
    if not config.gate_shrunk:
        return
    for file in sorted(after.glob("*.tsv")):
        most = config.gate_shrunk.get(file.stem, config.gate_shrunk.get(ANY, NEVER))
        old = before / file.name
        if most >= NEVER or not old.is_file() or _is_kept(old, file):
            continue
        rows = _rows(old)
        percent = 100 * (1 - _rows(file) / rows) if rows else 0.0
        if percent > most:
            what = f"table {file.stem} has {percent:.3g} % of its {counted(rows, 'row')} less"
            yield Finding("gate_shrunk", file.stem, percent, what)


def _rows(file: Path) -> int:
    """Return the number of rows of a report: its lines without the header."""
    with file.open("rb") as text:
        return sum(piece.count(b"\n") for piece in iter(lambda: text.read(_PIECE), b"")) - 1


def told(found: Sequence[Finding], most: int = 3) -> str:
    """Return findings as one line: the first few, and how many there are."""
    more = f"; and {counted(len(found) - most, 'more reason')}" if len(found) > most else ""
    return "; ".join(finding.what for finding in found[:most]) + more
