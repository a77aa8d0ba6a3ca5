"""A run: plan, reduce, merge, publish. The one way from archives to tables, however many ranks do the reducing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from grt_batch.core.logs import logger
from grt_batch.core.timing import Stage
from grt_batch.ledger.ledger import ArchiveEntry, InstanceEntry, Ledger
from grt_batch.modules.registry import chosen
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.fingerprints import table_fingerprints, unchanged_modules
from grt_batch.pipeline.gc import hold_cap
from grt_batch.pipeline.notices import say_what_is_old, say_what_nobody_knows, say_what_was_found
from grt_batch.pipeline.plan import Planned, Step, as_remembered, find_uploads, survey
from grt_batch.pipeline.publish import already_published, publish
from grt_batch.pipeline.read import redaction_of
from grt_batch.pipeline.reduce_all import Reduction
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.sinks.postgres import Publication
from grt_batch.store.archive_index import ArchiveIndex
from grt_batch.store.store import Store
from grt_batch.uploads.scan import Uploads


def execute(
    request: RunRequest,
    executor: Executor,
    database: Callable[[], AbstractContextManager[str]],
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]] = lambda _: nullcontext(lambda _: None),
    *,
    select: Callable[[Uploads], Uploads] = lambda uploads: uploads,
    sink: Callable[..., Any] = Publication,
) -> RunSummary:
    """Carry out a run, holding the lock. `database` opens the server and gives its URL; `progress` is told how many
    bytes there are, and gives what to tell of those that are done. A verification selects the archives that it reads,
    and has a sink of its own.

    Raises GrtError; then nothing was published, but for CommitUnknown and PublishedInPart.
    """
    config, clock = request.config, executor.clock
    # Better now than in a rank.
    redaction_of(config)
    modules = chosen(request.modules, config.modules_dir)
    store = Store(config.work / "store", clock)
    store.tidy()
    index = ArchiveIndex(config.work, config.uploads)
    uploads = select(find_uploads(config, index, request.instances, forget=request.forget))
    with clock.stage(Stage.PLAN):
        say_what_was_found(uploads, index)
        planned = survey(uploads, store, index, config, modules, request.as_of)
        planned = [_asked_for(item, request, store, index) for item in planned]
        say_what_is_old(planned)
        planned = [item for item in planned if _is_known_or_asked_for(item, request)]
    reduction = Reduction(config, modules, store, executor, index, request.as_of, again=request.recalculate)
    with database() as url:

        def known(entries: Entries, contents: Mapping[str, str]) -> Collection[str]:
            """The modules whose tables there are, made of the same."""
            ledger = _ledger(request, uploads, entries)
            # Now, not when it is published: until then archives may go.
            index.learn(ledger)
            index.save()
            wanted = table_fingerprints(modules, contents, ledger)
            return () if request.recalculate else unchanged_modules(modules, wanted, config.reports, request.as_of, url)

        with clock.stage(Stage.REDUCE), progress(sum(p.archive.bytes for p in planned if p.must_be_read)) as tell:
            reduced = reduction.reduce(planned, tell, known)
        ledger = _ledger(request, uploads, reduced.entries)
        if not request.forget:
            say_what_nobody_knows(config.reports, ledger)
        summary = publish(request, ledger, modules, reduced, executor, store, url, sink)
    with already_published():
        forgotten = index.drop_all_but(uploads.archives)
        index.save()
    if forgotten:
        logger.info("%d archives that are gone were forgotten: %s", len(forgotten), ", ".join(forgotten))
    with already_published():
        hold_cap(store, index, config.store_max_bytes, uploads.archives, config.modules_dir)
    return summary


def _asked_for(item: Planned, request: RunRequest, store: Store, index: ArchiveIndex) -> Planned:
    """With --recalculate, what is known of an archive is forgotten. With --instance, what is known of those of other
    instances is all that there is, even where there is something else now."""
    asked = not request.instances or item.archive.instance_id in request.instances
    if request.recalculate and asked and item.key and not item.archive.remembered:
        return Planned(item.archive, Step.NEW, "--recalculate")
    before = None if asked else index.remembered(item.archive.instance_id, item.archive.name)
    if item.must_be_read and before:
        before = replace(before, incomplete=f"{item.why}, and not asked for")
        known = as_remembered(before, store, index, request.config)
        return known if known.counts else item
    return item


def _is_known_or_asked_for(item: Planned, request: RunRequest) -> bool:
    """With --instance, other instances keep what was read of them before; nothing more is read of them."""
    return not request.instances or item.archive.instance_id in request.instances or item.account is not None


Entries = Mapping[str, Sequence[ArchiveEntry]]


def _ledger(request: RunRequest, uploads: Uploads, entries: Entries) -> Ledger:
    instances = (
        InstanceEntry(instance.instance_id, instance.metadata, tuple(entries[instance.instance_id]))
        for instance in uploads.instances
        if instance.instance_id in entries
    )
    return Ledger(request.as_of, request.config, tuple(instances))
