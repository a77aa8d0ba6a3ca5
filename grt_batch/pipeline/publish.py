"""The publication of a run: rows into the database and the report set, all or nothing."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from grt_batch import __version__
from grt_batch.core.errors import CannotWrite, PublishedInPart
from grt_batch.core.timing import Clock, Stage
from grt_batch.ledger.ledger import ARCHIVE, Ledger, State, archive_rows
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export, FolderExport, TableExport
from grt_batch.modules.registry import discover
from grt_batch.pipeline.executor import Executor
from grt_batch.pipeline.fingerprints import table_fingerprints
from grt_batch.pipeline.keys import REJECT_FILE
from grt_batch.pipeline.reduce_all import Reduced
from grt_batch.pipeline.render import RenderOrder, Text, table_text
from grt_batch.pipeline.request import RunRequest, RunSummary
from grt_batch.sinks.public_views import Threshold
from grt_batch.sinks.report_set import ReportSet
from grt_batch.store.store import Store


def _texts(
    modules: Sequence[Module], reduced: Reduced, ledger: Ledger, executor: Executor, store: Store
) -> Iterator[Text]:
    """The table of archives and those of the modules that are merged, as they come."""
    with executor.clock.stage(Stage.TABLES, of=ARCHIVE.name):
        text = table_text(ARCHIVE, ARCHIVE.frame(archive_rows(ledger)), ledger.config)
        executor.clock.count(Stage.TABLES, text.bytes)
    yield text
    public = {instance.instance_id: instance.metadata.public for instance in ledger.instances}
    orders = {
        module: RenderOrder(module.name, tuple(reduced.merged[module.name]), ledger.as_of, public)
        for module in modules
        if module.name in reduced.merged
    }
    others = [order for module, order in orders.items() if not module.looks_at_archives]
    # The smallest first: the database, which takes longer than the ranks, has something to do soon.
    others.sort(key=lambda order: sum(store.size(merged.kind, merged.key) for merged in order.merged))
    here = (order.render(ledger, store) for module, order in orders.items() if module.looks_at_archives)
    for outcome in chain(executor.carry_out(others, ledger.config, store, lambda _: None), here):
        yield from outcome.texts


def publish(
    request: RunRequest,
    ledger: Ledger,
    modules: Sequence[Module],
    reduced: Reduced,
    executor: Executor,
    store: Store,
    url: str,
    sink: Callable[..., Any],
) -> RunSummary:
    """Publish the tables, exports and reject files of a run, in the database and in the report set."""
    config, clock, beside = request.config, executor.clock, Clock(time.thread_time)
    beside.recording = clock.recording
    published = [entry for entry in ledger.archives if entry.counts]
    run = {
        "run_id": request.run_id,
        "started": request.started,
        "ranks": request.ranks,
        "version": __version__,
        "modules": " ".join(module.name for module in modules),
        "archives": len(published),
        "jobs": sum(entry.jobs for entry in published),
        "state": "published",
    }
    exports = [(module, reduced.parts[module.name]) for module in modules if isinstance(module, Export)]
    contents = table_fingerprints(modules, reduced.contents, ledger)
    there = reduced.contents.keys() - reduced.merged.keys()
    texts = _texts(modules, reduced, ledger, executor, store)
    tables = {table.name: table for table in (ARCHIVE, *(table for module in modules for table in module.tables))}
    with ReportSet(config.reports, request.as_of, request.run_id, (export.name for export, _ in exports)) as reports:
        with clock.stage(Stage.TSV, of="rejects"):
            for entry in published:
                content = store.get(REJECT_FILE, entry.key) or b""
                place = entry.archive.instance_id, entry.archive.name
                reports.write_rejects(*place, content, defuse=config.tsv_defuse_formulas)
        with clock.stage(Stage.EXPORT):
            for export, parts in exports:
                if isinstance(export, FolderExport):
                    reports.export(export, parts, ledger)
        with sink(
            url,
            list(tables.values()),
            lock_timeout_ms=config.lock_timeout_ms,
            lock_tries=config.lock_tries,
            run_id=request.run_id,
            known=[table for module in discover(config.modules_dir).values() for table in module.tables],
            threshold=Threshold(config.public_value_jobs, config.public_value_instances),
            clock=beside,
        ) as publication:
            for text in texts:
                with clock.stage(Stage.WAITING, of=f"COPY before {text.table}"):
                    publication.copy(tables[text.table], text.copy, contents[text.table])
                with clock.stage(Stage.TSV, text.bytes, text.table):
                    reports.write(tables[text.table], text.report)
            for table in (table for module in modules for table in module.tables if module.name in there):
                reports.keep(table)
                publication.keep(table, contents[table.name])
            for export, parts in exports:
                if isinstance(export, TableExport):
                    with clock.stage(Stage.COPY, of=export.name):
                        publication.copy_parts(export.tables, parts)
            with clock.stage(Stage.WAITING, of="COPY"):
                publication.wait()
            finished = datetime.now(UTC).replace(tzinfo=None)
            with clock.stage(Stage.SWAP):
                publication.swap({**run, "finished": finished})
            clock.add(beside)
            numbers = _numbers(request, ledger, run, executor, finished)
            reports.write_summary({**numbers, "fingerprints": contents})
            reports.ready()
            with _signals_held_back():
                publication.commit()
                with already_published():
                    folder = reports.publish()
    quarantined = tuple(
        (entry.archive.instance_id, entry.archive.name, entry.reason or "")
        for entry in ledger.archives
        if entry.state is State.QUARANTINED
    )
    return RunSummary(folder, numbers, quarantined)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Ctrl-C and the request to end come too late: the database and the reports change together, and the run ends.

    To block the signals would not do: the libraries' threads would get them.
    """
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def already_published() -> Iterator[None]:
    """What cannot be written from now on takes nothing back. Raises PublishedInPart."""
    try:
        yield
    except CannotWrite as error:
        raise PublishedInPart(**error.details) from None


