"""A run: plan, reduce, merge, publish. The one way from archives to tables, however many ranks do the reducing."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from grt_batch import __version__
from grt_batch.config import Config
from grt_batch.errors import CannotWrite, Locked
from grt_batch.ledger import ARCHIVE, InstanceEntry, Ledger, State, archive_rows
from grt_batch.logs import logger
from grt_batch.module import ArchiveParts, Export, FolderExport, Module, Partial, TableExport, chosen
from grt_batch.partials import Store
from grt_batch.pipeline import REJECTS, Clock
from grt_batch.plan import Index, Planned, Step, survey
from grt_batch.reduction import Crew, Reduction
from grt_batch.sinks.postgres import Publication
from grt_batch.sinks.tsv import ReportSet
from grt_batch.tables import Table
from grt_batch.uploads import Uploads, scan


@dataclass(frozen=True)
class Request:
    """What a run was asked for."""

    config: Config
    as_of: date
    modules: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    recalculate: bool = False
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
    try:
        work.mkdir(parents=True, exist_ok=True)
        file = (work / "lock").open("a+")
    except OSError as error:
        raise CannotWrite(folder=work, what=error.strerror) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Locked(holder=file.read().strip() or "unknown", work=work) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        file.flush()
        yield


def execute(
    request: Request,
    crew: Crew,
    database: Callable[[], AbstractContextManager[str]],
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]] = lambda _: nullcontext(lambda _: None),
) -> Summary:
    """Carry out a run, holding the lock. `database` opens the server and gives its URL; `progress` is told how many
    bytes there are, and gives what to tell of those that are done.

    Raises GrtError; then nothing was published.
    """
    config, clock = request.config, Clock()
    modules = chosen(request.modules)
    store = Store(config.work / "store")
    store.tidy()
    uploads = scan(config.uploads, settle_seconds=config.settle_seconds)
    with clock.stage("plan"):
        _check_instances(uploads, request)
        index = Index(config.work / "index.json")
        planned = survey(uploads, store, index, config, modules)
        planned = [_asked_for(item, request) for item in planned]
        planned = [item for item in planned if _is_known_or_asked_for(item, request)]
    reduction = Reduction(config, modules, store, crew, index, request.as_of, again=request.recalculate)
    with clock.stage("reduce"), progress(sum(p.archive.bytes for p in planned if p.must_be_read)) as tell:
        reduced = reduction.reduce(planned, tell)
    ledger = Ledger(
        request.as_of,
        config,
        tuple(
            InstanceEntry(instance.instance_id, instance.metadata, tuple(reduced.entries[instance.instance_id]))
            for instance in uploads.instances
            if instance.instance_id in reduced.entries
        ),
    )
    with clock.stage("tables"):
        tables = _tables(modules, reduced.merged, ledger)
    exports = [(module, reduced.parts[module.name]) for module in modules if isinstance(module, Export)]
    return _publish(request, ledger, tables, exports, modules, crew, store, database, clock, reduction.seconds)


def _check_instances(uploads: Uploads, request: Request) -> None:
    """Say what was found that is no archive; raise NothingToRead for an instance that is not there."""
    if not set(request.instances) <= {instance.instance_id for instance in uploads.instances}:
        scan(request.config.uploads, only=request.instances)
    for line in uploads.passed_over:
        logger.info("passed over %s", line)
    for instance in uploads.instances:
        if instance.metadata.problem:
            logger.warning(instance.metadata.problem, extra={"instance": instance.instance_id})


def _asked_for(item: Planned, request: Request) -> Planned:
    """With --recalculate, what is known of an archive is forgotten."""
    asked = not request.instances or item.archive.instance_id in request.instances
    if request.recalculate and asked and item.key:
        return Planned(item.archive, Step.NEW, "--recalculate")
    return item


def _is_known_or_asked_for(item: Planned, request: Request) -> bool:
    """With --instance, other instances keep what was read of them before; nothing more is read of them."""
    return not request.instances or item.archive.instance_id in request.instances or item.account is not None


def _tables(
    modules: Sequence[Module], merged: Mapping[str, Partial], ledger: Ledger
) -> list[tuple[Table, pl.DataFrame]]:
    tables = [(ARCHIVE, ARCHIVE.frame(archive_rows(ledger)))]
    for module in modules:
        if isinstance(module, Export):
            continue
        rows = module.rows(merged[module.name], ledger)
        tables += [(table, table.frame(rows[table.name])) for table in module.tables]
    return tables


def _publish(
    request: Request,
    ledger: Ledger,
    tables: Sequence[tuple[Table, pl.DataFrame]],
    exports: Sequence[tuple[Export, Sequence[ArchiveParts]]],
    modules: Sequence[Module],
    crew: Crew,
    store: Store,
    database: Callable[[], AbstractContextManager[str]],
    clock: Clock,
    reducing: Mapping[str, float],
) -> Summary:
    config = request.config
    published = [entry for entry in ledger.archives if entry.state is State.PUBLISHED]
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
    with (
        ReportSet(config.reports, request.as_of, request.run_id, (export.name for export, _ in exports)) as reports,
        database() as url,
    ):
        with clock.stage("tsv"):
            for table, frame in tables:
                reports.write(table, frame)
            for entry in published:
                content = store.get(REJECTS, entry.key) or b""
                reports.write_rejects(entry.archive.instance_id, entry.archive.name, content)
        with clock.stage("export"):
            for export, parts in exports:
                if isinstance(export, FolderExport):
                    reports.export(export, parts, ledger)
        with Publication(
            url,
            [table for table, _ in tables],
            [table for export, _ in exports for table in export.tables],
            lock_timeout_ms=config.lock_timeout_ms,
            lock_tries=config.lock_tries,
            run_id=request.run_id,
        ) as publication:
            with clock.stage("copy"):
                for table, frame in tables:
                    publication.copy(table, frame)
                for export, parts in exports:
                    if isinstance(export, TableExport):
                        publication.copy_parts(export.tables, parts)
            finished = datetime.now(UTC).replace(tzinfo=None)
            numbers = _numbers(request, ledger, run, crew, clock, reducing, finished)
            reports.write_summary(numbers)
            publication.swap({**run, "finished": finished})
            with _signals_held_back():
                publication.commit()
                folder = reports.publish()
    quarantined = tuple(
        (entry.archive.instance_id, entry.archive.name, entry.reason or "")
        for entry in ledger.archives
        if entry.state is State.QUARANTINED
    )
    return Summary(folder, numbers, quarantined)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Ctrl-C and the request to end wait until the block is left: the database and the reports change together."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _numbers(
    request: Request,
    ledger: Ledger,
    run: Mapping[str, Any],
    crew: Crew,
    clock: Clock,
    reducing: Mapping[str, float],
    finished: datetime,
) -> dict[str, Any]:
    """run.json: what was read and accounted for, and what it took."""
    states = {state.value: 0 for state in State}
    for entry in ledger.archives:
        states[entry.state.value] += 1
    published = [entry for entry in ledger.archives if entry.state is State.PUBLISHED]
    accounts = [entry.account for entry in published if entry.account]
    memory = crew.peak_memory()
    return {
        **run,
        "started": f"{request.started:%Y-%m-%d %H:%M:%S.%f}",
        "finished": f"{finished:%Y-%m-%d %H:%M:%S.%f}",
        "as_of": request.as_of.isoformat(),
        "modules": run["modules"].split(),
        "archives": {"found": sum(states.values()), **states},
        "lines": sum(account.total("lines") for account in accounts),
        "accepted": sum(account.total("accepted") for account in accounts),
        "salvaged": sum(account.total("salvaged") for account in accounts),
        "rejected": sum(account.total("rejected") for account in accounts),
        "fragments": sum(account.total("fragments") for account in accounts),
        "orphans": sum(account.total("orphans") for account in accounts),
        "replaced": sum(account.replaced for account in accounts),
        "superseded": sum(entry.superseded for entry in published),
        "bytes": sum(account.bytes for account in accounts),
        "text_bytes": sum(account.text_bytes for account in accounts),
        "seconds": {stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
        "seconds_of_all_ranks": {stage: round(seconds, 3) for stage, seconds in sorted(reducing.items())},
        "peak_memory_bytes": {"sum": sum(memory), "largest": max(memory)},
    }
