"""From merged partials to the text of a module's tables, by any rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl

from grt_batch.aggregate.measures import Cube
from grt_batch.core.config import Config
from grt_batch.core.digest import digest
from grt_batch.core.errors import StoreDamaged
from grt_batch.core.memory import give_back
from grt_batch.core.timing import Stage
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import Counted, Module, Partial, concat_instances
from grt_batch.modules.registry import discover
from grt_batch.pipeline.merge import MergedEntry
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.schema.parts import WHOLE, Group, by_group, by_instance, cut, rows_digest
from grt_batch.schema.tables import Table, defused, render
from grt_batch.sinks.sink import PartText, Piece, TableText
from grt_batch.store.store import Store
from grt_batch.uploads.metadata import InstanceMetadata
from grt_batch.uploads.scan import Archive


@dataclass(frozen=True)
class RenderOutcome:
    """The text of tables of a module."""

    module: str
    texts: tuple[TableText, ...]


@dataclass(frozen=True)
class Rendering:
    """How rows become text: of which group of instances they are, and which code writes them (a digest). The text of
    parts whose content is `known` is not needed."""

    program: str
    group: Group = WHOLE
    known: frozenset[str] = frozenset()

    def text(self, table: Table, rows: pl.DataFrame, config: Config) -> TableText:
        """Return the rows of a table, checked and in order, as text, part by part."""
        return TableText(table.name, self.group, tuple(self._parts(table, table.frame(rows), config)))

    def _parts(self, table: Table, frame: pl.DataFrame, config: Config) -> Iterator[PartText]:
        groups = [(self.group, frame)][: frame.height] if table.of_instances else by_group(table, frame)
        for group, rows in groups:
            for years, part in cut(table, rows):
                # A digest of rows takes a fraction of the time that their text takes.
                content = digest(table, group, years, self.program, rows_digest(part))
                known = content in self.known
                pieces = None if known else tuple(_pieces(table, part, config))
                yield PartText(content, years, pieces, group)


@dataclass(frozen=True)
class RenderOrder:
    """Render tables of a module: for a group of instances those that are `of_instances`, otherwise the others.

    `instances` says of each instance whether it is public.
    """

    module: str
    merged: tuple[MergedEntry, ...]
    as_of: date
    instances: dict[str, bool]
    tables: tuple[str, ...]
    rendering: Rendering
    bytes: int = 0

    @property
    def place(self) -> str:
        """Return what the order is about, for error messages."""
        group = self.rendering.group
        return f"the tables of {self.module}" + (f" for {group.name}" if group.instances else "")

    def carry_out(
        self, config: Config, store: Store, run_tasks: RunTasks, progress: Callable[[int], None]
    ) -> RenderOutcome:
        """Render the tables as a rank that knows no archives. Raises StoreDamaged."""
        del run_tasks, progress
        instances = (_known_by_any_rank(name, public=public) for name, public in self.instances.items())
        return self.render(Ledger(self.as_of, config, tuple(instances)), store)

    def render(self, ledger: Ledger, store: Store) -> RenderOutcome:
        """Render the tables. For a module that looks at archives the ledger must have them. Raises StoreDamaged."""
        clock = store.clock
        with clock.stage(Stage.TABLES, of=self.place):
            module = discover(ledger.config.modules_dir)[self.module]
            rows = self._rows(module, ledger_for(module, ledger), store)
            texts = tuple(
                self.rendering.text(table, rows.pop(table.name), ledger.config)
                for table in module.tables
                if table.name in self.tables
            )
            clock.count(Stage.TABLES, sum(text.bytes for text in texts))
        return RenderOutcome(self.module, texts)

    def _rows(self, module: Module, ledger: Ledger, store: Store) -> dict[str, pl.DataFrame]:
        group = self.rendering.group
        of_instances = any(table.of_instances for table in module.tables if table.name in self.tables)
        cubes = [cube for cube in module.cubes if not (of_instances and cube.windowed)]
        partial = self._load(module, cubes, group.instances if of_instances else self.instances, store)
        loaded = sum(columns.bytes for columns in partial.columns.values())
        give_back(loaded)
        if of_instances:
            rows = module.instance_rows(partial, entries_of(ledger, group))
        else:
            rows = module.rows(partial, ledger)
        del partial
        give_back(loaded)
        return rows

    def _load(self, module: Module, cubes: Sequence[Cube], instances: Iterable[str], store: Store) -> Partial:
        """Return cubes of these instances as one partial, with the column `instance_id`."""
        counted: dict[str, Counted] = {name: {cube.name: cube.empty() for cube in cubes} for name in instances}
        wanted = {cube.name for cube in cubes}
        for merged in self.merged:
            if merged.instance_id not in counted or not wanted.intersection(merged.cubes):
                continue
            found = merged.load(store, module)
            if found is None:
                # Other tables may be written already: this run ends, and the next one makes the entry again.
                store.drop(merged.kind, merged.key)
                raise StoreDamaged(store=store.root)
            counted[merged.instance_id].update(found)
        return concat_instances(cubes, counted)


def _pieces(table: Table, rows: pl.DataFrame, config: Config) -> Iterator[Piece]:
    for instance_id, part in by_instance(table, rows):
        text = tuple(render(table, part))
        report = tuple(render(table, defused(table, part))) if config.tsv_defuse_formulas else text
        yield Piece(instance_id, text, report)


def ledger_for(module: Module, ledger: Ledger) -> Ledger:
    """Return the part of a ledger that the rows of a module may depend on, which its fingerprint covers."""
    config = replace(Config(), **{key: getattr(ledger.config, key) for key in module.settings})
    show = without_paths if module.looks_at_archives else without_archives
    return Ledger(ledger.as_of, config, tuple(map(show, ledger.instances)))


def entries_of(ledger: Ledger, group: Group) -> list[InstanceEntry]:
    """Return what a ledger has of the instances of a group."""
    return [instance for instance in ledger.instances if instance.instance_id in group.instances]


def without_paths(instance: InstanceEntry) -> InstanceEntry:
    """Return an instance whose archives do not say where their bytes are, and since when."""
    archives = tuple(replace(entry, archive=_anywhere(entry.archive), key="") for entry in instance.archives)
    return replace(instance, archives=archives)


def _anywhere(archive: Archive) -> Archive:
    return replace(archive, tar=Path(), stamp=(0, 0, 0), doubts=(), cold=None, is_cold=False)


def without_archives(instance: InstanceEntry) -> InstanceEntry:
    """Return what a rank without archives knows of an instance."""
    return _known_by_any_rank(instance.instance_id, public=instance.metadata.public)


def _known_by_any_rank(instance_id: str, *, public: bool) -> InstanceEntry:
    return InstanceEntry(instance_id, InstanceMetadata(public=public), ())