def _numbers(
    request: RunRequest,
    ledger: Ledger,
    run: Mapping[str, Any],
    executor: Executor,
    finished: datetime,
) -> dict[str, Any]:
    """run.json: what was read and accounted for, and what it took."""
    states = {state.value: 0 for state in State}
    for entry in ledger.archives:
        states[entry.state.value] += 1
    published = [entry for entry in ledger.archives if entry.counts]
    removed = sum(entry.removed for entry in ledger.archives)
    accounts = [entry.account for entry in published if entry.account]
    memory, stages = executor.peak_memory(), executor.stages()
    all_ranks: Counter[str] = Counter()
    for rank in stages:
        all_ranks.update(rank["seconds"])
    return {
        **run,
        "started": f"{request.started:%Y-%m-%d %H:%M:%S.%f}",
        "finished": f"{finished:%Y-%m-%d %H:%M:%S.%f}",
        "as_of": request.as_of.isoformat(),
        "ranks_lost": executor.ranks_lost(),
        "modules": run["modules"].split(),
        "archives": {"found": sum(states.values()) - removed, **states, "removed": removed},
        "lines": sum(account.total("lines") for account in accounts),
        "accepted": sum(account.total("accepted") for account in accounts),
        "salvaged": sum(account.total("salvaged") for account in accounts),
        "rejected": sum(account.total("rejected") for account in accounts),
        "fragments": sum(account.total("fragments") for account in accounts),
        "orphans": sum(account.total("orphans") for account in accounts),
        "replaced": sum(account.replaced for account in accounts),
        "redacted": sum(account.total("redacted") for account in accounts),
        "superseded": sum(entry.superseded for entry in published),
        "bytes": sum(account.bytes for account in accounts),
        "text_bytes": sum(account.text_bytes for account in accounts),
        "seconds": {stage.value: round(seconds, 3) for stage, seconds in executor.clock.whole.items()},
        "seconds_of_all_ranks": {stage: round(seconds, 3) for stage, seconds in sorted(all_ranks.items())},
        "peak_memory_bytes": {"sum": sum(memory), "largest": max(memory)},
        "stages": stages,
    }
