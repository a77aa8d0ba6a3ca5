"""The publication of a run: tables, exports and reject files into all sinks, or into none."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from grt_batch.core.errors import CannotWrite, PublishedInPart
from grt_batch.core.timing import Stage
from grt_batch.ledger.ledger import ARCHIVE, archive_rows
from grt_batch.modules.base import Module
from grt_batch.modules.export import Export
from grt_batch.modules.registry import discover
from grt_batch.pipeline.context import RunContext
from grt_batch.pipeline.fingerprints import TableGroup, rendering_program
from grt_batch.pipeline.gate import Gate
from grt_batch.pipeline.keys import REJECT_FILE
from grt_batch.pipeline.reduce_all import ReducedArchives
from grt_batch.pipeline.render import Rendering, RenderOrder, entries_of
from grt_batch.pipeline.request import RunSummary
from grt_batch.pipeline.summary import quarantined, run_row, run_summary
from grt_batch.pipeline.targets import datasources
from grt_batch.schema.parts import Group
from grt_batch.schema.tables import Table
from grt_batch.sinks.made_folder import MakeFolder
from grt_batch.sinks.past_set import PastSet
from grt_batch.sinks.postgres import Publication
from grt_batch.sinks.public_views import Threshold
from grt_batch.sinks.report_set import ReportSet
from grt_batch.sinks.sink import Sink, TableText
from grt_batch.sinks.targets import Databases, Target, Targets


def publish(
    context: RunContext,
    reduced: ReducedArchives,
    targets: Targets,
    gate: Gate | None,
    committed: Callable[[], None] = lambda: None,
    instead_of_databases: Sink | None = None,
    made: Mapping[str, MakeFolder] | None = None,
) -> RunSummary:
    """Publish a run to its targets and as a report set, with the folders that are `made` of its tables, if no `gate`
    holds it back; call `committed` once a database shows it. Without targets there is the report set alone."""
    tables = [ARCHIVE, *(table for module in context.modules for table in module.tables)]
    with _report_set(context) as reports:
        # Before the database is locked: an export may take long.
        _write_reject_files(reports, context, reduced)
        _write_exports(reports, context, reduced)
        with instead_of_databases or _databases(context, targets, tables, committed) as databases:
            sinks = (databases, reports) if targets.left else (reports,)
            _write_tables(sinks, context, reduced)
            _write_exports(databases, context, reduced)
            # The reports first: meanwhile the databases go on.
            reports.wait()
            for name, make in (made or {}).items():
                reports.write_made(name, make)
            databases.wait()
            run = run_row(context.request, reduced.ledger, context.modules)
            if gate:
                gate.judge(context, reports, lambda: run_summary(run, reduced.ledger, context.executor))
            # The databases last, since they lock their readers out.
            for sink in reversed(sinks):
                sink.prepare(run)
            summary = run_summary(run, reduced.ledger, context.executor, targets.outcome)
            for sink in sinks:
                sink.write_summary(summary)
            publish_to_all(sinks, lambda: _note_failed(reports, summary, targets))
    folder = context.config.reports / context.as_of.isoformat()
    return RunSummary(folder, summary, quarantined(reduced.ledger), failed=tuple(targets.failed))


def _note_failed(reports: ReportSet, summary: Mapping[str, Any], targets: Targets) -> None:
    """Correct the summary if a target failed at the last moment."""
    if summary["targets"] != targets.outcome:
        with already_published():
            reports.write_summary({**summary, "targets": targets.outcome})


def _databases(
    context: RunContext, targets: Targets, tables: Sequence[Table], committed: Callable[[], None]
) -> Databases:
    config, rows = context.config, datasources(context.config)

    def sink_of(target: Target) -> Publication:
        return Publication(
            target.url,
            target.wanted(tables),
            lock_timeout_ms=config.lock_timeout_ms,
            lock_tries=config.lock_tries,
            run_id=context.request.run_id,
            known=[table for module in discover(config.modules_dir).values() for table in module.tables],
            threshold=Threshold(config.public_value_jobs, config.public_value_instances),
            clock=context.executor.clock,
            again=context.again,
            published=target.published,
            datasources=rows,
        )

    return Databases(targets, sink_of, committed)


def _report_set(context: RunContext) -> ReportSet:
    config, beside, clock = context.config, context.request.beside, context.executor.clock
    if beside:
        run_id = context.request.run_id
        return PastSet(config.reports, context.as_of, run_id, before=beside.before, again=beside.again, clock=clock)
    exports = (module.name for module in context.modules if isinstance(module, Export))
    return ReportSet(
        config.reports,
        context.as_of,
        context.request.run_id,
        exports,
        defuse=config.tsv_defuse_formulas,
        clock=clock,
    )


def _write_reject_files(sink: Sink, context: RunContext, reduced: ReducedArchives) -> None:
    with context.executor.clock.stage(Stage.TSV, of="rejects"):
        for entry in reduced.ledger.archives:
            if entry.counts:
                content = context.store.get(REJECT_FILE, entry.key) or b""
                sink.write_rejects(entry.archive.instance_id, entry.archive.name, content)


def _write_exports(sink: Sink, context: RunContext, reduced: ReducedArchives) -> None:
    for module in context.modules:
        if isinstance(module, Export):
            sink.write_export(module, reduced.parts[module.name], reduced.ledger)


def _write_tables(sinks: Sequence[Sink], context: RunContext, reduced: ReducedArchives) -> None:
    """Write the parts of tables that have changed, as they come, and keep all others."""
    tables = {table.name: table for module in context.modules for table in module.tables} | {ARCHIVE.name: ARCHIVE}
    unchanged = (TableText(place.table, place.group, parts) for place, parts in reduced.published.unchanged.items())
    for text in chain(unchanged, _rendered(context, reduced)):
        for sink in sinks:
            sink.write_table(tables[text.table], text, reduced.fingerprints[TableGroup(text.table, text.group)])


def _rendered(context: RunContext, reduced: ReducedArchives) -> Iterator[TableText]:
    """Yield the text of the table of archives, then those of the modules that were merged, as ranks render them."""
    ledger, clock, store = reduced.ledger, context.executor.clock, context.store
    changed = [place for place in reduced.fingerprints if place not in reduced.published.unchanged]
    for place in changed:
        if place.table == ARCHIVE.name:
            with clock.stage(Stage.TABLES, of=ARCHIVE.name):
                rows = archive_rows(entries_of(ledger, place.group))
                rendering = _rendering(context, reduced, place.group, [ARCHIVE.name])
                text = rendering.text(ARCHIVE, rows, ledger.config)
                clock.count(Stage.TABLES, text.bytes)
            yield text
    orders = [(module, order) for module in context.modules for order in _orders(context, reduced, module, changed)]
    others = [order for module, order in orders if not module.looks_at_archives]
    # The smallest first: the database takes longer than the ranks, and should start soon.
    others.sort(key=lambda order: sum(store.size(merged.kind, merged.key) for merged in order.merged))
    here = (order.render(ledger, store) for module, order in orders if module.looks_at_archives)
    for outcome in chain(context.carry_out(others), here):
        yield from outcome.texts


def _orders(
    context: RunContext, reduced: ReducedArchives, module: Module, changed: Sequence[TableGroup]
) -> Iterator[RenderOrder]:
    """Yield the orders for the tables of a module that change: one for all tables of all instances together, and one
    for each group of instances."""
    of_instances = {table.name: table.of_instances for table in module.tables}
    found: dict[tuple[Group, bool], list[str]] = {}
    for place in changed:
        if place.table in of_instances:
            found.setdefault((place.group, of_instances[place.table]), []).append(place.table)
    public = {instance.instance_id: instance.metadata.public for instance in reduced.ledger.instances}
    for (group, _), tables in found.items():
        instances = {name: public[name] for name in group.instances or public}
        merged = tuple(merged for merged in reduced.merged[module.name] if merged.instance_id in instances)
        rendering = _rendering(context, reduced, group, tables)
        yield RenderOrder(module.name, merged, reduced.ledger.as_of, instances, tuple(tables), rendering)


def _rendering(context: RunContext, reduced: ReducedArchives, group: Group, tables: Iterable[str]) -> Rendering:
    known = (reduced.published.contents.get(table, frozenset()) for table in tables)
    return Rendering(rendering_program(context.config), group, frozenset().union(*known))


def publish_to_all(sinks: Sequence[Sink], between: Callable[[], None] = lambda: None) -> None:
    """Publish to every sink, and call `between` after the first. Raises the error of the first sink, which then has
    published nothing; where another one fails, publishes to the rest and raises PublishedInPart."""
    first, *others = sinks
    failures = []
    with _signals_ignored():
        first.publish()
        between()
        for sink in others:
            try:
                sink.publish()
            except CannotWrite as error:
                failures.append(error)
    for failure in failures:
        raise PublishedInPart(folder=failure.folder, what=failure.what)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM: the database and the reports must change together, and then the run ends anyway.

    Blocking the signals would not be enough, since threads of the libraries would receive them.
    """
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def already_published() -> Iterator[None]:
    """Turn CannotWrite into PublishedInPart, for writes after the publication."""
    try:
        yield
    except CannotWrite as error:
        raise PublishedInPart(folder=error.folder, what=error.what) from None
