"""Log lines about the archives of a run: what was found, what was removed, and what was lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from grt_batch.core.logs import logger
from grt_batch.core.wording import counted, listed
from grt_batch.ledger.ledger import ARCHIVE, Ledger
from grt_batch.pipeline.planned import Planned
from grt_batch.pipeline.unreadable import OLD, named
from grt_batch.sinks.report_file import rows_of
from grt_batch.sinks.report_set import LATEST
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.uploads.scan import Archive, Uploads
from grt_batch.uploads.thawing import thawing_of


def log_uploads(uploads: Uploads, index: ArchiveIndex) -> None:
    """Log files that are no archives, what cannot be read, bad metadata and dates, and archives whose files were
    removed."""
    if index.damaged:
        logger.warning("%s is damaged: it is not known any more which archives were removed", index.file)
    for line in uploads.passed_over:
        logger.info("passed over %s", line)
    for instance_id, reason in uploads.unreadable.items():
        logger.warning(reason, extra={"instance": instance_id})
    doubted: dict[str, list[str]] = {}
    for archive in uploads.archives:
        for doubt in archive.doubts:
            doubted.setdefault(doubt, []).append(f"{archive.instance_id}/{archive.name}")
    for doubt, names in doubted.items():
        logger.warning("%s with %s (%s)", counted(len(names), "archive"), doubt, listed(names))
    cold = sum(archive.is_cold for archive in uploads.archives)
    if cold:
        logger.info("%s in cold storage; what was read of them counts", counted(cold, "archive"))
    for instance in uploads.instances:
        extra = {"instance": instance.instance_id}
        if instance.metadata.problem:
            logger.warning(instance.metadata.problem, extra=extra)
        removed = sum(archive.remembered and not archive.incomplete for archive in instance.archives)
        if removed == len(instance.archives):
            message = "no archive is left, %s removed; the numbers stay until --forget"
            logger.warning(message, counted(removed, "archive"), extra=extra)
        elif removed:
            logger.info("%s removed; the numbers stay until --forget", counted(removed, "archive"), extra=extra)


def warn_of_unknown(reports: Path, ledger: Ledger) -> None:
    """Warn of archives that the last reports count and that are neither found nor remembered, as after a change of the
    work folder."""
    rows = rows_of(reports / LATEST / f"{ARCHIVE.name}.tsv", ("instance_id", "archive", "jobs"))
    shown = {f"{instance_id}/{archive}" for instance_id, archive, jobs in rows if jobs != "0"}
    shown -= {f"{entry.archive.instance_id}/{entry.archive.name}" for entry in ledger.archives}
    if shown:
        message = "dropping the numbers of %s in the last reports, neither found nor remembered (%s)"
        logger.warning(message, counted(len(shown), "archive"), listed(sorted(shown)))


def warn_of_outdated(planned: Sequence[Planned]) -> None:
    """Warn of archives that cannot be read and that this run would read in another way, for example with a new
    redaction."""
    old = [item.archive for item in planned if OLD in item.why]
    removed, cold = ([archive for archive in old if archive.is_cold is is_cold] for is_cold in (False, True))
    if removed:
        logger.warning("the numbers of %s stay %s (%s)", counted(len(removed), "removed archive"), OLD, named(removed))
    if cold:
        message = "the numbers of %s in cold storage stay %s (%s); to read them again: %s"
        logger.warning(message, counted(len(cold), "archive"), OLD, named(cold), thawing_of(cold))


def warn_of_cold(archives: Sequence[Archive]) -> None:
    """Warn of archives in cold storage that the run goes on without, though it would have to read them."""
    if archives:
        message = "going on without what is in cold storage and would have to be read (%s): %s"
        logger.warning(message, named(archives), thawing_of(archives))


def warn_of_lost(whole: Sequence[str], partly: Sequence[str], modules: Iterable[str], kind: str = "removed") -> None:
    """Warn of archives of a kind that cannot be read, whose entries the store has not: the numbers of `whole` are lost
    in all tables, those of `partly` in the tables of `modules`."""
    for names, where in ((whole, ""), (partly, f" in {', '.join(sorted(modules))}")):
        if names:
            message = "lost the numbers%s of %s: the store has not kept them (%s)"
            logger.warning(message, where, counted(len(names), f"{kind} archive"), listed(names))
