"""Log lines about the archives of a run: what was found, what was removed, and what was lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from grt_batch.core.logs import logger
from grt_batch.core.wording import counted
from grt_batch.ledger.ledger import ARCHIVE, Ledger
from grt_batch.pipeline.plan import OLD
from grt_batch.pipeline.planned import Planned
from grt_batch.sinks.report_file import rows_of
from grt_batch.sinks.report_set import LATEST
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.uploads.scan import Uploads

_NAMED = 3
"""The number of archives that a line names; `grt-batch plan` lists all."""


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
        logger.warning("%s with %s (%s)", counted(len(names), "archive"), doubt, _listed(names))
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
        logger.warning(message, counted(len(shown), "archive"), _listed(sorted(shown)))


def warn_of_outdated(planned: Sequence[Planned]) -> None:
    """Warn of removed archives that this run would read in another way, for example with a new redaction."""
    old = [f"{item.archive.instance_id}/{item.archive.name}" for item in planned if OLD in item.why]
    if old:
        logger.warning("the numbers of %s stay %s (%s)", counted(len(old), "removed archive"), OLD, _listed(old))


def warn_of_lost(whole: Sequence[str], partly: Sequence[str], modules: Iterable[str]) -> None:
    """Warn of removed archives whose entries the store has not: the numbers of `whole` are lost in all tables, those
    of `partly` in the tables of `modules`."""
    for names, where in ((whole, ""), (partly, f" in {', '.join(sorted(modules))}")):
        if names:
            message = "lost the numbers%s of %s: the store has not kept them (%s)"
            logger.warning(message, where, counted(len(names), "removed archive"), _listed(names))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
