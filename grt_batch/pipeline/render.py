"""From merged partials to the text of a module's tables, by any rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl

from grt_batch.core.config import Config
from grt_batch.core.errors import StoreDamaged
from grt_batch.core.timing import Stage
from grt_batch.ledger.ledger import InstanceEntry, Ledger
from grt_batch.modules.base import Counted, Module, Partial, concat_instances
from grt_batch.modules.registry import discover
from grt_batch.pipeline.merge import MergedEntry
from grt_batch.pipeline.tasks import RunTasks
from grt_batch.schema.tables import Table, defused, render
from grt_batch.sinks.sink import TableText
from grt_batch.store.store import Store
from grt_batch.uploads.metadata import InstanceMetadata


@dataclass(frozen=True)
class RenderOutcome:
    """The text of the tables of a module."""

    module: str
    texts: tuple[TableText, ...]


@dataclass(frozen=True)
class RenderOrder:
    """Render the tables of a module; `instances` says of each instance whether it is public."""

    module: str
    merged: tuple[MergedEntry, ...]
    as_of: date
    instances: dict[str, bool]
    bytes: int = 0

    @property
    def place(self) -> str:
        """Return what the order is about, for error messages."""
        return f"the tables of {self.module}"

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
        with clock.stage(Stage.TABLES, of=self.module):
            module = discover(ledger.config.modules_dir)[self.module]
            rows = module.rows(self._load(module, store), ledger_for(module, ledger))
            texts = tuple(table_text(table, rows.pop(table.name), ledger.config) for table in module.tables)
            clock.count(Stage.TABLES, sum(text.bytes for text in texts))
        return RenderOutcome(self.module, texts)

    def _load(self, module: Module, store: Store) -> Partial:
        """Return the partials of all instances as one, with the column `instance_id`."""
        counted: dict[str, Counted] = {name: module.empty() for name in self.instances}
        for merged in self.merged:
            cubes = merged.load(store)
            if cubes is None:
                # Other tables may be written already: this run ends, and the next one makes the entry again.
                store.drop(merged.kind, merged.key)
                raise StoreDamaged(store=store.root)
            counted[merged.instance_id].update(cubes)
        return concat_instances(module.cubes, counted)


def table_text(table: Table, rows: pl.DataFrame, config: Config) -> TableText:
    """Return the rows of a table, checked and in order, as text."""
    frame = table.frame(rows)
    text = tuple(render(table, frame))
    return TableText(
        table.name, text, tuple(render(table, defused(table, frame))) if config.tsv_defuse_formulas else text
    )


def ledger_for(module: Module, ledger: Ledger) -> Ledger:
    """Return the part of a ledger that the rows of a module may depend on, which its fingerprint covers."""
    config = replace(Config(), **{key: getattr(ledger.config, key) for key in module.settings})
    show = without_paths if module.looks_at_archives else _without_archives
    return Ledger(ledger.as_of, config, tuple(map(show, ledger.instances)))


def without_paths(instance: InstanceEntry) -> InstanceEntry:
    """Return an instance whose archives do not say where and since when their files are on the disk."""
    archives = tuple(
        replace(entry, archive=replace(entry.archive, tar=Path(), stamp=(0, 0, 0)), key="")
        for entry in instance.archives
    )
    return replace(instance, archives=archives)


def _without_archives(instance: InstanceEntry) -> InstanceEntry:
    return _known_by_any_rank(instance.instance_id, public=instance.metadata.public)


def _known_by_any_rank(instance_id: str, *, public: bool) -> InstanceEntry:
    return InstanceEntry(instance_id, InstanceMetadata(public=public), ())
