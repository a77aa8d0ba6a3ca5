"""A run: plan, reduce, merge, publish. The one way from archives to tables, however many ranks do the reducing."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from grt_batch import __version__
from grt_batch.clock import Clock, Stage
from grt_batch.config import Config
from grt_batch.contents import contents_of, unchanged
from grt_batch.errors import CannotWrite, Locked, PublishedInPart
from grt_batch.index import Index
from grt_batch.ledger import ARCHIVE, ArchiveEntry, InstanceEntry, Ledger, State, archive_rows
from grt_batch.logs import logger
from grt_batch.modes import make_work
from grt_batch.module import Export, FolderExport, Module, TableExport, chosen
from grt_batch.notices import say_what_is_old, say_what_nobody_knows, say_what_was_found
from grt_batch.partials import Store
from grt_batch.pipeline import REJECTS, redaction_of
from grt_batch.plan import Planned, Step, as_remembered, find, survey
from grt_batch.reduction import Crew, Reduced, Reduction
from grt_batch.rendering import RenderOrder, Text, text_of
from grt_batch.sinks.postgres import Publication
from grt_batch.sinks.public import Threshold
from grt_batch.sinks.tsv import ReportSet
from grt_batch.upkeep import hold_cap
from grt_batch.uploads import Uploads


@dataclass(frozen=True)
class Request:
    """What a run was asked for."""

    config: Config
    as_of: date
    modules: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    recalculate: bool = False
    forget: bool = False
    ranks: int = 1
    run_id: str = ""
    started: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))


@dataclass(frozen=True)
class Summary:
    """What a run did. `quarantined` are (instance, archive, reason)."""

    folder: Path
    numbers: Mapping[str, Any]
    quarantined: tuple[tuple[str, str, str], ...]


def new_run_id(started: datetime) -> str:
    """A name for a run: its start, and enough chance that two runs never share it."""
    return f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


@contextmanager
def lock(work: Path) -> Iterator[None]:
    """Hold the lock of a work folder. The kernel frees it when its holder ends, however that comes.

    Raises Locked where another run has it, and CannotWrite.
    """
    make_work(work)
    try:
        file = (work / "lock").open("a+")
    except OSError as error:
        raise CannotWrite(folder=work, what=error.strerror or error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Locked(holder=file.read().strip() or "unknown", work=work) from None
        holder = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        # On a full disk the lock holds all the same: who makes room there needs it.
        with suppress(OSError):
            file.truncate(0)
            os.write(file.fileno(), holder.encode())
        yield


def execute(
    request: Request,
    crew: Crew,
    database: Callable[[], AbstractContextManager[str]],
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]] = lambda _: nullcontext(lambda _: None),
    *,
    select: Callable[[Uploads], Uploads] = lambda uploads: uploads,
    sink: Callable[..., Any] = Publication,
) -> Summary:
    """Carry out a run, holding the lock. `database` opens the server and gives its URL; `progress` is told how many
    bytes there are, and gives what to tell of those that are done. A verification selects the archives that it reads,
    and has a sink of its own.

    Raises GrtError; then nothing was published, but for CommitUnknown and PublishedInPart.
    """
    config, clock = request.config, crew.clock
    # Better now than in a rank.
    redaction_of(config)
    modules = chosen(request.modules)
    store = Store(config.work / "store", clock)
    store.tidy()
    index = Index(config.work, config.uploads)
    uploads = select(find(config, index, request.instances, forget=request.forget))
    with clock.stage(Stage.PLAN):
        say_what_was_found(uploads, index)
        planned = survey(uploads, store, index, config, modules, request.as_of)
        planned = [_asked_for(item, request, store, index) for item in planned]
        say_what_is_old(planned)
        planned = [item for item in planned if _is_known_or_asked_for(item, request)]
    reduction = Reduction(config, modules, store, crew, index, request.as_of, again=request.recalculate)
    with database() as url:

        def known(entries: Entries, contents: Mapping[str, str]) -> Collection[str]:
            """The modules whose tables there are, made of the same."""
            ledger = _ledger(request, uploads, entries)
            # Now, not when it is published: until then archives may go.
            index.learn(ledger)
            index.save()
            wanted = contents_of(modules, contents, ledger)
            return () if request.recalculate else unchanged(modules, wanted, config.reports, request.as_of, url)

        with clock.stage(Stage.REDUCE), progress(sum(p.archive.bytes for p in planned if p.must_be_read)) as tell:
            reduced = reduction.reduce(planned, tell, known)
        ledger = _ledger(request, uploads, reduced.entries)
        if not request.forget:
            say_what_nobody_knows(config.reports, ledger)
        summary = _publish(request, ledger, modules, reduced, crew, store, url, sink)
    with _published():
        forgotten = index.drop_all_but(uploads.archives)
        index.save()
    if forgotten:
        logger.info("%d archives that are gone were forgotten: %s", len(forgotten), ", ".join(forgotten))
    with _published():
        hold_cap(store, index, config.store_max_bytes, uploads.archives)
    return summary


def _asked_for(item: Planned, request: Request, store: Store, index: Index) -> Planned:
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


def _is_known_or_asked_for(item: Planned, request: Request) -> bool:
    """With --instance, other instances keep what was read of them before; nothing more is read of them."""
    return not request.instances or item.archive.instance_id in request.instances or item.account is not None


Entries = Mapping[str, Sequence[ArchiveEntry]]


def _ledger(request: Request, uploads: Uploads, entries: Entries) -> Ledger:
    instances = (
        InstanceEntry(instance.instance_id, instance.metadata, tuple(entries[instance.instance_id]))
        for instance in uploads.instances
        if instance.instance_id in entries
    )
    return Ledger(request.as_of, request.config, tuple(instances))


def _texts(modules: Sequence[Module], reduced: Reduced, ledger: Ledger, crew: Crew, store: Store) -> Iterator[Text]:
    """The table of archives and those of the modules that are merged, as they come."""
    with crew.clock.stage(Stage.TABLES, of=ARCHIVE.name):
        text = text_of(ARCHIVE, ARCHIVE.frame(archive_rows(ledger)), ledger.config)
        crew.clock.count(Stage.TABLES, text.bytes)
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
    for outcome in chain(crew.carry_out(others, ledger.config, store, lambda _: None), here):
        yield from outcome.texts


def _publish(
    request: Request,
    ledger: Ledger,
    modules: Sequence[Module],
    reduced: Reduced,
    crew: Crew,
    store: Store,
    url: str,
    sink: Callable[..., Any],
) -> Summary:
    config, clock, beside = request.config, crew.clock, Clock(time.thread_time)
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
    contents = contents_of(modules, reduced.contents, ledger)
    there = reduced.contents.keys() - reduced.merged.keys()
    texts = _texts(modules, reduced, ledger, crew, store)
    tables = {table.name: table for table in (ARCHIVE, *(table for module in modules for table in module.tables))}
    with ReportSet(config.reports, request.as_of, request.run_id, (export.name for export, _ in exports)) as reports:
        with clock.stage(Stage.TSV, of="rejects"):
            for entry in published:
                content = store.get(REJECTS, entry.key) or b""
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
            numbers = _numbers(request, ledger, run, crew, finished)
            reports.write_summary({**numbers, "contents": contents})
            reports.ready()
            with _signals_held_back():
                publication.commit()
                with _published():
                    folder = reports.publish()
    quarantined = tuple(
        (entry.archive.instance_id, entry.archive.name, entry.reason or "")
        for entry in ledger.archives
        if entry.state is State.QUARANTINED
    )
    return Summary(folder, numbers, quarantined)


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
def _published() -> Iterator[None]:
    """What cannot be written from now on takes nothing back. Raises PublishedInPart."""
    try:
        yield
    except CannotWrite as error:
        raise PublishedInPart(**error.details) from None


def _numbers(
    request: Request,
    ledger: Ledger,
    run: Mapping[str, Any],
    crew: Crew,
    finished: datetime,
) -> dict[str, Any]:
    """run.json: what was read and accounted for, and what it took."""
    states = {state.value: 0 for state in State}
    for entry in ledger.archives:
        states[entry.state.value] += 1
    published = [entry for entry in ledger.archives if entry.counts]
    removed = sum(entry.removed for entry in ledger.archives)
    accounts = [entry.account for entry in published if entry.account]
    memory, stages = crew.peak_memory(), crew.stages()
    all_ranks: Counter[str] = Counter()
    for rank in stages:
        all_ranks.update(rank["seconds"])
    return {
        **run,
        "started": f"{request.started:%Y-%m-%d %H:%M:%S.%f}",
        "finished": f"{finished:%Y-%m-%d %H:%M:%S.%f}",
        "as_of": request.as_of.isoformat(),
        "ranks_lost": crew.ranks_lost(),
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
        "seconds": {stage.value: round(seconds, 3) for stage, seconds in crew.clock.whole.items()},
        "seconds_of_all_ranks": {stage: round(seconds, 3) for stage, seconds in sorted(all_ranks.items())},
        "peak_memory_bytes": {"sum": sum(memory), "largest": max(memory)},
        "stages": stages,
    }
