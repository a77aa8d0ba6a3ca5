"""What a run says of the archives that it found, and of those that it did not find any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from grt_batch.core.logs import logger
from grt_batch.ledger.ledger import ARCHIVE, Ledger
from grt_batch.pipeline.plan import OLD, Planned
from grt_batch.sinks.report_set import LATEST
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.uploads.scan import Uploads

_NAMED = 3
"""So many archives a line names; the plan names all."""


def say_what_was_found(uploads: Uploads, index: ArchiveIndex) -> None:
    """What is no archive, what an instance says wrong of itself, and what is not there any more."""
    if index.damaged:
        logger.warning("%s is damaged: which archives are gone is not known any more", index.file)
    for line in uploads.passed_over:
        logger.info("passed over %s", line)
    for instance in uploads.instances:
        which = {"instance": instance.instance_id}
        if instance.metadata.problem:
            logger.warning(instance.metadata.problem, extra=which)
        gone = sum(archive.remembered and not archive.incomplete for archive in instance.archives)
        if gone == len(instance.archives):
            logger.warning("all %d archives are gone; their numbers stay until --forget", gone, extra=which)
        elif gone:
            logger.info("%d archives are gone; their numbers stay until --forget", gone, extra=which)


def say_what_nobody_knows(reports: Path, ledger: Ledger) -> None:
    """Archives that the last reports count and that are neither there nor remembered: the work folder is another."""
    try:
        with (reports / LATEST / f"{ARCHIVE.name}.tsv").open(encoding="utf-8", newline="\n") as lines:
            titles = next(lines, "").rstrip("\n").split("\t")
            places = [titles.index(name) for name in ("instance_id", "archive", "jobs")]
            rows = ([cells[place] for place in places] for cells in (line.split("\t") for line in lines))
            shown = {f"{instance_id}/{archive}" for instance_id, archive, jobs in rows if jobs != "0"}
    except (OSError, ValueError, IndexError):
        return
    shown -= {f"{entry.archive.instance_id}/{entry.archive.name}" for entry in ledger.archives}
    if shown:
        message = (
            "the numbers of %d archives go, which the last reports count: they are neither there nor remembered (%s)"
        )
        logger.warning(message, len(shown), _listed(sorted(shown)))


def say_what_is_old(planned: Sequence[Planned]) -> None:
    """Archives that are gone and that this run would read in another way: with a redaction, say, that is new."""
    old = [f"{item.archive.instance_id}/{item.archive.name}" for item in planned if OLD in item.why]
    if old:
        logger.warning("the numbers of %d archives that are gone stay %s (%s)", len(old), OLD, _listed(old))


def say_what_is_lost(whole: Sequence[str], partly: Sequence[str], modules: Iterable[str]) -> None:
    """Archives that are gone, and of which the store lost what was read: for all tables, or for those of `modules`."""
    for names, what in ((whole, "their numbers"), (partly, f"their numbers in {', '.join(sorted(modules))}")):
        if names:
            message = "the store lost what was read of %d archives that are gone, and so %s (%s)"
            logger.warning(message, len(names), what, _listed(names))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
