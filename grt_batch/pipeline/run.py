"""A run: plan, reduce, publish, clean up. This is the only way from archives to tables, for any number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from grt_batch.core.config_values import MAIN
from grt_batch.core.logs import logger
from grt_batch.core.timing import Stage
from grt_batch.core.wording import counted
from grt_batch.core.work_folder import alone
from grt_batch.ledger.people import FindPeople, all_owners, nobody
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.gate import Gate, check_rules
from grt_batch.pipeline.gc import hold_cap
from grt_batch.pipeline.notices import log_uploads, warn_of_cold, warn_of_outdated, warn_of_unknown
from grt_batch.pipeline.plan import find_uploads, survey
from grt_batch.pipeline.planned import Planned, Step
from grt_batch.pipeline.publish import already_published, publish
from grt_batch.pipeline.read import redaction_of
from grt_batch.pipeline.read_all import Progress
from grt_batch.pipeline.reduce_all import reduce_archives
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.pipeline.targets import chosen_targets
from grt_batch.pipeline.unreadable import as_read_before, check_thawed, to_thaw
from grt_batch.sinks.made_folder import MakeFolder
from grt_batch.sinks.report_set import sweep
from grt_batch.sinks.sink import Sink
from grt_batch.sinks.targets import Targets
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Uploads


def execute(
    request: RunRequest,
    executor: Executor,
    database: Callable[[], AbstractContextManager[str]],
    progress: Progress = lambda _: nullcontext(lambda _: None),
    *,
    gate: Gate | None = None,
    committed: Callable[[], None] = lambda: None,
    uploads: Uploads | None = None,
    instead_of_databases: Sink | None = None,
    made: Mapping[str, MakeFolder] | None = None,
    people: FindPeople = nobody,
) -> RunSummary:
    """Carry out a run. The caller holds the lock of the work folder.

    `database` opens the server of the main target and yields its URL. The `gate` may hold the run back. `made` fills
    folders of the report set from its tables, by their names; `people` finds out who the owners of the instances are.
    `committed` is called once a database shows the new tables, before anything else can fail. A verification passes the
    `uploads` to read, and the sink to use `instead_of_databases`, which stands for the main target alone.

    Raises GrtError. Nothing was published then, except for CommitUnknown and PublishedInPart.
    """
    names = (MAIN,) if instead_of_databases else request.targets
    wanted = chosen_targets(request.config, names, database)
    context = _context(request, executor)
    if uploads is None:
        uploads = find_uploads(request.config, context.index, request.instances, forget=request.forget)
    context = replace(context, people=people(all_owners(uploads.instances)))
    planned = _plan(context, uploads)
    with Targets(wanted) as targets:
        if any(item.must_be_read for item in planned):
            targets.check()
        with executor.clock.stage(Stage.REDUCE):
            reduced = reduce_archives(context, uploads, planned, targets, progress)
        if not request.forget:
            warn_of_unknown(request.config.reports, reduced.ledger)
        summary = publish(context, reduced, targets, gate or Gate(), committed, instead_of_databases, made)
    with already_published():
        _clean_up(context, uploads)
    return replace(summary, unreadable=uploads.unreadable)


def _context(request: RunRequest, executor: Executor) -> RunContext:
    # A bad pattern is reported here, not by the first rank that needs it; a bad rule before anything is read.
    redaction_of(request.config)
    check_rules(request.config)
    modules = chosen(request.modules, request.config.modules_dir)
    store = Store(request.config.work / "store", executor.clock)
    with alone(request.config.work) as is_alone:
        if is_alone:
            store.tidy()
            sweep(request.config.reports)
    return RunContext(request, modules, store, ArchiveIndex(request.config.work, request.config.uploads), executor)


def _plan(context: RunContext, uploads: Uploads) -> list[Planned]:
    """Return what is known of each archive of the run."""
    with context.executor.clock.stage(Stage.PLAN):
        log_uploads(uploads, context.index)
        found = survey(uploads, context.store, context.index, context.config, context.modules, context.as_of)
        planned = [_as_requested(context, item) for item in found]
        cold = to_thaw(planned, (context.request.instances or None) if context.again else ())
        if not context.request.without_cold:
            check_thawed(cold)
        warn_of_cold(cold)
        warn_of_outdated(planned)
        return [item for item in planned if _is_requested(context, item) or item.account is not None]


def _clean_up(context: RunContext, uploads: Uploads) -> None:
    """Forget the archives that the run left out, and keep the store within its limit, unless others work beside it."""
    forgotten = context.index.drop_all_but(uploads.archives)
    context.index.save()
    if forgotten:
        logger.info("forgot %s: %s", counted(len(forgotten), "removed archive"), ", ".join(forgotten))
    config = context.config
    with alone(config.work) as is_alone:
        if is_alone:
            hold_cap(context.store, context.index, config.store_max_bytes, uploads.archives, config.modules_dir)


def _is_requested(context: RunContext, item: Planned) -> bool:
    requested = context.request.instances
    return not requested or item.archive.instance_id in requested


def _as_requested(context: RunContext, item: Planned) -> Planned:
    """Return an archive as `--recalculate` and `--instance` want it: to be read again, or as it was published."""
    if _is_requested(context, item):
        if context.again and item.key and item.archive.readable:
            return Planned(item.archive, Step.NEW, "--recalculate")
        return item
    before = context.index.remembered(item.archive.instance_id, item.archive.name)
    if item.is_unread and before:
        before = replace(before, incomplete=f"{item.why}, and not asked for")
        known = as_read_before(before, context.store, context.index, context.config)
        return known if known.counts else item
    return item
